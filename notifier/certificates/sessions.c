/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/certificates/sessions.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct kept {
	struct peer_identity peer;
	SSL_SESSION *session;
	const unsigned char *id; /* the session's */
	unsigned id_length;
};

static int by_peer(const void *a, const void *b)
{
	const struct kept *one = a, *other = b;

	if (one->peer.role != other->peer.role)
		return one->peer.role < other->peer.role ? -1 : 1;
	return strcmp(one->peer.name, other->peer.name);
}

static int by_id(const void *a, const void *b)
{
	const struct kept *one = a, *other = b;

	if (one->id_length != other->id_length)
		return one->id_length < other->id_length ? -1 : 1;
	return memcmp(one->id, other->id, one->id_length);
}

static void kept_free(void *at)
{
	struct kept *kept = at;

	SSL_SESSION_free(kept->session);
	free(kept);
}

static void kept_leave(void *at)
{
}

void sessions_clear(struct sessions *sessions)
{
	tdestroy(sessions->by_id, kept_leave);
	tdestroy(sessions->by_peer, kept_free);
	*sessions = (struct sessions){0};
}

static void peer_forget(struct sessions *sessions, const struct kept *like)
{
	struct kept **at = tfind(like, &sessions->by_peer, by_peer), *kept = at ? *at : NULL;

	if (!kept)
		return;
	tdelete(kept, &sessions->by_id, by_id);
	tdelete(kept, &sessions->by_peer, by_peer);
	kept_free(kept);
	sessions->count--;
}

/* Nobody has its number. */
static int kept_add(struct sessions *sessions, struct kept *kept)
{
	struct kept **at = tsearch(kept, &sessions->by_id, by_id);

	if (!at || *at != kept)
		return at ? -EEXIST : -ENOMEM;
	if (tsearch(kept, &sessions->by_peer, by_peer)) {
		sessions->count++;
		return 0;
	}
	tdelete(kept, &sessions->by_id, by_id);
	return -ENOMEM;
}

int sessions_keep(struct sessions *sessions, const struct peer_identity *peer, SSL_SESSION *session)
{
	struct kept *kept = malloc(sizeof(*kept));
	int err;

	if (!kept)
		return -ENOMEM;
	*kept = (struct kept){.peer = *peer, .session = session};
	kept->id = SSL_SESSION_get_id(session, &kept->id_length);
	peer_forget(sessions, kept);
	if (sessions->count >= SESSIONS_MOST)
		sessions_clear(sessions);
	err = kept_add(sessions, kept);
	if (err)
		free(kept);
	return err;
}

bool session_is_over(const SSL_SESSION *session)
{
	return time(NULL) - SSL_SESSION_get_time(session) >= SSL_SESSION_get_timeout(session);
}

SSL_SESSION *sessions_find(const struct sessions *sessions, const unsigned char *id, size_t length)
{
	const struct kept like = {.id = id, .id_length = (unsigned)length};
	struct kept **at = tfind(&like, &sessions->by_id, by_id);

	return at && !session_is_over((*at)->session) ? (*at)->session : NULL;
}
