/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A private CA in a directory: ca.key (nobody else reads it), ca.crt, ca.crl, `issued` (issued.h),
 * and ROLE-NAME.crt with ROLE-NAME.key of each certificate, the latest of a name. Whoever has it
 * open is alone with it. Files appear whole or not at all. Errors: -errno with one line in @error.
 */
#ifndef TETHER_AUTHORITY_DIRECTORY_H
#define TETHER_AUTHORITY_DIRECTORY_H

#include "sm-side/cli/authority.h"
#include "sm-side/cli/issued.h"

enum { AUTHORITY_ERROR_BYTES = 320 };

struct authority_directory;

/* A new CA in @path, which is made if it is not there. -EEXIST: there is one. */
int authority_directory_make(const char *path, const struct validity *validity,
        struct authority_directory **made, char error[static AUTHORITY_ERROR_BYTES]);
int authority_directory_open(const char *path, struct authority_directory **opened,
        char error[static AUTHORITY_ERROR_BYTES]);
void authority_directory_close(struct authority_directory *directory);

/* A key and a certificate, in place of the last of that name, which stays good until it is revoked.
 */
int authority_directory_issue(struct authority_directory *directory,
        const struct peer_identity *identity, const struct validity *validity,
        char error[static AUTHORITY_ERROR_BYTES]);
/* All certificates of "ROLE/NAME", or the one with the serial number @which, and ca.crl anew.
 * -ENOENT: there is none that is not revoked. */
int authority_directory_revoke(struct authority_directory *directory, const char *which,
        char error[static AUTHORITY_ERROR_BYTES]);
/* ca.crl anew. */
int authority_directory_crl(
        struct authority_directory *directory, char error[static AUTHORITY_ERROR_BYTES]);

const struct issued *authority_directory_issued(const struct authority_directory *directory);

#endif
