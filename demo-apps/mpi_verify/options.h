/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The command line. Every rank reads the same one.
 */
#ifndef MPI_VERIFY_OPTIONS_H
#define MPI_VERIFY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "demo-apps/mpi_verify/checks.h"

enum exit_status {
	EXIT_EXACT = 0,
	EXIT_FOUND = 1,
	EXIT_USAGE = 2,
	EXIT_STALLED = 3,
};

struct options {
	double seconds;         /* 0: no such limit */
	uint64_t rounds;        /* 0: no such limit */
	const char *until_file; /* NULL: none */
	uint64_t seed;
	size_t length_max;
	uint32_t stall_s;
	bool is_json, is_quiet, is_spoil;
	bool is_chosen[CHECK_COUNT];
};

/* Returns 0; 1: help was printed; -EINVAL: a message was printed if @speaks. */
int options_parse(struct options *options, int argc, char **argv, bool speaks);

#endif
