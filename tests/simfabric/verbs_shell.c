/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * verbs-shell: libibverbs by the line. Reads one command a line and answers each with one line,
 * "ok ..." or "error ERRNO"; so a test script can hold two ends of a connection in its hands and
 * look at every state between. One context, one PD, one region, a send and a receive CQ on one
 * channel, an SRQ if asked for.
 *
 *   open [plain] [stamped]                       device, LID; plain: without the channel;
 *                                                stamped: the queues stamp completions
 *   limits                                       what the device claims
 *   gid INDEX, pkey INDEX                        a row of the port's table
 *   qp [ud|uc] [srq] [KEY=N...]                  number, QPN      then named by its number
 *       wr recv sge inline: what the queues shall hold
 *   connect QP LID QPN SQ_PSN RQ_PSN [KEY=N...]  timeout retry rnr rnr_timer reads mtu access
 *   ready QP QKEY [pkey_index=N]                 a UD queue pair, to RTS
 *   attach|detach QP GID LID                     a group; GIDs are 32 hexadecimal digits
 *   recv QP|srq WR_ID OFFSET LENGTH
 *   send|write|read|add|cas QP WR_ID OFFSET LENGTH [KEY=N...]
 *       raddr rkey imm add compare swap, flags: unsignalled=1 inline=1 fence=1 solicited=1,
 *       of UD: lid qpn qkey gid sgid (its index) sl
 *   poll send|recv MS                            one completion, or "none" after MS
 *   stamp send|recv MS                           the same, of a queue that stamps, and its stamps
 *   clock                                        what the device's says now, rate and width
 *   hear MS                                      a datagram: who is said to have sent it, and its
 *                                                GRH, at the offset that is the WR_ID
 *   answer QP WR_ID OFFSET LENGTH [qkey=N]       to who sent what was heard last
 *   place PKEY                                   where it stands in the port's table
 *   arm send|recv SOLICITED, cqevent MS, event MS
 *   moderate send|recv COUNT US                  events of its completions
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
#include <unistd.h>

#include "simfabric/verbs_shell.h"

struct shell shell;

uint64_t shell_number(const struct command *command, int index)
{
	return index < command->count ? strtoull(command->words[index], NULL, 0) : 0;
}

const char *shell_text(const struct command *command, const char *key)
{
	size_t length = strlen(key);

	for (int i = 1; i < command->count; i++) {
		if (!strncmp(command->words[i], key, length) && command->words[i][length] == '=')
			return command->words[i] + length + 1;
	}
	return NULL;
}

