/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The raw sender over a libibumad that the test plays: what it compares, what it sends, and what it
 * takes for an answer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/monotonic.h"
#include "sm-side/raw/smp_sender_umad.h"
#include "unit/raw_wire.h"

enum {
	SWITCH = 0x10,
	CA = 0x20,
	PORT_GUID = 0x21,
	SWITCH_PORT = 5,
	SWITCH_LID = 77,
	A_MINUTE_MS = 60000
};

/* A switch with one CA. */
struct made {
	struct fabric_read *fabric;
	struct umad_window *window;
	struct smp_sender *sender;
	struct plan_change change;
};

static struct read_node *node(struct made *m, uint64_t guid)
{
	return fabric_read_find(m->fabric, guid);
}

static void lid_put(uint8_t *info, uint16_t lid)
{
	info[16] = (uint8_t)(lid >> 8);
	info[17] = (uint8_t)lid;
}

static void fabric_make(struct made *m)
{
	static const struct smp_node_info sw = {SMP_NODE_SWITCH, 8, 1, SWITCH, SWITCH};
	static const struct smp_node_info ca = {SMP_NODE_CA, 1, 1, CA, PORT_GUID};
	struct smp_route route = {.hops = 1, .path = {0, 1}};

	m->fabric = fabric_read_create();
	fabric_read_add(m->fabric, &sw, &route);
	route = (struct smp_route){.hops = 2, .path = {0, 1, SWITCH_PORT}};
	fabric_read_add(m->fabric, &ca, &route);
	fabric_read_join(m->fabric, 0, SWITCH_PORT, 1, 1);
	fabric_read_make_lft(node(m, SWITCH), 127);
	node(m, SWITCH)->ports[0].has_info = true;
	lid_put(node(m, SWITCH)->ports[0].info, SWITCH_LID);
	node(m, CA)->ports[1] = (struct read_port){
	        .peer = 0, .peer_port = SWITCH_PORT, .has_info = true, .guid = PORT_GUID};
	memset(node(m, CA)->ports[1].info, 0x11, SMP_DATA_BYTES);
}

static int make_by(void **state, bool by_lid)
{
	static const struct umad_window_settings settings = {
	        .window = 4, .timeout_ms = A_MINUTE_MS, .tries = 3};
	struct made *m = calloc(1, sizeof(*m));

	memset(&wire, 0, sizeof(wire));
	fabric_make(m);
	assert_int_equal(umad_window_open(&settings, &m->window), 0);
	m->sender = smp_sender_umad_create(m->window, m->fabric, by_lid);
	m->change = (struct plan_change){.switch_guid = SWITCH, .block = 1};
	memset(m->change.before, LFT_NO_PORT, LFT_BLOCK_LIDS);
	memset(m->change.after, 3, LFT_BLOCK_LIDS);
	*state = m;
	return 0;
}

static int make(void **state)
{
	return make_by(state, false);
}

static int make_by_lid(void **state)
{
	return make_by(state, true);
}

static int unmake(void **state)
{
	struct made *m = *state;

	m->sender->kind->destroy(m->sender);
	umad_window_close(m->window);
	fabric_read_destroy(m->fabric);
	free(m);
	return 0;
}

static int wait_for(struct made *m, uint32_t *resent)
{
	*resent = 0;
	return m->sender->kind->lft_wait(
	        m->sender, monotonic_ns() + A_MINUTE_MS * NS_PER_MS, resent);
}

static void a_block_is_written_and_believed_when_acknowledged(void **state)
{
	struct made *m = *state;
	uint32_t resent;

	assert_int_equal(m->sender->kind->lft_write(m->sender, &m->change), 0);
	assert_int_equal(wire.count, 0);
	assert_int_equal(node(m, SWITCH)->lft[64], LFT_NO_PORT);
	assert_int_equal(wait_for(m, &resent), 0);
	assert_int_equal(wire.count, 1);
	assert_int_equal(wire.sent[0][1], SMP_CLASS_DIRECTED);
	assert_int_equal(wire.sent[0][3], SMP_SET);
	assert_int_equal(wire_modifier(0), 1);
	assert_memory_equal(wire_data(0), m->change.after, LFT_BLOCK_LIDS);
	assert_int_equal(node(m, SWITCH)->lft[64], 3);
	assert_int_equal(node(m, SWITCH)->lft[63], LFT_NO_PORT);
}

static void what_does_not_fit_is_not_sent(void **state)
{
	struct made *m = *state;
	struct plan_change other = m->change;
	uint32_t resent;

	other.switch_guid = SWITCH + 1;
	assert_int_equal(m->sender->kind->lft_write(m->sender, &other), -ENOENT);
	other.switch_guid = CA;
	assert_int_equal(m->sender->kind->lft_write(m->sender, &other), -ENOENT);
	other = m->change;
	other.block = 2;
	assert_int_equal(m->sender->kind->lft_write(m->sender, &other), -ENOSPC);
	other = m->change;
	other.before[7] = 1;
	assert_int_equal(m->sender->kind->lft_write(m->sender, &other), -ESTALE);
	assert_int_equal(m->sender->kind->lid_write(m->sender, CA, 7), -ENOENT);
	assert_int_equal(wait_for(m, &resent), 0);
	assert_int_equal(wire.count, 0);
}

