/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * verbs-objects: what the man pages promise of libibverbs' objects, asked of the device that this
 * process sees, with connections to itself. One file for each kind of object; a test is a function,
 * named by the promise. It prints TAP.
 */
#ifndef SIMFABRIC_VERBS_OBJECTS_H
#define SIMFABRIC_VERBS_OBJECTS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

enum {
	OBJECTS_MEMORY = 1 << 20,
	OBJECTS_ALL_ACCESS = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
	                     IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
};

/* What most tests begin with; new for each. */
struct objects {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	uint8_t *memory;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq; /* on the channel */
	uint16_t lid;
};

struct objects_test {
	const char *name;
	void (*run)(struct objects *o);
};

#define OBJECTS_TEST(test)                                                                         \
	{                                                                                          \
#test, test                                                                        \
	}

extern const struct objects_test objects_channels_tests[];
extern const struct objects_test objects_clocks_tests[];
extern const struct objects_test objects_cq_ex_tests[];
extern const struct objects_test objects_datagram_tests[];
extern const struct objects_test objects_events_tests[];
extern const struct objects_test objects_memory_tests[];
extern const struct objects_test objects_windows_tests[];
extern const struct objects_test objects_xrc_tests[];

/* Ends the test, which has failed. */
__attribute__((noreturn)) void objects_fail(const char *file, int line, const char *what);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			objects_fail(__FILE__, __LINE__, #condition);                              \
	} while (0)
/* An expression that must give NULL, and errno. */
#define CHECK_NULL(error, call)                                                                    \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK((call) == NULL);                                                             \
		CHECK(errno == (error));                                                           \
	} while (0)

struct ibv_context *objects_open_device(void);
/* A QP of the context's own, to be destroyed by the test. */
struct ibv_qp *objects_rc(struct objects *o, struct ibv_cq *send_cq, struct ibv_cq *recv_cq);
/* Both to RTS, each with the other as its peer. One and the same: with itself. */
void objects_connect(struct objects *o, struct ibv_qp *a, struct ibv_qp *b);

struct ibv_sge objects_sge(const struct objects *o, uint64_t offset, uint32_t length);
/* The next completion; fails if none comes. */
struct ibv_wc objects_poll(struct ibv_cq *cq);
void objects_poll_for(struct ibv_cq *cq, uint64_t wr_id, enum ibv_wc_status status);
/* Nothing is there, and nothing that is on the way makes any come. */
void objects_poll_nothing(struct ibv_cq *cq);
/* The next asynchronous event, acknowledged; fails if none comes. */
struct ibv_async_event objects_event(struct ibv_context *context);
bool objects_has_event(int fd);

#endif
