/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a child says that goes on with what it inherited: its exit status, since nothing that fails
 * in it is seen here. */
#ifndef TEST_SHIM_CHILD_H
#define TEST_SHIM_CHILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/shim_harness.h"

enum { DEADLOCK_S = 20 };

/* What @verbs says there; it has to come to an end. */
static inline int in_child(struct harness *h, int (*verbs)(struct harness *h))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		alarm(DEADLOCK_S);
		_exit(verbs(h));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#endif
