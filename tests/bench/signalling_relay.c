/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The root of tether-smd as it is; what passes between it and its links is counted in between. */
#include <errno.h>
#include <stdlib.h>

#include "notifier/link/connection.h"
#include "notifier/relay/relay.h"
#include "sm-side/directory/directory.h"
#include "sm-side/root/root.h"
#include "tests/bench/signalling_teller.h"

struct teller_counts teller_counts;

/* The linker puts these two in the place of the real ones (--wrap). */
int __real_connection_send(struct connection *connection, const Tether__Frame *frame);
int __wrap_connection_send(struct connection *connection, const Tether__Frame *frame);
int __real_relay_child_frame(
        struct relay *relay, uint32_t child, const Tether__Frame *frame, uint64_t now_ms);
int __wrap_relay_child_frame(
        struct relay *relay, uint32_t child, const Tether__Frame *frame, uint64_t now_ms);

int __wrap_connection_send(struct connection *connection, const Tether__Frame *frame)
{
	int err = __real_connection_send(connection, frame);

	teller_counts.events += !err && frame->body_case == TETHER__FRAME__BODY_EVENT;
	return err;
}

int __wrap_relay_child_frame(
        struct relay *relay, uint32_t child, const Tether__Frame *frame, uint64_t now_ms)
{
	teller_counts.answers += frame->body_case == TETHER__FRAME__BODY_ANSWER;
	return __real_relay_child_frame(relay, child, frame, now_ms);
}

struct teller {
	struct root *root;
	struct directory *directory;
	const struct teller_callbacks *callbacks;
	void *owner;
};

static void answer(void *owner, const Tether__Answer *answer)
{
	struct teller *teller = owner;

	teller->callbacks->answered(teller->owner, answer);
}

static void host_up(void *owner, const char *host, const uint64_t *open, size_t count)
{
	struct teller *teller = owner;

	teller->callbacks->up(teller->owner);
}

/* No host takes another's. */
static void claim_refused(void *owner, const struct directory_claim *claim)
{
	abort();
}

static const struct directory_outputs directory_outputs = {.refused = claim_refused};

static const struct root_callbacks root_callbacks = {
        .answer = answer,
        .host_up = host_up,
};

static void relay_end(struct teller *teller)
{
	root_destroy(teller->root);
	directory_destroy(teller->directory);
	free(teller);
}

static struct teller *relay_begin(struct event_base *base, const char *address,
        struct credentials *credentials, const struct deadlines *deadlines, uint64_t epoch,
        const struct teller_callbacks *callbacks, void *owner)
{
	struct teller *teller = calloc(1, sizeof(*teller));
	int err;

	if (!teller)
		return NULL;
	teller->callbacks = callbacks;
	teller->owner = owner;
	teller->directory = directory_create(&directory_outputs, teller);
	teller->root = teller->directory
	                       ? root_create(base, address, credentials, teller->directory,
	                                 deadlines, epoch, &root_callbacks, teller)
	                       : NULL;
	if (teller->root)
		return teller;
	err = errno;
	directory_destroy(teller->directory);
	free(teller);
	errno = err;
	return NULL;
}

static int tell_servers(struct teller *teller, const Tether__Event *event)
{
	return root_send(teller->root, event);
}

const struct teller_ops teller_relay_ops = {
        .name = "relay",
        .create = relay_begin,
        .destroy = relay_end,
        .tell = tell_servers,
};
