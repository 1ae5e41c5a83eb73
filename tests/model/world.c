/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/world.h"

#include <stdlib.h>

#include "preload/objects.h"
#include "tests/model/world_fabric.h"
#include "tests/model/world_verbs.h"

enum { TURN_NS = 1000 };

struct world world;

/* ---- dice ---- */

/* splitmix64. */
static uint64_t draw_word(void)
{
	uint64_t z = world.dice += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t world_draw(uint32_t count)
{
	return (uint32_t)((draw_word() >> 32) * count >> 32);
}

uint64_t world_now_ms(void)
{
	return world.now_ns / 1000000;
}

/* ---- turns ---- */

/* True: there was something that could happen at once. */
static bool move_something(void)
{
	unsigned senders = world.hca->senders(), flows = world.hca->flows(), which;

	if (!senders && !flows)
		return false;
	which = world_draw(senders + flows);
	if (which < senders)
		world.hca->transmit(which);
	else
		world.hca->deliver(which - senders);
	return true;
}

/* The clock goes on to what is due next. False: nothing is. */
static bool wait_for_something(void)
{
	uint64_t due_ns = world.hca->next_due_ns();

	if (due_ns == UINT64_MAX)
		return false;
	if (due_ns > world.now_ns)
		world.now_ns = due_ns;
	world.hca->expire();
	return true;
}

bool world_turn(void)
{
	bool is_hasty = world.hasty && !world_draw(world.hasty);

	world.turns++;
	world.now_ns += TURN_NS;
	if (is_hasty && wait_for_something())
		return true;
	if (world.hca->next_due_ns() <= world.now_ns)
		world.hca->expire();
	return move_something() || wait_for_something();
}

void world_turns(unsigned count)
{
	while (count-- && world_turn())
		;
}

void world_calm(void)
{
	while (world.hca->senders() || world.hca->flows()) {
		world.now_ns += TURN_NS;
		move_something();
	}
}

/* ---- a world ---- */

void world_begin(uint64_t seed, const char *const *settings)
{
	world = (struct world){.now_ns = 1000000000, .dice = seed};
	world_fabric_make(seed);
	while (settings && *settings)
		world_fabric_set(*settings++);
	world.hca = world_verbs_load();
	for (unsigned vm = 0; vm < WORLD_VMS; vm++)
		world_attach(vm, vm);
	world_verbs_join();
	world_fabric_unname();
}

void world_end(void)
{
	world_fabric_close();
}

void world_set(const char *setting)
{
	world_fabric_set(setting);
}

struct ibv_context *world_open(unsigned vm)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context = NULL;

	for (struct ibv_device **d = list; *d && !context; d++) {
		if (world_verbs_vm_of(ibv_get_device_name(*d)) == (int)vm)
			context = ibv_open_device(*d);
	}
	ibv_free_device_list(list);
	return context;
}

struct ibv_qp *world_real_of(struct ibv_qp *shown)
{
	return queue_pair_of(shown)->real;
}
