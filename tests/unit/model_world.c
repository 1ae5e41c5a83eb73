/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The world of the model test: it moves VMs, and does the same each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/model/root.h"
#include "tests/model/world.h"

enum { BYTES = 1 << 16, DEPTH = 64, MESSAGES = 200, TURNS_MAX = 200000 };

struct side {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	uint8_t memory[BYTES];
	unsigned sent, received, posted;
};

/* What a run came to, for whoever compares. */
struct outcome {
	uint64_t turns, now_ns, hash;
	unsigned moves;
};

static struct side sides[2];

static void side_open(struct side *s, unsigned vm)
{
	struct ibv_qp_init_attr attr = {.qp_type = IBV_QPT_RC,
	        .cap = {.max_send_wr = DEPTH,
	                .max_recv_wr = DEPTH,
	                .max_send_sge = 1,
	                .max_recv_sge = 1,
	                .max_inline_data = 8}};

	s->context = world_open(vm);
	assert_non_null(s->context);
	s->pd = ibv_alloc_pd(s->context);
	s->mr = ibv_reg_mr(s->pd, s->memory, BYTES, IBV_ACCESS_LOCAL_WRITE);
	s->cq = ibv_create_cq(s->context, 4 * DEPTH, NULL, NULL, 0);
	attr.send_cq = attr.recv_cq = s->cq;
	s->qp = ibv_create_qp(s->pd, &attr);
	assert_non_null(s->qp);
}

static void side_connect(struct side *s, const struct side *to, uint16_t lid)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT, .port_num = 1};

	assert_int_equal(
	        ibv_modify_qp(s->qp, &attr,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = to->qp->qp_num,
	        .rq_psn = 0xfffff0,
	        .max_dest_rd_atomic = 4,
	        .min_rnr_timer = 1,
	        .ah_attr = {.dlid = lid, .port_num = 1}};
	assert_int_equal(
	        ibv_modify_qp(s->qp, &attr,
	                IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
	                        IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS,
	        .sq_psn = 0xfffff0,
	        .timeout = 14,
	        .retry_cnt = 7,
	        .rnr_retry = 7,
	        .max_rd_atomic = 4};
	assert_int_equal(ibv_modify_qp(s->qp, &attr,
	                         IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
	                                 IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC),
	        0);
}

static void post(struct side *s)
{
	struct ibv_sge sge = {.addr = (uintptr_t)s->memory, .length = 3000, .lkey = s->mr->lkey};
	struct ibv_recv_wr receive = {.wr_id = 1000 + s->posted, .sg_list = &sge, .num_sge = 1},
	                   *bad;
	struct ibv_send_wr send = {.wr_id = s->sent,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_SEND,
	                           .send_flags = IBV_SEND_SIGNALED},
	                   *bad_send;

	if (s->posted < MESSAGES && s->posted - s->received < 8 &&
	        !ibv_post_recv(s->qp, &receive, &bad))
		s->posted++;
	sge.addr += BYTES / 2;
	memcpy(s->memory + BYTES / 2, &s->sent, sizeof(s->sent));
	sge.length = 8;
	send.send_flags |= IBV_SEND_INLINE;
	if (s->sent < MESSAGES && !ibv_post_send(s->qp, &send, &bad_send))
		s->sent++;
}

static void take(struct side *s, struct outcome *outcome)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(s->cq, 1, &wc) == 1) {
		assert_int_equal(wc.status, IBV_WC_SUCCESS);
		outcome->hash = outcome->hash * 31 + wc.wr_id + (uint64_t)(s - sides);
		if (wc.opcode & IBV_WC_RECV)
			assert_int_equal(wc.wr_id, 1000 + s->received++);
	}
}

static void go_on(void *argument)
{
	for (int i = 0; i < 2; i++) {
		if (!world_draw(3))
			post(&sides[i]);
		if (!world_draw(3))
			take(&sides[i], argument);
	}
}

static void expect_done(struct migration *m, Tether__Step step, struct outcome *outcome)
{
	Tether__Outcome is = root_step(m, step, go_on, outcome);

	if (is != TETHER__OUTCOME__OUTCOME_DONE)
		fail_msg("step %d: %d %s", step, is, m->reason);
}

static void move(unsigned vm, struct outcome *outcome)
{
	struct migration m;

	root_begin(&m, vm);
	expect_done(&m, TETHER__STEP__STEP_PREPARE, outcome);
	expect_done(&m, TETHER__STEP__STEP_STOP, outcome);
	expect_done(&m, TETHER__STEP__STEP_SETTLE, outcome);
	expect_done(&m, TETHER__STEP__STEP_RELEASE, outcome);
	assert_true(root_move_device(&m, world_free_slot()));
	expect_done(&m, TETHER__STEP__STEP_ATTACH, outcome);
	expect_done(&m, TETHER__STEP__STEP_RECONNECT, outcome);
	expect_done(&m, TETHER__STEP__STEP_RESUME, outcome);
	root_end(&m);
	outcome->moves++;
}

static void run(uint64_t seed, struct outcome *outcome)
{
	static const char *const lossy[] = {
	        "drop.request=0.02", "drop.ack=0.1", "drop.rnr=0.1", NULL};

	world_begin(seed, lossy);
	world.hasty = 200;
	side_open(&sides[0], 0);
	side_open(&sides[1], 1);
	side_connect(&sides[0], &sides[1], world_lid_of(1));
	side_connect(&sides[1], &sides[0], world_lid_of(0));
	while (sides[0].received < MESSAGES || sides[1].received < MESSAGES) {
		go_on(outcome);
		world_turn();
		assert_true(world.turns < TURNS_MAX);
		if (outcome->moves < 2 && sides[0].received > 50 * (outcome->moves + 1))
			move(outcome->moves, outcome);
	}
	outcome->turns = world.turns;
	outcome->now_ns = world.now_ns;
	world_end();
}

/* In a process of its own, as each world is. */
static void run_apart(uint64_t seed, struct outcome *outcome)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		run(seed, outcome);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("seed %llu: status 0x%x", (unsigned long long)seed, (unsigned)status);
}

static void everything_arrives_once_through_moves_of_both_ends(void **state)
{
	struct outcome *outcome = *state;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		memset(outcome, 0, sizeof(*outcome));
		run_apart(seed, outcome);
		assert_int_equal(outcome->moves, 2);
	}
}

static void a_seed_makes_one_run(void **state)
{
	struct outcome *outcomes = *state;

	memset(outcomes, 0, 3 * sizeof(*outcomes));
	for (int i = 0; i < 3; i++)
		run_apart(i == 2 ? 8 : 7, &outcomes[i]);
	assert_memory_equal(&outcomes[0], &outcomes[1], sizeof(outcomes[0]));
	assert_int_not_equal(outcomes[0].turns, outcomes[2].turns);
}

/* However its process ends nothing is left of it. */
static void a_world_that_stands_has_no_names(void **state)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		const char *name;

		world_begin(1, NULL);
		name = getenv("SIMFABRIC");
		_exit(name && access(name, F_OK) ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int share(void **state)
{
	*state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return *state == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(everything_arrives_once_through_moves_of_both_ends, share),
	        cmocka_unit_test_setup(a_seed_makes_one_run, share),
	        cmocka_unit_test(a_world_that_stands_has_no_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
