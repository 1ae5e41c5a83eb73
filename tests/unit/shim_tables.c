/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* GIDs and P_Keys that stand at other places on the new device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "preload/objects.h"
#include "tests/unit/shim_fake_tables.h"
#include "tests/unit/shim_harness.h"

static struct harness harness;

static int setup(void **state)
{
	memset(&harness, 0, sizeof(harness));
	harness_open(&harness);
	fake_tables = (struct fake_tables){{1, 2, 3}, {0x7fff, 0x8001, 0x8002}, false};
	*state = &harness;
	return 0;
}

/* All at other places, and something new. */
static void tables_of_the_new_device(void)
{
	fake_tables = (struct fake_tables){{4, 3, 1, 2}, {0x8002, 0x8003, 0x8001, 0x7fff}, false};
}

static void moves(struct harness *h)
{
	harness_stop(h);
	tables_of_the_new_device();
	harness_go_on(h);
}

static uint8_t gid_at(struct harness *h, int index)
{
	union ibv_gid gid;

	assert_int_equal(ibv_query_gid(h->vm.context, 1, index, &gid), 0);
	return gid.raw[15];
}

static uint16_t pkey_at(struct harness *h, int index)
{
	__be16 pkey;

	assert_int_equal(ibv_query_pkey(h->vm.context, 1, index, &pkey), 0);
	return be16toh(pkey);
}

static void tables_show(struct harness *h)
{
	const uint8_t gids[] = {1, 2, 3};
	const uint16_t pkeys[] = {0x7fff, 0x8001, 0x8002};

	for (int i = 0; i < 3; i++) {
		struct ibv_gid_entry entry;

		assert_int_equal(gid_at(h, i), gids[i]);
		assert_int_equal(ibv_query_gid_ex(h->vm.context, 1, (uint32_t)i, &entry, 0), 0);
		assert_int_equal(entry.gid.raw[15], gids[i]);
		assert_int_equal(entry.gid_index, i);
		assert_int_equal(pkey_at(h, i), pkeys[i]);
		assert_int_equal(ibv_get_pkey_index(h->vm.context, 1, htobe16(pkeys[i])), i);
	}
}

static void the_application_goes_on_seeing_what_it_saw(void **state)
{
	struct ibv_gid_entry entries[FAKE_GIDS];
	struct harness *h = *state;

	tables_show(h);
	moves(h);
	tables_show(h);
	assert_int_equal(ibv_query_gid_table(h->vm.context, entries, FAKE_GIDS, 0), 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(entries[i].gid_index, i);
		assert_int_equal(entries[i].gid.raw[15], i + 1);
	}
	assert_int_equal(ibv_query_gid_table(h->vm.context, entries, 2, 0), -EINVAL);
	assert_int_equal(ibv_query_gid(h->vm.context, 1, FAKE_GIDS, &entries[0].gid), -1);
}

/* No public header has it; ibv_devinfo(1) asks it. */
int ibv_query_gid_type(struct ibv_context *, uint8_t, unsigned, unsigned *);

/* The last entry is empty. */
static void types_of_gids_are_those_that_it_saw(void **state)
{
	const unsigned types[] = {0, 1, 0, 0};
	struct harness *h = *state;
	unsigned type;

	for (int moved = 0; moved < 2; moved++) {
		for (unsigned i = 0; i < 4; i++) {
			type = 7;
			assert_int_equal(ibv_query_gid_type(h->vm.context, 1, i, &type), 0);
			assert_int_equal(type, types[i]);
		}
		assert_int_equal(ibv_query_gid_type(h->vm.context, 1, FAKE_GIDS, &type), -1);
		if (!moved)
			moves(h);
	}
}

static void while_there_is_no_device_it_sees_it_too(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	tables_show(h);
	tables_of_the_new_device();
	fake.slot = 1;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	tables_show(h);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	tables_show(h);
}

/* Where nothing stood there is room for what is new: where the device has it, if that is free. */
static void what_is_new_is_found_where_nothing_stood(void **state)
{
	struct harness *h = *state;
	int index;

	moves(h);
	index = ibv_get_pkey_index(h->vm.context, 1, htobe16(0x8003));
	assert_int_equal(index, 3);
	assert_int_equal(pkey_at(h, 3), 0x8003);
	assert_int_equal(ibv_get_pkey_index(h->vm.context, 1, htobe16(0x9999)), -1);
	/* Before it is moved again, it is asked what it has. */
	assert_int_equal(gid_at(h, 3), 0);
	moves(h);
	assert_int_equal(gid_at(h, 3), 4);
	tables_show(h);
}

