/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/certificates/credentials_files.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/settings.h"

static const struct {
	const char *key;
	size_t offset;
	bool wanted;
} settings[] = {
        {"tls_ca", offsetof(struct credentials_files, ca), true},
        {"tls_certificate", offsetof(struct credentials_files, certificate), true},
        {"tls_key", offsetof(struct credentials_files, key), true},
        {"tls_crl", offsetof(struct credentials_files, crl), false},
};

_Static_assert(ARRAY_SIZE(settings) == CREDENTIALS_SETTINGS, "all have a name");

static char **file_at(const struct credentials_files *files, size_t setting)
{
	return (char **)((char *)files + settings[setting].offset);
}

const char *credentials_setting_key(size_t index)
{
	return settings[index].key;
}

int credentials_setting(
        struct credentials_files *files, const char *beside, const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (!strcmp(settings[i].key, key))
			return setting_path(file_at(files, i), beside, "", value);
	return -ENOENT;
}

const char *credentials_setting_missing(const struct credentials_files *files)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].wanted && !*file_at(files, i))
			return settings[i].key;
	return NULL;
}

void credentials_files_clear(struct credentials_files *files)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		free(*file_at(files, i));
	*files = (struct credentials_files){0};
}
