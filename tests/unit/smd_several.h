/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A migration of a VM with several VFs, and whoever is asked in it. */
#ifndef TETHER_TEST_SMD_SEVERAL_H
#define TETHER_TEST_SMD_SEVERAL_H

#include "sm-side/migration/orders.h"
#include "tests/unit/smd_told.h"

static struct deadlines deadlines;

static inline void begin(struct migration *m, unsigned others)
{
	struct migration_intent intent = intent_between_slots();

	deadlines = deadlines_default;
	intent.others = others;
	for (unsigned i = 1; i <= others; i++) {
		intent.vfs[i] = intent.vfs[0];
		intent.vfs[i].address.lid = (uint16_t)(11 + i);
	}
	migration_init(m, &intent, &deadlines);
	migration_start(m, 1);
}

static inline void done_until(struct migration *m, enum migration_state state)
{
	for (int i = 0; m->state != state && !migration_ended(m) && i < STATE_COUNT; i++)
		migration_event(m, EVENT_DONE, 1);
	assert_int_equal(m->state, state);
}

/* In orders, entered by the way that leads there. */
static inline uint64_t time_of(struct migration *m, unsigned ms)
{
	return (m->timer_us - 1) / ms / 1000;
}

/* Which orders of @m's state @host gets, a letter each: Detach, Guids, all @port_guid. */
static inline void asked_of(const char *host, uint64_t port_guid, struct migration *m, char *orders)
{
	enum migration_state state = m->state;
	struct order order;

	for (; m->state == state; migration_answered(m, PARTY_HOST, true, 1)) {
		assert_int_equal(
		        order_fill_host(&order, m, migration_state_action(state), NULL, 1), 0);
		assert_string_equal(order.host.host, host);
		if (order.host.action == TETHER__HOST_ACTION__HOST_SET_GUIDS)
			assert_int_equal(order.host.port_guid, port_guid);
		*orders++ = order.host.action == TETHER__HOST_ACTION__HOST_DETACH ? 'D' : 'G';
	}
	*orders = '\0';
}

static inline bool is_asked_once(enum migration_state state)
{
	switch (state) {
	case STATE_LEASING:
	case STATE_UNLEASING:
	case STATE_MOVING:
	case STATE_LOOKING:
	case STATE_LOOKING_THERE:
	case STATE_BACK_LEASING:
	case STATE_BACK_UNLEASING:
	case STATE_BACK_MOVING:
		return true;
	default:
		return false;
	}
}

/* In which state, and for which of the VFs, @party fails; once. */
struct failure {
	enum migration_state state;
	unsigned party, vf;
};

/* All answers of @party in this state, or up to the one that fails; true: it did. */
static inline bool party_answers(struct migration *m, unsigned party, const struct failure *failure)
{
	unsigned count =
	        is_asked_once(m->state) || party == PARTY_TREE ? 1 : migration_vf_count(&m->intent);
	const unsigned *vf = party == PARTY_SM ? &m->sm_vf : &m->host_vf;
	enum migration_state state = m->state;

	for (unsigned i = 0; i < count; i++) {
		bool fails = failure && failure->state == state && failure->party == party &&
		             failure->vf == i;

		assert_true(m->state == state && m->awaited & party);
		if (party != PARTY_TREE)
			assert_int_equal(*vf, i);
		if (party == PARTY_HOST && migration_takes_back(m))
			migration_answered(m, party, true, 1);
		migration_answered(m, party, !fails, 1);
		if (fails)
			return true;
	}
	assert_true(m->state != state || !(m->awaited & party));
	return false;
}

/* Everybody does what he is asked. */
static inline void answered_until(struct migration *m, enum migration_state state)
{
	for (int i = 0; m->state != state && !migration_ended(m) && i < STATE_COUNT; i++) {
		enum migration_state from = m->state;

		for (unsigned party = 1; party <= (PARTY_TREE | PARTY_HOST | PARTY_SM); party <<= 1)
			if (m->state == from && m->awaited & party)
				party_answers(m, party, NULL);
	}
	assert_int_equal(m->state, state);
}

#endif
