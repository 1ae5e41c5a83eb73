/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The plugin's sender over an OpenSM of one switch that answers nothing by itself. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/monotonic.h"
#include "sm-side/plugin/osm_model.h"
#include "sm-side/identity/smp_sender.h"

enum { BLOCKS = 4 };

static osm_opensm_t osm;
static osm_switch_t one_switch;
static uint8_t lft[BLOCKS * LFT_BLOCK_LIDS], new_lft[BLOCKS * LFT_BLOCK_LIDS];
static unsigned sent[BLOCKS];
static ib_api_status_t send_status;

/* ---- what the sender calls of OpenSM ---- */

volatile unsigned int osm_exit_flag;

osm_switch_t *osm_model_switch(const osm_opensm_t *of, uint64_t guid)
{
	return &one_switch;
}

osm_port_t *osm_model_port(const osm_opensm_t *of, uint64_t guid)
{
	return NULL;
}

ib_api_status_t osm_req_set(IN osm_sm_t *sm, IN const osm_dr_path_t *path,
        IN const uint8_t *payload, IN size_t size, IN ib_net16_t attribute, IN ib_net32_t modifier,
        IN boolean_t full, IN ib_net64_t m_key, IN unsigned timeout, IN cl_disp_msgid_t error,
        IN const osm_madw_context_t *context)
{
	sent[cl_ntoh32(modifier)]++;
	return send_status;
}

ib_api_status_t osm_req_get(IN osm_sm_t *sm, IN const osm_dr_path_t *path, IN ib_net16_t attribute,
        IN ib_net32_t modifier, IN boolean_t full, IN ib_net64_t m_key, IN unsigned timeout,
        IN cl_disp_msgid_t error, IN const osm_madw_context_t *context)
{
	return send_status;
}

/* ---- the tests ---- */

static int world_make(void **state)
{
	osm_node_t *node = calloc(1, sizeof(*node) + sizeof(osm_physp_t));

	memset(&osm, 0, sizeof(osm));
	cl_plock_init(&osm.lock);
	pthread_mutex_init(&osm.stats.mutex, NULL);
	node->physp_tbl_size = 1;
	node->physp_table[0].port_guid = 1;
	one_switch = (osm_switch_t){
	        .p_node = node, .lft = lft, .new_lft = new_lft, .lft_size = sizeof(lft)};
	memset(lft, 0, sizeof(lft));
	memset(new_lft, 0, sizeof(new_lft));
	memset(sent, 0, sizeof(sent));
	send_status = IB_SUCCESS;
	*state = smp_sender_opensm_create(&osm);
	return 0;
}

static int world_end(void **state)
{
	struct smp_sender *sender = *state;

	sender->kind->destroy(sender);
	free(one_switch.p_node);
	cl_plock_destroy(&osm.lock);
	return 0;
}

static int block_write(struct smp_sender *sender, uint16_t block)
{
	struct plan_change change = {.block = block};

	memset(change.after, block + 1, sizeof(change.after));
	return sender->kind->lft_write(sender, &change);
}

/* As OpenSM's handler takes it in. */
static void block_answered(struct smp_sender *sender, uint16_t block)
{
	memset(lft + (size_t)block * LFT_BLOCK_LIDS, block + 1, LFT_BLOCK_LIDS);
	smp_sender_opensm_acknowledged(sender, &one_switch, block);
}

static uint64_t soon_ns(void)
{
	return monotonic_ns() + 20000000000ULL;
}

static void a_lost_block_is_sent_again(void **state)
{
	struct smp_sender *sender = *state;
	uint32_t resent = 0;

	assert_int_equal(block_write(sender, 0), 0);
	assert_int_equal(block_write(sender, 1), 0);
	block_answered(sender, 1);
	assert_int_equal(sender->kind->lft_wait(sender, soon_ns(), &resent), -ETIMEDOUT);
	assert_true(resent > 0);
	assert_int_equal(sent[0], 1 + resent);
	assert_int_equal(sent[1], 1);
}

/* Its blocks would be sent again under the next plan, over what that has written. */
static void an_attempt_that_failed_leaves_nothing_to_wait_for(void **state)
{
	struct smp_sender *sender = *state;
	uint32_t resent = 0;

	assert_int_equal(block_write(sender, 0), 0);
	send_status = IB_ERROR;
	assert_int_equal(block_write(sender, 1), -EIO);
	send_status = IB_SUCCESS;
	assert_int_equal(block_write(sender, 2), 0);
	block_answered(sender, 0); /* late */
	block_answered(sender, 2);
	assert_int_equal(sender->kind->lft_wait(sender, soon_ns(), &resent), 0);
	assert_int_equal(resent, 0);
	assert_int_equal(sent[0], 1);
	assert_int_equal(sent[1], 1);
}

static void a_block_that_is_not_as_planned_leaves_nothing_to_wait_for_either(void **state)
{
	struct smp_sender *sender = *state;
	uint32_t resent = 0;

	assert_int_equal(block_write(sender, 0), 0);
	new_lft[LFT_BLOCK_LIDS] = 9;
	assert_int_equal(block_write(sender, 1), -ESTALE);
	assert_int_equal(sender->kind->lft_wait(sender, soon_ns(), &resent), 0);
	assert_int_equal(sent[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_lost_block_is_sent_again, world_make, world_end),
	        cmocka_unit_test_setup_teardown(
	                an_attempt_that_failed_leaves_nothing_to_wait_for, world_make, world_end),
	        cmocka_unit_test_setup_teardown(
	                a_block_that_is_not_as_planned_leaves_nothing_to_wait_for_either,
	                world_make, world_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
