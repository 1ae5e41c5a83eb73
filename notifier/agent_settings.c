/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/agent_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/name.h"
#include "notifier/base/settings.h"
#include "notifier/channel_tls.h"

static const struct text_row {
	const char *key;
	size_t offset;
	const char *standard; /* NULL: must be said */
} texts[] = {
        {"role", offsetof(struct agent_settings, role), NULL},
        {"name", offsetof(struct agent_settings, name), NULL},
        {"root", offsetof(struct agent_settings, root), NULL},
        {"driver", offsetof(struct agent_settings, driver), NULL},
        {"state_dir", offsetof(struct agent_settings, state_dir), "/var/lib/tether"},
        {"socket_dir", offsetof(struct agent_settings, socket_dir), "/run/tether/vms"},
        {"log", offsetof(struct agent_settings, log), "stderr"},
};

static char **text_of(struct agent_settings *settings, const struct text_row *row)
{
	return (char **)((char *)settings + row->offset);
}

static int mode_take(struct agent_settings *settings, const char *value)
{
	char *end;
	unsigned long mode = strtoul(value, &end, 8);

	if (end == value || *end || *value == '-' || mode > 0777)
		return -EINVAL;
	settings->socket_mode = mode;
	return 0;
}

static int take(void *context, const char *key, const char *value)
{
	struct agent_settings *settings = context;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcmp(texts[i].key, key))
			return setting_text(text_of(settings, &texts[i]), value);
	if (!strcmp(key, "log_level"))
		return log_level_parse(value, &settings->log_level);
	if (!strcmp(key, "socket_mode"))
		return mode_take(settings, value);
	err = credentials_setting(&settings->tls, key, value);
	return err != -ENOENT ? err : deadlines_set(&settings->deadlines, key, value);
}

static int complete(struct agent_settings *settings, const char *path, char *error, size_t size)
{
	const struct channel_ops *ops;
	const char *rest;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char **text = text_of(settings, &texts[i]);

		if (!*text && !texts[i].standard) {
			snprintf(error, size, "%s: \"%s\" is not said", path, texts[i].key);
			return -EINVAL;
		}
		if (!*text && setting_text(text, texts[i].standard))
			return -ENOMEM;
	}
	if (strcmp(settings->role, "host"))
		snprintf(error, size, "%s: role must be \"host\"", path);
	else if (!name_is_fit(settings->name))
		snprintf(error, size, "%s: name \"%s\" has other than letters, digits and _.-:@",
		        path, settings->name);
	else if (channel_address(settings->root, &ops, &rest))
		snprintf(error, size, "%s: root \"%s\" is neither unix:/PATH nor tls:ADDRESS:PORT",
		        path, settings->root);
	else if (ops == &channel_tls_ops && credentials_setting_missing(&settings->tls))
		snprintf(error, size, "%s: root is tls:, but \"%s\" is not said", path,
		        credentials_setting_missing(&settings->tls));
	else if (strncmp(settings->driver, "exec:/", 6))
		snprintf(
		        error, size, "%s: driver \"%s\" is not exec:/PATH", path, settings->driver);
	else
		return 0;
	return -EINVAL;
}

int agent_settings_read(
        struct agent_settings *settings, const char *path, char *error, size_t error_size)
{
	int err;

	*settings = (struct agent_settings){
	        .socket_mode = 0660, .log_level = LOG_LEVEL_INFO, .deadlines = deadlines_default};
	err = settings_read(path, take, settings, error, error_size);
	if (!err)
		err = complete(settings, path, error, error_size);
	if (err)
		agent_settings_clear(settings);
	return err;
}

void agent_settings_clear(struct agent_settings *settings)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char **text = text_of(settings, &texts[i]);

		free(*text);
		*text = NULL;
	}
	credentials_files_clear(&settings->tls);
}
