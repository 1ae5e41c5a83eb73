/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is not answered yet is found by number and by address as a walk over all of it finds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "notifier/relay/requests.h"

enum { TURNS = 20000, MOST = 600, MEMBERS = 5, IDS = 50, LIDS = 8 };

/* The same in the order in which it came, and nothing else. */
struct model {
	struct requests requests;
	struct request *all[MOST];
	size_t count;
	unsigned seed;
};

static unsigned chance(struct model *m, unsigned below)
{
	m->seed = m->seed * 1103515245 + 12345;
	return m->seed / 65536 % below;
}

/* With a LID, with a GID, or with both. */
static struct address address_of(unsigned number)
{
	struct address address = {0};

	if (number % 3)
		address.lid = 1 + number;
	if (number % 3 != 1)
		address.gid[15] = 1 + number;
	return address;
}

static void one_comes(struct model *m)
{
	struct request *request = calloc(1, sizeof(*request));

	assert_non_null(request);
	request->member = chance(m, MEMBERS);
	request->address = address_of(chance(m, LIDS));
	request->datagrams = !chance(m, 3);
	request->id = chance(m, 4) ? 1 + chance(m, IDS) : 0;
	assert_int_equal(requests_reserve(&m->requests, request->member), 0);
	requests_put(&m->requests, request,
	        request->id    ? REQUEST_ASKED
	        : chance(m, 2) ? REQUEST_HELD
	                       : REQUEST_WAITING);
	m->all[m->count++] = request;
}

static void leave_out(struct model *m, size_t at)
{
	for (m->count--; at < m->count; at++)
		m->all[at] = m->all[at + 1];
}

static void one_goes(struct model *m)
{
	size_t at = chance(m, m->count);

	requests_take(&m->requests, m->all[at]);
	free(m->all[at]);
	leave_out(m, at);
}

static void member_goes(struct model *m)
{
	uint32_t member = chance(m, MEMBERS);

	for (size_t i = m->count; i-- > 0;)
		if (m->all[i]->member == member)
			leave_out(m, i);
	requests_forget(&m->requests, member);
	assert_int_equal(requests_count(&m->requests, member), 0);
}

static bool is_superseded(const struct request *request, const struct address *address)
{
	return request->superseded ||
	       (request->state == REQUEST_ASKED && address_matches(address, &request->address));
}

static void drop_goes_up(struct model *m)
{
	struct address address = address_of(chance(m, LIDS));
	bool expected[MOST] = {false};

	for (size_t i = 0; i < m->count; i++)
		expected[i] = is_superseded(m->all[i], &address);
	requests_supersede(&m->requests, &address);
	for (size_t i = 0; i < m->count; i++)
		assert_int_equal(m->all[i]->superseded, expected[i]);
}

static void parent_is_new(struct model *m)
{
	requests_unask(&m->requests);
	for (size_t i = 0; i < m->count; i++) {
		assert_int_not_equal(m->all[i]->state, REQUEST_ASKED);
		assert_int_equal(m->all[i]->id, 0);
		assert_false(m->all[i]->superseded);
	}
}

static void numbers_are_found(const struct model *m)
{
	for (uint32_t id = 1; id <= IDS; id++) {
		const struct request *found = requests_by_id(&m->requests, id);

		for (size_t i = 0; i < m->count; i++) {
			if (m->all[i]->id != id)
				continue;
			assert_ptr_equal(found, m->all[i]);
			found = request_next_of_id(found);
		}
		assert_null(found);
	}
	assert_null(requests_by_id(&m->requests, 0));
}

static bool is_alike(const struct request *request, const struct request *asked)
{
	return request->state == REQUEST_ASKED && !request->superseded && !request->datagrams &&
	       address_matches(&asked->address, &request->address);
}

static void addresses_are_found(const struct model *m)
{
	for (unsigned number = 0; number < LIDS; number++) {
		struct request asked = {.address = address_of(number)};
		const struct request *found = requests_alike(&m->requests, &asked);
		size_t i = 0;

		while (i < m->count && !is_alike(m->all[i], &asked))
			i++;
		assert_int_equal(found != NULL, i < m->count);
		assert_true(!found || is_alike(found, &asked));
	}
}

static void members_are_counted(const struct model *m)
{
	size_t counts[MEMBERS] = {0};

	for (size_t i = 0; i < m->count; i++)
		counts[m->all[i]->member]++;
	for (uint32_t member = 0; member < MEMBERS; member++)
		assert_int_equal(requests_count(&m->requests, member), counts[member]);
}

static void turn(struct model *m)
{
	if (m->count < MOST && (!m->count || chance(m, 100) < 55))
		one_comes(m);
	else if (!chance(m, 200))
		member_goes(m);
	else if (!chance(m, 30))
		drop_goes_up(m);
	else if (!chance(m, 300))
		parent_is_new(m);
	else
		one_goes(m);
}

static void everything_is_found_as_a_walk_finds_it(void **state)
{
	struct model m = {.seed = 5};

	assert_int_equal(requests_begin(&m.requests), 0);
	for (unsigned i = 0; i < TURNS; i++) {
		turn(&m);
		if (i % 16)
			continue;
		numbers_are_found(&m);
		addresses_are_found(&m);
		members_are_counted(&m);
	}
	requests_clear(&m.requests);
}

/* What waited before the parent was lost is asked before what came after. */
static void those_asked_in_vain_wait_in_front(void **state)
{
	struct requests requests;
	struct request *late = calloc(1, sizeof(*late)), *early = calloc(1, sizeof(*early));

	assert_int_equal(requests_begin(&requests), 0);
	early->id = 7;
	requests_put(&requests, early, REQUEST_ASKED);
	requests_put(&requests, late, REQUEST_WAITING);
	requests_unask(&requests);
	assert_ptr_equal(TAILQ_FIRST(&requests.of_state[REQUEST_WAITING]), early);
	assert_ptr_equal(TAILQ_NEXT(early, in_state), late);
	requests_clear(&requests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(everything_is_found_as_a_walk_finds_it),
	        cmocka_unit_test(those_asked_in_vain_wait_in_front),
	};

	return cmocka_run_group_tests_name("notifier_requests", tests, NULL, NULL);
}
