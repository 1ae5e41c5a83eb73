/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A relay between a parent and children of which none can be believed. The input is a list of
 * steps: one byte of who speaks, two of length, a packed Frame. Who is 0 to 3 a process, 4 to 7 the
 * parent, 8 to 11 a child over a channel that names no VM (a host, an agent between), 12 to 15 the
 * guest of a VM. The first step's byte says by its upper bits what the relay is, too.
 */
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/relay.h"
#include "notifier/wire/frame.h"

enum { CHILDREN = 16, WHO_MASK = 15, ROLE_SHIFT = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct relay *relay;
	uint32_t children[CHILDREN];
	uint64_t now_ms;
	size_t spoken; /* bytes that the relay said, to have it all read */
};

static void read_all(struct world *world, const Tether__Frame *frame)
{
	uint8_t *bytes;
	size_t length;

	if (frame_encode(frame, &bytes, &length))
		abort(); /* what a relay says fits a frame */
	world->spoken += length;
	free(bytes);
}

static void child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	read_all(owner, frame);
}

static void child_close(void *owner, uint32_t child, const char *why)
{
	struct world *world = owner;

	for (size_t i = 0; i < CHILDREN; i++)
		if (world->children[i] == child)
			world->children[i] = 0;
}

static void parent_send(void *owner, const Tether__Frame *frame)
{
	read_all(owner, frame);
}

static void order(void *owner, const Tether__Event *event)
{
	struct world *world = owner;
	Tether__Answer answer = TETHER__ANSWER__INIT;

	answer.migration = event->migration;
	answer.epoch = event->epoch;
	answer.step = event->step;
	answer.sequence = event->sequence;
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	relay_order_done(world->relay, &answer, world->now_ms);
}

static int hello(void *owner, uint32_t child, const Tether__Hello *said, const char **reason,
        const char **text)
{
	return 0;
}

static void report(void *owner, uint32_t request)
{
	struct world *world = owner;
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Report said;

	if (relay_report_fill(world->relay, &said))
		return;
	said.request = request;
	frame.body_case = TETHER__FRAME__BODY_REPORT;
	frame.report = &said;
	parent_send(world, &frame);
	relay_report_clear(&said);
}

static const struct relay_outputs outputs = {
        .child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .order = order,
        .hello = hello,
        .report = report,
};

static int child_add(struct world *world, size_t i)
{
	const char *vm = i % 2 ? "vm1" : "vm2";
	uint32_t *child = &world->children[i];

	if (i < 8)
		return relay_child_add(world->relay, vm, world->now_ms, child);
	if (i < 12)
		return relay_child_add(world->relay, NULL, world->now_ms, child);
	return relay_guest_add(world->relay, vm, world->now_ms, child);
}

static void child_speaks(struct world *world, size_t i, const Tether__Frame *frame)
{
	if (!world->children[i] && child_add(world, i))
		return;
	if (!relay_child_frame(world->relay, world->children[i], frame, world->now_ms))
		return;
	relay_child_gone(world->relay, world->children[i], i == 0, world->now_ms);
	world->children[i] = 0;
}

static void speak(struct world *world, uint8_t who, const uint8_t *bytes, size_t length)
{
	Tether__Frame *frame = tether__frame__unpack(NULL, length, bytes);

	if (!frame)
		return;
	world->now_ms += who;
	relay_tick(world->relay, world->now_ms);
	if ((who & WHO_MASK) / 4 != 1)
		child_speaks(world, who & WHO_MASK, frame);
	else
		relay_parent_frame(world->relay, frame, world->now_ms);
	tether__frame__free_unpacked(frame, NULL);
}

static Tether__Role role_of(uint8_t bits)
{
	static const Tether__Role roles[] = {TETHER__ROLE__ROLE_HOST, TETHER__ROLE__ROLE_RELAY,
	        TETHER__ROLE__ROLE_ROOT, TETHER__ROLE__ROLE_GUEST};

	return roles[bits % 4];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct relay_settings settings = {.name = "hyp1"};
	struct world world = {0};

	settings.role = role_of(size ? data[0] >> ROLE_SHIFT : 0);
	world.relay = relay_create(&settings, &outputs, &world);
	relay_vm_here(world.relay, "vm1");
	while (size > 3) {
		size_t length = data[1] | (size_t)data[2] << 8;

		if (length > size - 3)
			length = size - 3;
		speak(&world, data[0], data + 3, length);
		data += 3 + length;
		size -= 3 + length;
	}
	world.now_ms += 100000;
	relay_tick(world.relay, world.now_ms);
	relay_destroy(world.relay);
	return 0;
}
