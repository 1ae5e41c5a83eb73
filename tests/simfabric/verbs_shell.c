/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * verbs-shell: libibverbs by the line. Reads one command a line and answers each with one line,
 * "ok ..." or "error ERRNO"; so a test script can hold two ends of a connection in its hands and
 * look at every state between. One context, one PD, one region, a send and a receive CQ on one
 * channel, an SRQ if asked for.
 *
 *   open [plain]                                 device, LID; plain: without the channel
 *   limits                                       what the device claims
 *   qp [srq] [KEY=N...]                          number, QPN      then named by its number
 *       wr recv sge inline: what the queues shall hold
 *   connect QP LID QPN SQ_PSN RQ_PSN [KEY=N...]  timeout retry rnr rnr_timer reads mtu access
 *   recv QP|srq WR_ID OFFSET LENGTH
 *   send|write|read|add|cas QP WR_ID OFFSET LENGTH [KEY=N...]
 *       raddr rkey imm add compare swap, flags: unsignalled=1 inline=1 fence=1 solicited=1
 *   poll send|recv MS                            one completion, or "none" after MS
 *   arm send|recv SOLICITED, cqevent MS, event MS
 *   state QP NUMBER, query QP
 *   fill OFFSET LENGTH SEED, same OFFSET LENGTH SEED, word OFFSET [VALUE]
 *   dereg, rereg, sleep MS, destroy QP, close, quit
 *   fork                                         a child that does nothing; its pid
 *   daemon                                       the child goes on here, the parent ends; its pid
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <infiniband/verbs.h>

enum {
	MEMORY_BYTES = 1 << 20,
	QPS_MAX = 32,
	WORDS_MAX = 24,
	ALL_ACCESS = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	             IBV_ACCESS_REMOTE_ATOMIC,
};

static struct {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_comp_channel *channel;
	struct ibv_cq *send_cq, *recv_cq;
	struct ibv_srq *srq;
	struct ibv_qp *qps[QPS_MAX];
	int qp_count;
	uint8_t *memory;
} shell;

struct command {
	int count;
	char *words[WORDS_MAX];
};

static uint64_t number(const struct command *command, int index)
{
	return index < command->count ? strtoull(command->words[index], NULL, 0) : 0;
}

/* The value of KEY=N among the words, or @otherwise. */
static uint64_t option(const struct command *command, const char *key, uint64_t otherwise)
{
	size_t length = strlen(key);

	for (int i = 1; i < command->count; i++) {
		if (!strncmp(command->words[i], key, length) && command->words[i][length] == '=')
			return strtoull(command->words[i] + length + 1, NULL, 0);
	}
	return otherwise;
}

static struct ibv_qp *qp_of(const struct command *command)
{
	uint64_t index = number(command, 1);

	return index < QPS_MAX ? shell.qps[index] : NULL;
}

static void answer(int err)
{
	if (err)
		printf("error %d\n", err);
	else
		printf("ok\n");
}

static void answer_errno(void)
{
	answer(errno ? errno : EINVAL);
}

/* ---- objects ---- */

static int make_objects(bool is_plain)
{
	shell.pd = ibv_alloc_pd(shell.context);
	shell.mr = shell.pd ? ibv_reg_mr(shell.pd, shell.memory, MEMORY_BYTES, ALL_ACCESS) : NULL;
	shell.channel = is_plain ? NULL : ibv_create_comp_channel(shell.context);
	if (!shell.mr || (!is_plain && !shell.channel))
		return -1;
	shell.send_cq = ibv_create_cq(shell.context, 1024, NULL, shell.channel, 0);
	shell.recv_cq = ibv_create_cq(shell.context, 1024, NULL, shell.channel, 0);
	return shell.send_cq && shell.recv_cq ? 0 : -1;
}

static void do_open(const struct command *command)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	bool is_plain = command->count > 1 && !strcmp(command->words[1], "plain");
	struct ibv_port_attr port;

	errno = ENODEV;
	shell.context = list && list[0] ? ibv_open_device(list[0]) : NULL;
	if (list)
		ibv_free_device_list(list);
	if (!shell.context || make_objects(is_plain) || ibv_query_port(shell.context, 1, &port)) {
		answer_errno();
		return;
	}
	printf("ok device=%s lid=%u state=%d address=%" PRIu64 " rkey=%u\n",
	        ibv_get_device_name(shell.context->device), port.lid, port.state,
	        (uint64_t)(uintptr_t)shell.memory, shell.mr->rkey);
}

