/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/smd_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/folder.h"
#include "notifier/base/settings.h"
#include "notifier/link/listener.h"
#include "notifier/metrics/metrics_address.h"
#include "sm-side/plugin/sm_request.h"
#include "tether.pb-c.h"

enum {
	JOURNAL_KEEP = 10000,
	JOURNAL_KEEP_MAX = 10000000,
	MIGRATIONS_MAX_DEFAULT = 4,
	MIGRATIONS_MAX_MOST = 8, /* each has a link of its own, of which the plugin takes 16 */
};

/* One address more. */
static int listen_add(struct smd_settings *s, const char *address)
{
	CLEANUP_FREE char *whole = NULL;
	char *all;
	int err = strncmp(address, "unix:", 5) ? setting_text(&whole, address)
	                                       : setting_path(&whole, s->file, "unix:", address);

	if (err || !listener_fits(whole))
		return err ? err : -EINVAL;
	if (asprintf(&all, "%s%s%s", s->listen_is_said ? s->listen : "",
	            s->listen_is_said ? " " : "", whole) < 0)
		return -ENOMEM;
	s->listen_is_said = true;
	free(s->listen);
	s->listen = all;
	return 0;
}

/* Said again it adds to what was said. */
static int take_listen(struct smd_settings *s, const char *value)
{
	CLEANUP_FREE char *words = strdup(value);
	char *rest = words, *word;
	int err = words ? 0 : -ENOMEM;

	while (!err && (word = strsep(&rest, " \t")))
		if (*word)
			err = listen_add(s, word);
	return !err && !s->listen_is_said ? -EINVAL : err;
}

static int take_api(struct smd_settings *s, const char *value)
{
	return setting_path(&s->api, s->file, "", value);
}

static int take_journal(struct smd_settings *s, const char *value)
{
	return setting_path(&s->journal, s->file, "", value);
}

static int take_journal_keep(struct smd_settings *s, const char *value)
{
	return setting_number(&s->journal_keep, value, 1, JOURNAL_KEEP_MAX);
}

static int take_sm_socket(struct smd_settings *s, const char *value)
{
	return setting_path(&s->sm_socket, s->file, "", value);
}

static int take_fabric(struct smd_settings *s, const char *value)
{
	if (strcmp(value, "opensm") && strcmp(value, "none"))
		return -EINVAL;
	s->fabric = !strcmp(value, "opensm");
	return 0;
}

static int take_signal(struct smd_settings *s, const char *value)
{
	if (strcmp(value, "stream") && strcmp(value, "mad"))
		return -EINVAL;
	s->signal_mad = !strcmp(value, "mad");
	return 0;
}

static int take_migrations_max(struct smd_settings *s, const char *value)
{
	char *end;
	unsigned long most = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || most < 1 || most > MIGRATIONS_MAX_MOST)
		return -EINVAL;
	s->migrations_max = (unsigned)most;
	return 0;
}

static int take_protocol_least(struct smd_settings *s, const char *value)
{
	return setting_number(&s->protocol_least, value, TETHER__PROTOCOL__PROTOCOL_OLDEST,
	        TETHER__PROTOCOL__PROTOCOL_VERSION);
}

static int take_log(struct smd_settings *s, const char *value)
{
	return setting_log(&s->log, s->file, value);
}

static int take_metrics(struct smd_settings *s, const char *value)
{
	return metrics_address_take(&s->metrics, s->file, value);
}

static int take_log_level(struct smd_settings *s, const char *value)
{
	return log_level_parse(value, &s->log_level);
}

static const struct {
	const char *key;
	int (*take)(struct smd_settings *settings, const char *value);
	const char *wants; /* what it has to be, for whoever wrote something else */
} keys[] = {
        {"listen", take_listen,
                "where agents connect: unix:/PATH, tls:ADDRESS:PORT, or several with blanks "
                "between them"},
        {"api", take_api, "a path for the API's socket"},
        {"journal", take_journal, "a path"},
        {"journal_keep", take_journal_keep, "a number from 1 to 10000000"},
        {"sm_socket", take_sm_socket, "the path of the plugin's socket"},
        {"fabric", take_fabric, "opensm or none"},
        {"signal", take_signal, "stream or mad"},
        {"migrations_max", take_migrations_max, "a number from 1 to 8"},
        {"protocol_least", take_protocol_least, "a version of the protocol, 5 or 6"},
        {"metrics", take_metrics, METRICS_ADDRESS_WANT},
        {"log", take_log, "stderr, none or a file"},
        {"log_level", take_log_level, "none, error, warn, info or debug"},
};

static const char *key_of(size_t index, const char **wants)
{
	if (index < ARRAY_SIZE(keys)) {
		*wants = keys[index].wants;
		return keys[index].key;
	}
	index -= ARRAY_SIZE(keys);
	*wants = CREDENTIALS_SETTINGS_WANT;
	if (index < CREDENTIALS_SETTINGS)
		return credentials_setting_key(index);
	*wants = DEADLINES_WANT;
	return deadlines_key(index - CREDENTIALS_SETTINGS);
}

static const struct settings_words words = {.manual = "tether-smd(8)", .key = key_of};

