/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/tree_events.h"

Tether__Event event_of(Tether__Step step, uint32_t sequence, const char *vm,
        Tether__Address *address, uint16_t lid)
{
	Tether__Event event = TETHER__EVENT__INIT;

	tether__address__init(address);
	address->lid = lid;
	event.migration = 1;
	event.epoch = 1;
	event.step = step;
	event.sequence = sequence;
	event.deadline_ms = DEADLINE_MS;
	event.vm = (char *)vm;
	event.address = address;
	return event;
}

void event_all(struct tree *tree, Tether__Step step, uint32_t sequence, const char *vm,
        uint16_t lid, char **expected, size_t expected_count)
{
	Tether__Address address;
	Tether__Event event = event_of(step, sequence, vm, &address, lid);

	event.to_vm = event.to_peers = true;
	event.expected = expected;
	event.n_expected = expected_count;
	tree_event(tree, &event);
}

void event_order(struct tree *tree, uint32_t sequence, const char *host)
{
	Tether__Address address;
	Tether__Event event = event_of(TETHER__STEP__STEP_MOVE, sequence, "vm1", &address, 5);
	Tether__HostOrder order = TETHER__HOST_ORDER__INIT;

	order.host = (char *)host;
	order.action = TETHER__HOST_ACTION__HOST_DETACH;
	order.vm = (char *)"vm1";
	event.order = &order;
	tree_event(tree, &event);
}

void event_moved(struct tree *tree, uint32_t sequence, uint64_t epoch, const char *vm, uint16_t lid)
{
	Tether__Address address;
	Tether__Event event = event_of(TETHER__STEP__STEP_MOVED, sequence, vm, &address, lid);

	event.epoch = epoch;
	event.to_peers = true;
	tree_event(tree, &event);
	tree_run(tree);
}
