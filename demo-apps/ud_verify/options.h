/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The command line. What concerns both sides is given to both. */
#ifndef UD_VERIFY_OPTIONS_H
#define UD_VERIFY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { QPS_MAX = 16 };

struct options {
	const char *host; /* NULL: server */
	uint16_t port;
	const char *device; /* NULL: the first */
	uint32_t qps, tokens, length_max;
	uint16_t pkey_index;
	int gid_index;         /* -1: the first that there is */
	uint32_t fresh_every;  /* one in so many goes by a handle of its own */
	uint32_t signal_every; /* one send in so many has a completion */
	uint32_t patience_ms;  /* so long after the last one nothing more comes */
	uint32_t stall_s;
	double seconds; /* 0: until told */
};

/* Returns 0; 1: help was printed; -EINVAL: a message was printed. */
int options_parse(struct options *options, int argc, char **argv);

#endif
