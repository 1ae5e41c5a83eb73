/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The command line. The client's choices about the work hold for both sides; it sends them as one
 * line.
 */
#ifndef RC_VERIFY_OPTIONS_H
#define RC_VERIFY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum post_api { POST_MIXED, POST_SEND, POST_WR };

/* A fault that the sender commits on purpose, once: the other side must report it. */
#define INJECTIONS(INJECT)                                                                         \
	INJECT(none)                                                                               \
	INJECT(message_gap)                                                                        \
	INJECT(message_repeat)                                                                     \
	INJECT(message_corrupt)                                                                    \
	INJECT(write_gap)                                                                          \
	INJECT(write_repeat)                                                                       \
	INJECT(write_corrupt)                                                                      \
	INJECT(add_twice)                                                                          \
	INJECT(swap_twice)

enum injection {
#define INJECT(name) INJECT_##name,
	INJECTIONS(INJECT)
#undef INJECT
	        INJECTION_COUNT
};
extern const char *const injection_name[INJECTION_COUNT];

/* Whose work FETCH_ADD and CMP_SWAP are part of. */
enum atomics_by { ATOMICS_BY_NONE, ATOMICS_BY_BOTH, ATOMICS_BY_CLIENT, ATOMICS_BY_COUNT };

/* What both sides must agree on. */
struct work_options {
	uint32_t qps, depth, length_max, mtu_bytes;
	uint32_t signal_every, late_every, late_ms, ack_timeout;
	enum post_api post_api;
	bool shared_cq, xrc, shared_receives;
	bool is_paced; /* nobody sends what no receive waits for: no RNR NAK */
	enum atomics_by atomics;
};

struct options {
	struct work_options work;
	const char *host; /* NULL: server */
	uint16_t port;
	const char *device;       /* NULL: the first */
	int gid_index;            /* -1: by LID alone */
	double seconds;           /* 0: until told */
	uint64_t count;           /* work requests per QP; 0: until told */
	const char *control_path; /* NULL: none; holds "stop" to end */
	uint32_t stall_s;
	uint64_t seed;
	enum injection injection;
	bool extended_cq, self_test, quiet;
};

/* Returns 0; 1: help was printed; -EINVAL: a message was printed. */
int options_parse(struct options *options, int argc, char **argv);
/* The line the client sends, and its reading. -EINVAL: another version, or out of bounds. */
void work_options_write(const struct work_options *work, char *line, size_t size);
int work_options_read(struct work_options *work, const char *line);

#endif
