/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/settings.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/wire/repeats.h"
#include "notifier/wire/versions.h"

static struct settings read_once = {.settlement = true, .rebinding = true};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_log(void)
{
	const char *where = getenv("TETHER_LOG"), *level_name = getenv("TETHER_LOG_LEVEL");
	enum log_level level = LOG_LEVEL_INFO;

	if (!where || !*where)
		return;
	if (level_name)
		log_level_parse(level_name, &level);
	log_open_later("libtether", where, level);
}

/* The program may change its environment later. */
static const char *copy_of(const char *text)
{
	return text && *text ? strdup(text) : NULL;
}

/* An agent listens for each VM on a socket of that VM's name. */
static const char *vm_of_socket(const char *path)
{
	const char *base = path ? strrchr(path, '/') : NULL;
	size_t length = base ? strlen(base + 1) : 0;

	if (length <= 5 || strcmp(base + 1 + length - 5, ".sock"))
		return NULL;
	return strndup(base + 1, length - 5);
}

static bool is_off(const char *name)
{
	const char *value = getenv(name);

	return value && !strcmp(value, "off");
}

enum { UNPLANNED_S = 60, UNPLANNED_MOST_S = 86400 };

/* reconnect, or reconnect:SECONDS */
static unsigned unplanned_ms(const char *value)
{
	const char *word = "reconnect";
	unsigned long seconds = UNPLANNED_S;
	char *end = NULL;

	if (!value || !strcmp(value, "tell"))
		return 0;
	if (!strncmp(value, "reconnect:", strlen(word) + 1))
		seconds = strtoul(value + strlen(word) + 1, &end, 10);
	else if (strcmp(value, word))
		seconds = 0;
	if (seconds && seconds <= UNPLANNED_MOST_S && !(end && *end))
		return (unsigned)seconds * 1000;
	log_warn("settings", "TETHER_UNPLANNED=%s is neither tell nor reconnect[:SECONDS]", value);
	return 0;
}

static void read_environment(void)
{
	const char *agent = getenv("TETHER_AGENT");

	open_log();
	if (agent && !strncmp(agent, "unix:", 5))
		read_once.agent_path = copy_of(agent + 5);
	else if (agent && *agent)
		log_warn("settings", "TETHER_AGENT=%s is not unix:/path", agent);
	read_once.vm = copy_of(getenv("TETHER_VM"));
	if (!read_once.vm)
		read_once.vm = vm_of_socket(read_once.agent_path);
	versions_pretend(getenv("TETHER_PROTOCOL"));
	repeats_pretend(getenv("TETHER_REPEATS"));
	read_once.unplanned_ms = unplanned_ms(getenv("TETHER_UNPLANNED"));
	read_once.settlement = !is_off("TETHER_SETTLEMENT");
	read_once.rebinding = !is_off("TETHER_REBINDING");
}

const struct settings *settings(void)
{
	pthread_once(&once, read_environment);
	return &read_once;
}