static void do_qp(const struct command *command)
{
	struct ibv_srq_init_attr srq_attr = {.attr = {.max_wr = 64, .max_sge = 1}};
	struct ibv_qp_init_attr attr = {.send_cq = shell.send_cq,
	        .recv_cq = shell.recv_cq,
	        .cap = {.max_send_wr = (uint32_t)option(command, "wr", 64),
	                .max_recv_wr = (uint32_t)option(command, "recv", 64),
	                .max_send_sge = (uint32_t)option(command, "sge", 1),
	                .max_recv_sge = 1,
	                .max_inline_data = (uint32_t)option(command, "inline", 64)},
	        .qp_type = IBV_QPT_RC};
	bool wants_srq = command->count > 1 && !strcmp(command->words[1], "srq");
	struct ibv_qp *qp;

	if (wants_srq && !shell.srq)
		shell.srq = ibv_create_srq(shell.pd, &srq_attr);
	if (wants_srq)
		attr.srq = shell.srq;
	qp = shell.qp_count < QPS_MAX ? ibv_create_qp(shell.pd, &attr) : NULL;
	if (!qp) {
		answer_errno();
		return;
	}
	shell.qps[shell.qp_count++] = qp;
	printf("ok qp=%d qpn=%u\n", shell.qp_count - 1, qp->qp_num);
}

static void do_limits(const struct command *command)
{
	struct ibv_device_attr attr;
	int err = ibv_query_device(shell.context, &attr);

	if (err)
		answer(err);
	else
		printf("ok wr=%d sge=%d reads=%d\n", attr.max_qp_wr, attr.max_sge,
		        attr.max_qp_rd_atom);
}

static void do_destroy(const struct command *command)
{
	answer(ibv_destroy_qp(qp_of(command)));
	shell.qps[number(command, 1)] = NULL;
}

static void do_close(const struct command *command)
{
	int err = 0;

	for (int i = 0; i < shell.qp_count; i++) {
		if (shell.qps[i])
			err |= ibv_destroy_qp(shell.qps[i]);
		shell.qps[i] = NULL;
	}
	if (shell.srq)
		err |= ibv_destroy_srq(shell.srq);
	err |= ibv_destroy_cq(shell.send_cq) | ibv_destroy_cq(shell.recv_cq);
	if (shell.channel)
		err |= ibv_destroy_comp_channel(shell.channel);
	if (shell.mr)
		err |= ibv_dereg_mr(shell.mr);
	err |= ibv_dealloc_pd(shell.pd) | ibv_close_device(shell.context);
	shell.qp_count = 0;
	shell.srq = NULL;
	answer(err);
}

static void do_dereg(const struct command *command)
{
	answer(ibv_dereg_mr(shell.mr));
	shell.mr = NULL;
}

static void do_rereg(const struct command *command)
{
	shell.mr = ibv_reg_mr(shell.pd, shell.memory, MEMORY_BYTES, ALL_ACCESS);
	if (shell.mr)
		printf("ok rkey=%u\n", shell.mr->rkey);
	else
		answer_errno();
}

/* ---- states ---- */

