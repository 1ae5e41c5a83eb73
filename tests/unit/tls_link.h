/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A link over TLS with both ends in one loop: one end accepts, the other connects. */
#ifndef TETHER_TESTS_TLS_LINK_H
#define TETHER_TESTS_TLS_LINK_H

#include <event2/event.h>

#include "notifier/channel/channel_tls.h"
#include "notifier/link/connection.h"
#include "tests/unit/tls_place.h"

/* Who one end is, and what it has heard. */
struct tls_end {
	struct tls_scene *scene;
	struct holder holder;
	struct credentials *credentials;
	struct connection *connection;
	unsigned opened, frames, closed, failed;
	size_t last_bytes;
	struct peer_identity peer;
	char text[160]; /* why it was closed or has failed */
};

struct tls_scene {
	struct tls_place place;
	struct event_base *base;
	struct event *acceptable;
	int listener;
	char *at;
	struct tls_end accepting, connecting;
	unsigned accepted;      /* their handshakes may be still to come */
	unsigned handshake_ms;  /* of the accepting end; 0: as long as it takes */
	unsigned late_ms;       /* it has so much else to do before each handshake */
	unsigned patience_ms;   /* of the connecting end, at first; 0: as long as it takes */
	const unsigned *wanted; /* the loop goes on until it is so many */
	unsigned wanted_count;
};

/* With ends that are nobody yet. */
void tls_scene_make(struct tls_scene *scene);
/* sm/smd accepts, @connecting is to connect. */
void tls_scene_of(struct tls_scene *scene, const char *connecting);
void tls_scene_clear(struct tls_scene *scene);
/* A certificate of the scene's CA is made for it, and read. */
void tls_end_becomes(struct tls_end *end, const char *who);
/* It reads what end->holder was made as. */
void tls_end_reads(struct tls_end *end);
/* What SIGHUP does. */
void tls_end_reload(struct tls_end *end);
void tls_connect(struct tls_scene *scene);
/* And wait until it has been accepted. */
void tls_open(struct tls_scene *scene);
/* A bare TCP connection to the accepting end. */
int tls_connect_bare(struct tls_scene *scene);
/* Until *@count is @wanted; a test that waits longer than for ever has failed. */
void tls_run(struct tls_scene *scene, const unsigned *count, unsigned wanted);
/* A frame of about @size bytes. */
void tls_say(struct tls_end *end, size_t size);
/* The connecting end reads something. */
void tls_hear(struct tls_scene *scene);
/* End the accepted link, as the connecting end sees it, and let it come again. */
void tls_reconnect(struct tls_scene *scene);

#endif
