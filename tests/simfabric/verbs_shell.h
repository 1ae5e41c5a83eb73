/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* verbs-shell's commands (verbs_shell.c says what they are) and what they share. */
#ifndef SIMFABRIC_VERBS_SHELL_H
#define SIMFABRIC_VERBS_SHELL_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

enum {
	MEMORY_BYTES = 1 << 20,
	QPS_MAX = 32,
	WORDS_MAX = 24,
	ALL_ACCESS = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	             IBV_ACCESS_REMOTE_ATOMIC,
};

struct shell {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_comp_channel *channel;
	struct ibv_cq *send_cq, *recv_cq;
	struct ibv_srq *srq;
	struct ibv_qp *qps[QPS_MAX];
	int qp_count;
	uint8_t *memory;
};

extern struct shell shell;

struct command {
	int count;
	char *words[WORDS_MAX];
};

/* Word @index, 0 if there is none such. */
uint64_t shell_number(const struct command *command, int index);
/* The value of KEY=VALUE among the words, NULL: it is not there; as a number, or @otherwise. */
const char *shell_text(const struct command *command, const char *key);
uint64_t shell_option(const struct command *command, const char *key, uint64_t otherwise);
/* KEY among the words. */
bool shell_has(const struct command *command, const char *key);
/* From 32 hexadecimal digits. */
union ibv_gid shell_gid(const char *text);
/* The QP that word 1 names. */
struct ibv_qp *shell_qp(const struct command *command);
void shell_answer(int err);
void shell_answer_errno(void);

/* verbs_shell_states.c */
void shell_connect(const struct command *command);
void shell_ready(const struct command *command);
void shell_state(const struct command *command);
void shell_query(const struct command *command);
void shell_group(const struct command *command);
void shell_port(const struct command *command);

/* verbs_shell_work.c */
void shell_recv(const struct command *command);
void shell_request(const struct command *command);
void shell_poll(const struct command *command);
/* One completion within @ms; 0: none, negative: an error. */
int shell_poll_one(struct ibv_cq *cq, uint64_t ms, struct ibv_wc *wc);
int64_t shell_now_ms(void);
/* The queue that word 1 names. */
struct ibv_cq *shell_cq(const struct command *command);
void shell_arm(const struct command *command);
void shell_moderate(const struct command *command);
void shell_cqevent(const struct command *command);
void shell_event(const struct command *command);

/* verbs_shell_datagrams.c */
void shell_hear(const struct command *command);
void shell_answer_heard(const struct command *command);
void shell_place(const struct command *command);

/* verbs_shell_stamps.c */
struct ibv_cq *shell_create_stamped(int cqe);
void shell_clock(const struct command *command);
void shell_stamp(const struct command *command);

#endif