static struct ibv_qp *qp_in_init(struct harness *h, uint16_t pkey_index)
{
	struct ibv_qp_init_attr init = {.send_cq = h->vm.cq,
	        .recv_cq = h->vm.cq,
	        .cap = {.max_send_wr = 1, .max_send_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp_attr attr = {
	        .qp_state = IBV_QPS_INIT, .port_num = 1, .pkey_index = pkey_index};
	struct ibv_qp *qp = ibv_create_qp(h->vm.pd, &init);

	assert_non_null(qp);
	assert_int_equal(
	        ibv_modify_qp(qp, &attr,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	return qp;
}

static uint16_t shown_pkey_index(struct ibv_qp *qp)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	assert_int_equal(ibv_query_qp(qp, &attr, IBV_QP_PKEY_INDEX, &init), 0);
	return attr.pkey_index;
}

static void a_queue_pair_keeps_its_pkey(void **state)
{
	struct harness *h = *state;
	struct ibv_qp *before = qp_in_init(h, 1), *after;

	assert_int_equal(fake_qp_pkey_index(real_of(before)), 1);
	moves(h);
	assert_int_equal(fake_qp_pkey_index(real_of(before)), 2);
	assert_int_equal(shown_pkey_index(before), 1);
	after = qp_in_init(h, 2);
	assert_int_equal(fake_qp_pkey_index(real_of(after)), 0);
	assert_int_equal(shown_pkey_index(after), 2);
	assert_int_equal(ibv_destroy_qp(before), 0);
	assert_int_equal(ibv_destroy_qp(after), 0);
}

static void a_completion_names_the_pkey_as_before(void **state)
{
	const struct port_tables *tables = &context_of(harness.vm.context)->tables[0];

	assert_int_equal(port_tables_pkey_to_shown(tables, 1), 1);
	moves(*state);
	assert_int_equal(port_tables_pkey_to_shown(tables, 3), 0);
	assert_int_equal(port_tables_pkey_to_shown(tables, 2), 1);
	assert_int_equal(port_tables_pkey_to_shown(tables, 0), 2);
	assert_int_equal(port_tables_pkey_to_shown(tables, 100), 100);
}

static struct ibv_ah *handle_from(struct harness *h, uint8_t sgid_index)
{
	struct ibv_ah_attr attr = {.dlid = FAKE_LID_PEER,
	        .port_num = 1,
	        .is_global = 1,
	        .grh = {.sgid_index = sgid_index, .dgid = fake_gid(9)}};

	return ibv_create_ah(h->vm.pd, &attr);
}

static uint8_t real_sgid_index(struct ibv_ah *ah)
{
	return fake_ah_attr(address_handle_of(ah)->real)->grh.sgid_index;
}

static void an_address_handle_keeps_its_source(void **state)
{
	struct harness *h = *state;
	struct ibv_ah *before = handle_from(h, 2), *after;

	assert_int_equal(real_sgid_index(before), 2);
	moves(h);
	assert_int_equal(real_sgid_index(before), 1);
	after = handle_from(h, 0);
	assert_int_equal(real_sgid_index(after), 2);
	assert_int_equal(ibv_destroy_ah(before), 0);
	assert_int_equal(ibv_destroy_ah(after), 0);
}

static void an_answer_to_a_datagram_comes_from_where_it_was_sent_to(void **state)
{
	struct ibv_grh grh = {.sgid = fake_gid(9), .dgid = fake_gid(2)};
	struct ibv_wc wc = {.slid = FAKE_LID_PEER, .wc_flags = IBV_WC_GRH};
	struct ibv_ah_attr attr;
	struct harness *h = *state;
	struct ibv_ah *ah;

	moves(h);
	assert_int_equal(ibv_init_ah_from_wc(h->vm.context, 1, &wc, &grh, &attr), 0);
	assert_int_equal(attr.grh.sgid_index, 1);
	ah = ibv_create_ah_from_wc(h->vm.pd, &wc, &grh, 1);
	assert_non_null(ah);
	assert_int_equal(real_sgid_index(ah), 3);
	assert_int_equal(ibv_destroy_ah(ah), 0);
}

static void a_connection_keeps_its_source(void **state)
{
	struct harness *h = *state;
	struct queue_pair *qp;

	end_create_qp(&h->vm, h);
	end_create_qp(&h->peer, h);
	end_connect(&h->vm, &h->peer, FAKE_LID_PEER);
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
	qp = queue_pair_of(h->vm.qp);
	qp->attr.ah_attr.is_global = 1;
	qp->attr.ah_attr.grh.sgid_index = 1;
	moves(h);
	assert_int_equal(fake_qp_ah_attr(real_of(h->vm.qp))->grh.sgid_index, 3);
}

/* It goes back to where it was. */
static void a_device_without_what_is_used_is_refused_by_name(void **state)
{
	struct harness *h = *state;
	struct ibv_qp *qp = qp_in_init(h, 1);

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	fake_tables.pkeys[1] = 0;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, FAILED);
	assert_string_equal(harness_reason(h), "table-entry-missing");
	fake_tables.pkeys[3] = 0x8001;
	harness_arrive(h);
	assert_int_equal(fake_qp_pkey_index(real_of(qp)), 3);
	assert_int_equal(ibv_destroy_qp(qp), 0);
}

static void what_is_missing_and_not_used_holds_nothing_up(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	memset(fake_tables.gids, 0, sizeof(fake_tables.gids));
	harness_go_on(h);
	tables_show(h);
	errno = 0;
	assert_null(handle_from(h, 1));
	assert_int_equal(errno, EINVAL);
}

static void a_device_that_cannot_be_asked_has_its_own_places(void **state)
{
	struct harness *h = *state;

	fake_tables.cannot_be_asked = true;
	moves(h);
	assert_int_equal(gid_at(h, 0), 4);
	assert_int_equal(pkey_at(h, 0), 0x8002);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_application_goes_on_seeing_what_it_saw),
	        TEST(types_of_gids_are_those_that_it_saw),
	        TEST(while_there_is_no_device_it_sees_it_too),
	        TEST(what_is_new_is_found_where_nothing_stood),
	        TEST(a_queue_pair_keeps_its_pkey),
	        TEST(a_completion_names_the_pkey_as_before),
	        TEST(an_address_handle_keeps_its_source),
	        TEST(an_answer_to_a_datagram_comes_from_where_it_was_sent_to),
	        TEST(a_connection_keeps_its_source),
	        TEST(a_device_without_what_is_used_is_refused_by_name),
	        TEST(what_is_missing_and_not_used_holds_nothing_up),
	        TEST(a_device_that_cannot_be_asked_has_its_own_places),
	};

	return cmocka_run_group_tests_name("shim_tables", tests, NULL, NULL);
}
