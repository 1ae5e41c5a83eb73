/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The settings of links over TLS: which files are shown and asked for. Pure; any thread. */
#ifndef TETHER_CREDENTIALS_FILES_H
#define TETHER_CREDENTIALS_FILES_H

#include <stddef.h>

/* Paths, all NULL where nothing is said; crl NULL: nobody is revoked. */
struct credentials_files {
	char *ca, *certificate, *key, *crl;
};

/* Settings tls_ca, tls_certificate, tls_key, tls_crl; a relative path is taken from where the file
 * @beside is. -ENOENT: @key is none of them; -ENOMEM, -EINVAL. */
int credentials_setting(
        struct credentials_files *files, const char *beside, const char *key, const char *value);
/* The @index-th of them, and what its value has to be. */
enum { CREDENTIALS_SETTINGS = 4 };
const char *credentials_setting_key(size_t index);
#define CREDENTIALS_SETTINGS_WANT "a file in PEM, as tether cert makes it"
/* The setting without which there is no TLS; NULL: none is missing. */
const char *credentials_setting_missing(const struct credentials_files *files);
void credentials_files_clear(struct credentials_files *files);

#endif
