/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The certificates that a CA has made, one line each: "SERIAL UNTIL REVOKED ROLE/NAME", times in
 * seconds since 1970, REVOKED 0 where it is not. Pure; any thread.
 */
#ifndef TETHER_ISSUED_H
#define TETHER_ISSUED_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "notifier/certificates/peer_identity.h"
#include "sm-side/cli/authority.h"

struct issued_row {
	char serial[SERIAL_TEXT_BYTES];
	time_t until;
	time_t revoked; /* 0: it is not */
	struct peer_identity identity;
};

/* Zero-initialise. */
struct issued {
	struct issued_row *rows; /* in the order in which they were made */
	size_t count;
};

/* -ENOMEM */
int issued_add(struct issued *issued, const struct issued_row *row);
/* Adds the rows of @text. -EINVAL: line *@line is none; -ENOMEM. */
int issued_parse(struct issued *issued, const char *text, size_t *line);
/* All of them, to be freed; NULL: no memory. */
char *issued_write(const struct issued *issued, size_t *length);
/* Marks those of @identity, or (NULL) the one of @serial, that are not revoked. Returns how many.
 */
size_t issued_revoke(struct issued *issued, const struct peer_identity *identity,
        const char *serial, time_t now);
void issued_clear(struct issued *issued);

#endif