static void after_an_error_nothing_of_that_wave_is_sent(void **state)
{
	struct made *m = *state;
	struct plan_change other = m->change;
	uint32_t resent;

	other.block = 9;
	assert_int_equal(m->sender->kind->lft_write(m->sender, &m->change), 0);
	assert_int_equal(m->sender->kind->lft_write(m->sender, &other), -ENOSPC);
	assert_int_equal(wait_for(m, &resent), 0);
	assert_int_equal(wire.count, 0);
}

static void another_answer_is_no_acknowledgement(void **state)
{
	struct made *m = *state;
	uint32_t resent;

	wire.spoil = 1;
	wire.spoil_at = 63;
	assert_int_equal(m->sender->kind->lft_write(m->sender, &m->change), 0);
	assert_int_equal(wait_for(m, &resent), 0);
	assert_int_equal(wire.count, 2);
	assert_int_equal(resent, 1);
}

static void what_is_never_acknowledged_is_not_believed(void **state)
{
	struct made *m = *state;
	uint32_t resent;

	wire.spoil = 100;
	assert_int_equal(m->sender->kind->lft_write(m->sender, &m->change), 0);
	assert_int_equal(wait_for(m, &resent), -ETIMEDOUT);
	assert_int_equal(wire.count, 3);
	assert_int_equal(node(m, SWITCH)->lft[64], LFT_NO_PORT);
	assert_ptr_equal(smp_sender_umad_culprit(m->sender), node(m, SWITCH));
	wire.spoil = 0;
	assert_int_equal(wait_for(m, &resent), 0);
	assert_null(smp_sender_umad_culprit(m->sender));
}

static void a_refusal_is_not_asked_for_again(void **state)
{
	struct made *m = *state;
	uint32_t resent;

	wire.status = 0x1c;
	assert_int_equal(m->sender->kind->lid_write(m->sender, PORT_GUID, 7), 0);
	assert_int_equal(wait_for(m, &resent), -EREMOTEIO);
	assert_int_equal(wire.count, 1);
	assert_ptr_equal(smp_sender_umad_culprit(m->sender), node(m, CA));
}

/* A port answers with what it has; of that the LID alone was asked for. */
static void a_lid_is_acknowledged_by_the_lid(void **state)
{
	struct made *m = *state;
	struct smp_port_info info;
	uint32_t resent;

	wire.spoil = 1;
	wire.spoil_at = 30;
	assert_int_equal(m->sender->kind->lid_write(m->sender, PORT_GUID, 7), 0);
	assert_int_equal(wait_for(m, &resent), 0);
	assert_int_equal(resent, 0);
	assert_int_equal(wire_modifier(0), 1);
	smp_port_info_decode(node(m, CA)->ports[1].info, &info);
	assert_int_equal(info.lid, 7);
	wire.spoil = 1;
	wire.spoil_at = 17;
	assert_int_equal(m->sender->kind->lid_write(m->sender, PORT_GUID, 8), 0);
	assert_int_equal(wait_for(m, &resent), 0);
	assert_int_equal(resent, 1);
}

static void pkeys_go_to_the_ca_or_to_the_port_before_it(void **state)
{
	static const uint8_t block[PKEY_BLOCK_BYTES] = {0x80, 0x01};
	struct made *m = *state;
	const struct smp_sender_kind *kind = m->sender->kind;
	uint32_t resent;

	assert_int_equal(kind->pkeys_write(m->sender, PORT_GUID, PKEYS_OF_CA, 2, block), 0);
	assert_int_equal(
	        kind->pkeys_write(m->sender, PORT_GUID, PKEYS_OF_SWITCH_PORT, 2, block), 0);
	assert_int_equal(kind->pkeys_write(m->sender, CA, PKEYS_OF_CA, 2, block), -ENOENT);
	assert_int_equal(wait_for(m, &resent), 0);
	assert_int_equal(wire_modifier(0), 2);
	assert_int_equal(wire.sent[0][7], 2);
	assert_int_equal(wire_modifier(1), SWITCH_PORT << 16 | 2);
	assert_int_equal(wire.sent[1][7], 1);
	assert_memory_equal(wire_data(1), block, sizeof(block));
}

static void by_lid_goes_what_is_for_switches(void **state)
{
	struct made *m = *state;
	uint32_t resent;

	assert_int_equal(m->sender->kind->lft_write(m->sender, &m->change), 0);
	assert_int_equal(m->sender->kind->lid_write(m->sender, PORT_GUID, 7), 0);
	assert_int_equal(wait_for(m, &resent), 0);
	assert_int_equal(wire.sent[0][1], SMP_CLASS_LID);
	assert_int_equal(wire.to_lid[0], SWITCH_LID);
	assert_int_equal(wire.sent[1][1], SMP_CLASS_DIRECTED);
	assert_int_equal(wire.to_lid[1], SMP_LID_PERMISSIVE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
	        TEST(a_block_is_written_and_believed_when_acknowledged),
	        TEST(what_does_not_fit_is_not_sent),
	        TEST(after_an_error_nothing_of_that_wave_is_sent),
	        TEST(another_answer_is_no_acknowledgement),
	        TEST(what_is_never_acknowledged_is_not_believed),
	        TEST(a_refusal_is_not_asked_for_again),
	        TEST(a_lid_is_acknowledged_by_the_lid),
	        TEST(pkeys_go_to_the_ca_or_to_the_port_before_it),
#undef TEST
	        cmocka_unit_test_setup_teardown(
	                by_lid_goes_what_is_for_switches, make_by_lid, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
