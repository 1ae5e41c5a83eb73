/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What an accepting end keeps of those who have shaken hands with it in full, so that they need not
 * when they come again: of each the last session, to be found by its number. Lives in the thread of
 * its links.
 */
#ifndef TETHER_SESSIONS_H
#define TETHER_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "notifier/certificates/peer_identity.h"

/* Zero-initialise. */
struct sessions {
	void *by_peer, *by_id; /* of struct kept; tsearch(3) */
	size_t count;
};

/* With more all are forgotten, and shake hands in full. */
enum { SESSIONS_MOST = 1 << 14 };

/* In place of the one that @peer had; takes @session. -ENOMEM, -EEXIST: does not. */
int sessions_keep(
        struct sessions *sessions, const struct peer_identity *peer, SSL_SESSION *session);
/* NULL: there is none, or its time is over. */
SSL_SESSION *sessions_find(const struct sessions *sessions, const unsigned char *id, size_t length);
/* Its time, as SSL_SESSION_set_timeout says, is over; of either end. */
bool session_is_over(const SSL_SESSION *session);
void sessions_clear(struct sessions *sessions);

#endif