static int take(void *context, const char *key, const char *value)
{
	struct smd_settings *settings = context;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!strcmp(keys[i].key, key))
			return keys[i].take(settings, value);
	}
	err = credentials_setting(&settings->tls, settings->file, key, value);
	return err != -ENOENT ? err : deadlines_set(&settings->deadlines, key, value);
}

static bool defaults_set(struct smd_settings *settings)
{
	*settings = (struct smd_settings){.listen = strdup("unix:/run/tether/agents.sock"),
	        .api = strdup("/run/tether/api.sock"),
	        .journal = strdup("/var/lib/tether/journal"),
	        .journal_keep = JOURNAL_KEEP,
	        .sm_socket = strdup("/run/tether/sm.sock"),
	        .log = strdup("stderr"),
	        .metrics = strdup("none"),
	        .log_level = LOG_LEVEL_INFO,
	        .migrations_max = MIGRATIONS_MAX_DEFAULT,
	        .fabric = true,
	        .deadlines = deadlines_default};
	return settings->listen && settings->api && settings->journal && settings->sm_socket &&
	       settings->log && settings->metrics;
}

int smd_settings_read(
        struct smd_settings *settings, const char *path, char *error, size_t error_size)
{
	const struct deadlines *d = &settings->deadlines;
	const char *missing;
	int err;

	if (!defaults_set(settings)) {
		snprintf(error, error_size, "no memory");
		return -ENOMEM;
	}
	settings->file = path;
	err = settings_read(path, take, &words, settings, error, error_size);
	if (err)
		return err;
	if (d->lease_ms <= d->stop_ms) {
		/* Gates would reopen while others still drain. */
		settings_blame(path, "lease_ms", error, error_size,
		        "lease_ms (%u) has to be longer than stop_ms (%u)", d->lease_ms,
		        d->stop_ms);
		return -EINVAL;
	}
	missing = credentials_setting_missing(&settings->tls);
	if (listener_wants_credentials(settings->listen) && missing) {
		settings_blame(path, "listen", error, error_size,
		        "it is at tls:, but \"%s\" is not said: add a line \"%s = ...\": %s",
		        missing, missing, CREDENTIALS_SETTINGS_WANT);
		return -EINVAL;
	}
	if (settings->signal_mad && !settings->fabric) {
		settings_blame(path, "signal", error, error_size,
		        "signal = mad needs an SM: fabric = opensm");
		return -EINVAL;
	}
	if (settings->fabric && d->sm_lease_ms > SM_LEASE_MS_MAX) {
		settings_blame(path, "sm_lease_ms", error, error_size,
		        "sm_lease_ms (%u) is longer than the plugin holds sweeps off (%d)",
		        d->sm_lease_ms, SM_LEASE_MS_MAX);
		return -EINVAL;
	}
	return 0;
}

/* The last of those that come to the lease at once waits for the others. */
static bool overall_doubt(
        const struct smd_settings *settings, uint64_t leased, char *text, size_t size)
{
	uint64_t needed = settings->migrations_max * leased;

	if (settings->deadlines.overall_ms >= needed)
		return false;
	snprintf(text, size,
	        "overall_ms (%u) is shorter than migrations_max (%u) may take one after the other "
	        "under the SM's lease (each 2 x guids_ms + apply_ms; in all %llu): the last may be "
	        "given up while it waits",
	        settings->deadlines.overall_ms, settings->migrations_max,
	        (unsigned long long)needed);
	return true;
}

bool smd_settings_doubt(const struct smd_settings *settings, char *text, size_t size)
{
	const struct deadlines *d = &settings->deadlines;
	uint64_t needed = 2 * (uint64_t)d->guids_ms + d->apply_ms;

	if (!settings->fabric)
		return false;
	if (d->sm_lease_ms >= needed)
		return overall_doubt(settings, needed, text, size);
	snprintf(text, size,
	        "sm_lease_ms (%u) is shorter than what happens under it may take (2 x guids_ms + "
	        "apply_ms = %llu): a slow host makes it run out",
	        d->sm_lease_ms, (unsigned long long)needed);
	return true;
}

static int place_check(const struct smd_settings *settings, const char *key, const char *path,
        char *error, size_t error_size)
{
	char text[256] = "";
	int err = folder_check_for(path, text, sizeof(text));

	if (err)
		settings_blame(settings->file, key, error, error_size, "%s", text);
	return err;
}

static int listen_check(const struct smd_settings *settings, char *error, size_t error_size)
{
	CLEANUP_FREE char *words_of = strdup(settings->listen);
	char *rest = words_of, *word;
	int err = words_of ? 0 : -ENOMEM;

	while (!err && (word = strsep(&rest, " ")))
		if (!strncmp(word, "unix:", 5))
			err = place_check(settings, "listen", word + 5, error, error_size);
	return err;
}

int smd_settings_check(const struct smd_settings *settings, char *error, size_t error_size)
{
	int err = listen_check(settings, error, error_size);

	if (!err)
		err = place_check(settings, "api", settings->api, error, error_size);
	if (!err)
		err = place_check(settings, "journal", settings->journal, error, error_size);
	return err;
}

void smd_settings_clear(struct smd_settings *settings)
{
	free(settings->listen);
	credentials_files_clear(&settings->tls);
	free(settings->api);
	free(settings->journal);
	free(settings->sm_socket);
	free(settings->log);
	free(settings->metrics);
	*settings = (struct smd_settings){0};
}
