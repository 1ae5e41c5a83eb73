/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/smd_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/settings.h"
#include "notifier/listener.h"
#include "sm-side/sm_protocol.h"

enum {
	JOURNAL_KEEP = 10000,
	JOURNAL_KEEP_MAX = 10000000,
	MIGRATIONS_MAX_DEFAULT = 4,
	MIGRATIONS_MAX_MOST = 8, /* each has a link of its own, of which the plugin takes 16 */
};

static int take_path(char **target, const char *value)
{
	return *value == '/' ? setting_text(target, value) : -EINVAL;
}

/* Said again it adds to what was said. */
static int take_listen(struct smd_settings *s, const char *value)
{
	char *all;

	if (!listener_fits(value))
		return -EINVAL;
	if (!s->listen_is_said) {
		s->listen_is_said = true;
		return setting_text(&s->listen, value);
	}
	if (asprintf(&all, "%s %s", s->listen, value) < 0)
		return -ENOMEM;
	free(s->listen);
	s->listen = all;
	return 0;
}

static int take_api(struct smd_settings *s, const char *value)
{
	return take_path(&s->api, value);
}

static int take_journal(struct smd_settings *s, const char *value)
{
	return take_path(&s->journal, value);
}

static int take_journal_keep(struct smd_settings *s, const char *value)
{
	return setting_number(&s->journal_keep, value, 1, JOURNAL_KEEP_MAX);
}

static int take_sm_socket(struct smd_settings *s, const char *value)
{
	return take_path(&s->sm_socket, value);
}

static int take_fabric(struct smd_settings *s, const char *value)
{
	if (strcmp(value, "opensm") && strcmp(value, "none"))
		return -EINVAL;
	s->fabric = !strcmp(value, "opensm");
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

static int take_log(struct smd_settings *s, const char *value)
{
	return setting_text(&s->log, value);
}

static int take_log_level(struct smd_settings *s, const char *value)
{
	return log_level_parse(value, &s->log_level);
}

static const struct {
	const char *key;
	int (*take)(struct smd_settings *settings, const char *value);
} keys[] = {
        {"listen", take_listen},
        {"api", take_api},
        {"journal", take_journal},
        {"journal_keep", take_journal_keep},
        {"sm_socket", take_sm_socket},
        {"fabric", take_fabric},
        {"migrations_max", take_migrations_max},
        {"log", take_log},
        {"log_level", take_log_level},
};

static int take(void *context, const char *key, const char *value)
{
	struct smd_settings *settings = context;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!strcmp(keys[i].key, key))
			return keys[i].take(settings, value);
	}
	err = credentials_setting(&settings->tls, key, value);
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
	        .log_level = LOG_LEVEL_INFO,
	        .migrations_max = MIGRATIONS_MAX_DEFAULT,
	        .fabric = true,
	        .deadlines = deadlines_default};
	return settings->listen && settings->api && settings->journal && settings->sm_socket &&
	       settings->log;
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
	err = settings_read(path, take, settings, error, error_size);
	if (err)
		return err;
	if (d->lease_ms <= d->stop_ms) {
		/* Gates would reopen while others still drain. */
		snprintf(error, error_size, "%s: lease_ms (%u) has to be longer than stop_ms (%u)",
		        path, d->lease_ms, d->stop_ms);
		return -EINVAL;
	}
	missing = credentials_setting_missing(&settings->tls);
	if (listener_wants_credentials(settings->listen) && missing) {
		snprintf(error, error_size, "%s: listens at tls:, but \"%s\" is not said", path,
		        missing);
		return -EINVAL;
	}
	if (settings->fabric && d->sm_lease_ms > SM_LEASE_MS_MAX) {
		snprintf(error, error_size,
		        "%s: sm_lease_ms (%u) is longer than the plugin holds sweeps off (%d)",
		        path, d->sm_lease_ms, SM_LEASE_MS_MAX);
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

void smd_settings_clear(struct smd_settings *settings)
{
	free(settings->listen);
	credentials_files_clear(&settings->tls);
	free(settings->api);
	free(settings->journal);
	free(settings->sm_socket);
	free(settings->log);
	*settings = (struct smd_settings){0};
}