static void do_connect(const struct command *command)
{
	struct ibv_qp *qp = qp_of(command);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
	        .port_num = 1,
	        .qp_access_flags = (unsigned)option(command, "access", ALL_ACCESS),
	        .ah_attr = {.dlid = (uint16_t)number(command, 2), .port_num = 1},
	        .dest_qp_num = (uint32_t)number(command, 3),
	        .sq_psn = (uint32_t)number(command, 4),
	        .rq_psn = (uint32_t)number(command, 5),
	        .path_mtu = (enum ibv_mtu)option(command, "mtu", IBV_MTU_1024),
	        .max_rd_atomic = (uint8_t)option(command, "reads", 4),
	        .max_dest_rd_atomic = (uint8_t)option(command, "reads", 4),
	        .timeout = (uint8_t)option(command, "timeout", 14),
	        .retry_cnt = (uint8_t)option(command, "retry", 7),
	        .rnr_retry = (uint8_t)option(command, "rnr", 7),
	        .min_rnr_timer = (uint8_t)option(command, "rnr_timer", 12)};
	int err = ibv_modify_qp(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

	attr.qp_state = IBV_QPS_RTR;
	if (!err)
		err = ibv_modify_qp(qp, &attr,
		        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
		                IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	attr.qp_state = IBV_QPS_RTS;
	if (!err)
		err = ibv_modify_qp(qp, &attr,
		        IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_RETRY_CNT |
		                IBV_QP_RNR_RETRY | IBV_QP_TIMEOUT);
	answer(err);
}

static void do_state(const struct command *command)
{
	struct ibv_qp_attr attr = {.qp_state = (enum ibv_qp_state)number(command, 2)};

	answer(ibv_modify_qp(qp_of(command), &attr, IBV_QP_STATE));
}

static void do_query(const struct command *command)
{
	struct ibv_qp_init_attr init_attr;
	struct ibv_qp_attr attr;
	int err = ibv_query_qp(
	        qp_of(command), &attr, IBV_QP_STATE | IBV_QP_RQ_PSN | IBV_QP_SQ_PSN, &init_attr);

	if (err)
		answer(err);
	else
		printf("ok state=%d rq_psn=%u sq_psn=%u\n", attr.qp_state, attr.rq_psn,
		        attr.sq_psn);
}

/* ---- work ---- */

static struct ibv_sge sge_of(const struct command *command)
{
	return (struct ibv_sge){.addr = (uintptr_t)shell.memory + number(command, 3),
	        .length = (uint32_t)number(command, 4),
	        .lkey = shell.mr->lkey};
}

static void do_recv(const struct command *command)
{
	struct ibv_sge sge = sge_of(command);
	struct ibv_recv_wr wr = {.wr_id = number(command, 2), .sg_list = &sge, .num_sge = 1}, *bad;

	if (!strcmp(command->words[1], "srq"))
		answer(ibv_post_srq_recv(shell.srq, &wr, &bad));
	else
		answer(ibv_post_recv(qp_of(command), &wr, &bad));
}

static enum ibv_wr_opcode opcode_of(const struct command *command)
{
	bool has_imm = option(command, "imm", UINT64_MAX) != UINT64_MAX;

	switch (command->words[0][0]) {
	case 's':
		return has_imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND;
	case 'w':
		return has_imm ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_RDMA_WRITE;
	case 'r':
		return IBV_WR_RDMA_READ;
	case 'a':
		return IBV_WR_ATOMIC_FETCH_AND_ADD;
	default:
		return IBV_WR_ATOMIC_CMP_AND_SWP;
	}
}

static unsigned flags_of(const struct command *command)
{
	return (option(command, "unsignalled", 0) ? 0 : IBV_SEND_SIGNALED) |
	       (option(command, "inline", 0) ? IBV_SEND_INLINE : 0) |
	       (option(command, "fence", 0) ? IBV_SEND_FENCE : 0) |
	       (option(command, "solicited", 0) ? IBV_SEND_SOLICITED : 0);
}

static void do_request(const struct command *command)
{
	struct ibv_sge sge = sge_of(command);
	struct ibv_send_wr wr = {.wr_id = number(command, 2),
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = opcode_of(command),
	                           .send_flags = flags_of(command),
	                           .imm_data = (__be32)option(command, "imm", 0)},
	                   *bad;

	if (wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD || wr.opcode == IBV_WR_ATOMIC_CMP_AND_SWP) {
		wr.wr.atomic.remote_addr = option(command, "raddr", 0);
		wr.wr.atomic.rkey = (uint32_t)option(command, "rkey", 0);
		wr.wr.atomic.compare_add = option(command, "add", option(command, "compare", 0));
		wr.wr.atomic.swap = option(command, "swap", 0);
	} else {
		wr.wr.rdma.remote_addr = option(command, "raddr", 0);
		wr.wr.rdma.rkey = (uint32_t)option(command, "rkey", 0);
	}
	answer(ibv_post_send(qp_of(command), &wr, &bad));
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static struct ibv_cq *cq_of(const struct command *command)
{
	return command->count > 1 && command->words[1][0] == 's' ? shell.send_cq : shell.recv_cq;
}

static void do_poll(const struct command *command)
{
	int64_t end_ms = now_ms() + (int64_t)number(command, 2);
	struct ibv_wc wc;
	int n;

	do
		n = ibv_poll_cq(cq_of(command), 1, &wc);
	while (!n && now_ms() < end_ms);
	if (n < 0)
		answer(EIO);
	else if (!n)
		printf("ok none\n");
	else
		printf("ok wr_id=%" PRIu64
		       " status=%d opcode=%d bytes=%u qpn=%u flags=%u imm=%u slid=%u\n",
		        wc.wr_id, wc.status, wc.opcode, wc.byte_len, wc.qp_num, wc.wc_flags,
		        wc.imm_data, wc.slid);
}

/* ---- events ---- */

static void do_arm(const struct command *command)
{
	answer(ibv_req_notify_cq(cq_of(command), (int)number(command, 2)));
}

static bool readable(int fd, uint64_t timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, (int)timeout_ms) > 0;
}

static void do_cqevent(const struct command *command)
{
	struct ibv_cq *cq;
	void *context;

	if (!readable(shell.channel->fd, number(command, 1))) {
		printf("ok none\n");
		return;
	}
	if (ibv_get_cq_event(shell.channel, &cq, &context)) {
		answer_errno();
		return;
	}
	ibv_ack_cq_events(cq, 1);
	printf("ok cq=%s\n", cq == shell.send_cq ? "send" : "recv");
}

static void do_event(const struct command *command)
{
	struct ibv_async_event event;

	if (!readable(shell.context->async_fd, number(command, 1))) {
		printf("ok none\n");
		return;
	}
	if (ibv_get_async_event(shell.context, &event)) {
		answer_errno();
		return;
	}
	ibv_ack_async_event(&event);
	printf("ok type=%d\n", event.event_type);
}

/* ---- memory ---- */

static uint8_t pattern(const struct command *command, uint64_t i)
{
	return (uint8_t)(number(command, 3) + i * 7 + (i >> 8));
}

static void do_fill(const struct command *command)
{
	for (uint64_t i = 0; i < number(command, 2); i++)
		shell.memory[number(command, 1) + i] = pattern(command, i);
	answer(0);
}

static void do_same(const struct command *command)
{
	for (uint64_t i = 0; i < number(command, 2); i++) {
		if (shell.memory[number(command, 1) + i] != pattern(command, i)) {
			printf("ok differs=%" PRIu64 "\n", i);
			return;
		}
	}
	printf("ok same=1\n");
}

static void do_word(const struct command *command)
{
	uint64_t *word = (uint64_t *)(void *)(shell.memory + number(command, 1));

	if (command->count > 2)
		__atomic_store_n(word, number(command, 2), __ATOMIC_SEQ_CST);
	printf("ok word=%" PRIu64 "\n", __atomic_load_n(word, __ATOMIC_SEQ_CST));
}

/* Asleep in a system call, as a program is that waits for something else. */
static void do_sleep(const struct command *command)
{
	poll(NULL, 0, (int)number(command, 1));
	answer(0);
}

static void do_fork(const struct command *command)
{
	pid_t child = fork();

	if (!child)
		for (;;)
			pause();
	printf("ok pid=%d\n", (int)child);
}

static void do_daemon(const struct command *command)
{
	if (fork())
		_exit(0);
	printf("ok pid=%d\n", (int)getpid());
}

static const struct {
	const char *name;
	void (*run)(const struct command *command);
} commands[] = {
        {"open", do_open},
        {"qp", do_qp},
        {"limits", do_limits},
        {"connect", do_connect},
        {"recv", do_recv},
        {"send", do_request},
        {"write", do_request},
        {"read", do_request},
        {"add", do_request},
        {"cas", do_request},
        {"poll", do_poll},
        {"arm", do_arm},
        {"cqevent", do_cqevent},
        {"event", do_event},
        {"state", do_state},
        {"query", do_query},
        {"fill", do_fill},
        {"same", do_same},
        {"word", do_word},
        {"dereg", do_dereg},
        {"rereg", do_rereg},
        {"sleep", do_sleep},
        {"destroy", do_destroy},
        {"fork", do_fork},
        {"daemon", do_daemon},
        {"close", do_close},
};

static void run(const struct command *command)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(commands[i].name, command->words[0])) {
			commands[i].run(command);
			return;
		}
	}
	answer(ENOSYS);
}

int main(void)
{
	char line[1024];

	setvbuf(stdout, NULL, _IOLBF, 0);
	shell.memory = aligned_alloc(4096, MEMORY_BYTES);
	if (!shell.memory)
		return 1;
	memset(shell.memory, 0, MEMORY_BYTES);
	while (fgets(line, sizeof(line), stdin)) {
		struct command command = {0};
		char *rest = NULL;

		for (char *word = strtok_r(line, " \n", &rest); word && command.count < WORDS_MAX;
		        word = strtok_r(NULL, " \n", &rest))
			command.words[command.count++] = word;
		if (!command.count)
			continue;
		if (!strcmp(command.words[0], "quit"))
			return 0;
		run(&command);
	}
	return 0;
}
