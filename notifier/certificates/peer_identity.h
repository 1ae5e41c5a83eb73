/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who a certificate says somebody is: a role and a name, as text "tether:ROLE/NAME" (the URI of its
 * subject alternative names). Pure; any thread.
 */
#ifndef TETHER_PEER_IDENTITY_H
#define TETHER_PEER_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include "notifier/base/name.h"

enum peer_role {
	PEER_SM = 1,    /* tether-smd */
	PEER_HOST = 2,  /* the agent of a physical server */
	PEER_RELAY = 4, /* an agent between the two */
};

struct peer_identity {
	enum peer_role role;
	char name[NAME_MOST + 1];
};

enum { PEER_TEXT_BYTES = 24 + NAME_MOST }; /* longest text, with its end */

/* Does @text, which need not end, mean to be one? Then peer_identity_parse takes it, or it is
 * wrong. */
bool peer_identity_is_meant(const char *text, size_t length);
/* "tether:host/hyp1". -EINVAL: another role, or no name (base/name.h). */
int peer_identity_parse(const char *text, size_t length, struct peer_identity *identity);
/* "host/hyp1", as operators write it. -EINVAL */
int peer_identity_parse_short(const char *text, size_t length, struct peer_identity *identity);

bool peer_identity_equal(const struct peer_identity *a, const struct peer_identity *b);

/* "sm", "host", "relay". */
const char *peer_identity_role_name(enum peer_role role);
/* "host/hyp1"; its end is always there. */
void peer_identity_write(const struct peer_identity *identity, char text[static PEER_TEXT_BYTES]);

#endif
