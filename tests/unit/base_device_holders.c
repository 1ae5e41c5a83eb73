/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who holds a device node: by the kernel's word, and nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "notifier/base/device_holders.h"

static char folder[64];

struct found {
	unsigned count;
	struct device_holder holder;
};

static void note(void *context, const struct device_holder *holder)
{
	struct found *found = context;

	found->count++;
	found->holder = *holder;
}

static struct found holders_of(const char *of)
{
	struct found found = {0};

	device_holders_each(of, note, &found);
	return found;
}

static int node_open(const char *name)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static int setup(void **state)
{
	strcpy(folder, "/tmp/tether-holders.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static void who_has_a_node_open_is_found(void **state)
{
	int fd = node_open("uverbs3");
	struct found found = holders_of(folder);

	assert_int_equal(found.count, 1);
	assert_int_equal(found.holder.pid, getpid());
	assert_int_equal(found.holder.parent, getppid());
	close(fd);
	assert_int_equal(holders_of(folder).count, 0);
}

/* Its name has whatever it likes in it. */
static void its_program_is_named(void **state)
{
	int fd = node_open("uverbs0");

	prctl(PR_SET_NAME, ") S 1 (x");
	assert_string_equal(holders_of(folder).holder.program, ") S 1 (x");
	assert_int_equal(holders_of(folder).holder.parent, getppid());
	close(fd);
}

static void a_child_that_has_it_is_another(void **state)
{
	int fd = node_open("uverbs0");
	pid_t child = fork();
	struct found found;

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	close(fd);
	found = holders_of(folder);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.holder.pid, child);
	assert_int_equal(found.holder.parent, getpid());
}

/* umad and issm do not keep a device from leaving, and other folders are others'. */
static void other_files_are_no_nodes(void **state)
{
	int others[] = {node_open("umad0"), node_open("issm0")};
	int mine = node_open("uverbs0");
	char longer[80];

	snprintf(longer, sizeof(longer), "%s-2", folder);
	mkdir(longer, 0700);
	assert_int_equal(holders_of(longer).count, 0);
	assert_int_equal(holders_of("/nonexistent").count, 0);
	close(mine);
	assert_int_equal(holders_of(folder).count, 0);
	for (size_t i = 0; i < 2; i++)
		close(others[i]);
	rmdir(longer);
}

static int teardown(void **state)
{
	static const char *const names[] = {"uverbs0", "uverbs3", "umad0", "issm0"};
	char path[96];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        TEST(who_has_a_node_open_is_found),
	        TEST(its_program_is_named),
	        TEST(a_child_that_has_it_is_another),
	        TEST(other_files_are_no_nodes),
	};

	return cmocka_run_group_tests_name("device holders", tests, NULL, NULL);
}