uint64_t shell_option(const struct command *command, const char *key, uint64_t otherwise)
{
	const char *text = shell_text(command, key);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

bool shell_has(const struct command *command, const char *key)
{
	for (int i = 1; i < command->count; i++) {
		if (!strcmp(command->words[i], key))
			return true;
	}
	return false;
}

union ibv_gid shell_gid(const char *text)
{
	union ibv_gid gid = {0};

	for (int i = 0; i < 16; i++)
		sscanf(text + 2 * i, "%2hhx", &gid.raw[i]);
	return gid;
}

struct ibv_qp *shell_qp(const struct command *command)
{
	uint64_t index = shell_number(command, 1);

	return index < QPS_MAX ? shell.qps[index] : NULL;
}

void shell_answer(int err)
{
	if (err)
		printf("error %d\n", err);
	else
		printf("ok\n");
}

void shell_answer_errno(void)
{
	shell_answer(errno ? errno : EINVAL);
}

/* ---- objects ---- */

static struct ibv_cq *make_queue(bool is_stamped)
{
	enum { ENTRIES = 1024 };

	return is_stamped ? shell_create_stamped(ENTRIES)
	                  : ibv_create_cq(shell.context, ENTRIES, NULL, shell.channel, 0);
}

static int make_objects(bool is_plain, bool is_stamped)
{
	shell.pd = ibv_alloc_pd(shell.context);
	shell.mr = shell.pd ? ibv_reg_mr(shell.pd, shell.memory, MEMORY_BYTES, ALL_ACCESS) : NULL;
	shell.channel = is_plain ? NULL : ibv_create_comp_channel(shell.context);
	if (!shell.mr || (!is_plain && !shell.channel))
		return -1;
	shell.send_cq = make_queue(is_stamped);
	shell.recv_cq = make_queue(is_stamped);
	return shell.send_cq && shell.recv_cq ? 0 : -1;
}

static void do_open(const struct command *command)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	bool is_plain = shell_has(command, "plain"), is_stamped = shell_has(command, "stamped");
	struct ibv_port_attr port;

	errno = ENODEV;
	shell.context = list && list[0] ? ibv_open_device(list[0]) : NULL;
	if (list)
		ibv_free_device_list(list);
	if (!shell.context || make_objects(is_plain, is_stamped) ||
	        ibv_query_port(shell.context, 1, &port)) {
		shell_answer_errno();
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
	        .cap = {.max_send_wr = (uint32_t)shell_option(command, "wr", 64),
	                .max_recv_wr = (uint32_t)shell_option(command, "recv", 64),
	                .max_send_sge = (uint32_t)shell_option(command, "sge", 1),
	                .max_recv_sge = 1,
	                .max_inline_data = (uint32_t)shell_option(command, "inline", 64)},
	        .qp_type = shell_has(command, "ud")   ? IBV_QPT_UD
	                   : shell_has(command, "uc") ? IBV_QPT_UC
	                                              : IBV_QPT_RC};
	bool wants_srq = shell_has(command, "srq");
	struct ibv_qp *qp;

	if (wants_srq && !shell.srq)
		shell.srq = ibv_create_srq(shell.pd, &srq_attr);
	if (wants_srq)
		attr.srq = shell.srq;
	qp = shell.qp_count < QPS_MAX ? ibv_create_qp(shell.pd, &attr) : NULL;
	if (!qp) {
		shell_answer_errno();
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
		shell_answer(err);
	else
		printf("ok wr=%d sge=%d reads=%d\n", attr.max_qp_wr, attr.max_sge,
		        attr.max_qp_rd_atom);
}

static void do_destroy(const struct command *command)
{
	shell_answer(ibv_destroy_qp(shell_qp(command)));
	shell.qps[shell_number(command, 1)] = NULL;
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
	shell_answer(err);
}

static void do_dereg(const struct command *command)
{
	shell_answer(ibv_dereg_mr(shell.mr));
	shell.mr = NULL;
}

static void do_rereg(const struct command *command)
{
	shell.mr = ibv_reg_mr(shell.pd, shell.memory, MEMORY_BYTES, ALL_ACCESS);
	if (shell.mr)
		printf("ok rkey=%u\n", shell.mr->rkey);
	else
		shell_answer_errno();
}

/* ---- memory ---- */

static uint8_t pattern(const struct command *command, uint64_t i)
{
	return (uint8_t)(shell_number(command, 3) + i * 7 + (i >> 8));
}

static void do_fill(const struct command *command)
{
	for (uint64_t i = 0; i < shell_number(command, 2); i++)
		shell.memory[shell_number(command, 1) + i] = pattern(command, i);
	shell_answer(0);
}

static void do_same(const struct command *command)
{
	for (uint64_t i = 0; i < shell_number(command, 2); i++) {
		if (shell.memory[shell_number(command, 1) + i] != pattern(command, i)) {
			printf("ok differs=%" PRIu64 "\n", i);
			return;
		}
	}
	printf("ok same=1\n");
}

static void do_word(const struct command *command)
{
	uint64_t *word = (uint64_t *)(void *)(shell.memory + shell_number(command, 1));

	if (command->count > 2)
		__atomic_store_n(word, shell_number(command, 2), __ATOMIC_SEQ_CST);
	printf("ok word=%" PRIu64 "\n", __atomic_load_n(word, __ATOMIC_SEQ_CST));
}

/* Asleep in a system call, as a program is that waits for something else. */
static void do_sleep(const struct command *command)
{
	poll(NULL, 0, (int)shell_number(command, 1));
	shell_answer(0);
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
        {"connect", shell_connect},
        {"ready", shell_ready},
        {"attach", shell_group},
        {"detach", shell_group},
        {"gid", shell_port},
        {"pkey", shell_port},
        {"recv", shell_recv},
        {"send", shell_request},
        {"write", shell_request},
        {"read", shell_request},
        {"add", shell_request},
        {"cas", shell_request},
        {"poll", shell_poll},
        {"stamp", shell_stamp},
        {"clock", shell_clock},
        {"hear", shell_hear},
        {"answer", shell_answer_heard},
        {"place", shell_place},
        {"arm", shell_arm},
        {"moderate", shell_moderate},
        {"cqevent", shell_cqevent},
        {"event", shell_event},
        {"state", shell_state},
        {"query", shell_query},
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
	shell_answer(ENOSYS);
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
