/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who holds a device node: by the kernel's word, and nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
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

	device_holders_each(of, NULL, note, &found);
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
	assert_int_equal(found.holder.forked_by, 0);
	close(fd);
	assert_int_equal(holders_of(folder).count, 0);
}

/* Its name has whatever it likes in it. */
static void its_program_is_named(void **state)
{
	int fd = node_open("uverbs0");

	prctl(PR_SET_NAME, ") S 1\n(x");
	assert_string_equal(holders_of(folder).holder.program, ") S 1\n(x");
	assert_int_equal(holders_of(folder).holder.pid, getpid());
	prctl(PR_SET_NAME, "device_holders");
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
	assert_int_equal(found.holder.forked_by, getpid());
}

/* Nobody else can tell of what it has opened since. */
static void a_child_that_has_called_exec_is_nobodys(void **state)
{
	int ready[2], quiet[2];
	pid_t child;
	struct found found;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(quiet, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(quiet[0], 0);
		dup2(ready[1], 1);
		execlp("sh", "sh", "-c", "exec 9<>\"$0/uverbs0\"; echo; read line", folder, NULL);
		_exit(127);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	found = holders_of(folder);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(quiet[0]);
	close(quiet[1]);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.holder.forked_by, 0);
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

static void text_put(const char *name, const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	for (char *at = path + strlen(folder) + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = 0;
		mkdir(path, 0700);
	}
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A device node like another's, and a sysfs where it is @name, whose port says so. */
static int device_make(const char *name, const char *link_layer, const char *lid)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/uverbs7", folder);
	if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) && errno != EEXIST)
		skip(); /* root's alone */
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		skip(); /* no devices here */
	text_put("sys/dev/char/1:3/ibdev", name);
	text_put("sys/class/infiniband/dev0/ports/1/link_layer", link_layer);
	text_put("sys/class/infiniband/dev0/ports/1/lid", lid);
	return fd;
}

static unsigned at_lids(const uint32_t *lids, size_t count)
{
	char sysfs[80];
	struct device_place place = {sysfs, lids, count};
	struct found found = {0};

	snprintf(sysfs, sizeof(sysfs), "%s/sys", folder);
	device_holders_each(folder, &place, note, &found);
	return found.count;
}

/* Software's, another fabric's: they do not leave with the VF. */
static void device_at_another_place_is_nobodys_to_leave(void **state)
{
	static const struct {
		const char *name, *link_layer, *lid;
		unsigned holders;
	} rows[] = {
	        {"dev0\n", "InfiniBand\n", "0x5\n", 1}, {"dev0\n", "InfiniBand\n", "0x6\n", 1},
	        {"dev0\n", "InfiniBand\n", "0x7\n", 0}, {"dev0\n", "Ethernet\n", "0x0\n", 0},
	        {"dev0\n", "InfiniBand\n", "0x0\n", 1}, /* the SM has not been there yet */
	        {"dev9\n", "Ethernet\n", "0x0\n", 1},   /* sysfs says nothing of it */
	};
	uint32_t lids[] = {5, 6};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int fd = device_make(rows[i].name, rows[i].link_layer, rows[i].lid);

		assert_int_equal(at_lids(lids, 2), rows[i].holders);
		assert_int_equal(at_lids(NULL, 0), 1);
		assert_int_equal(holders_of(folder).count, 1);
		close(fd);
	}
}

/* Another's beside the VM's own, in the same process. */
static void device_beside_another_counts(void **state)
{
	int fd = device_make("dev0\n", "Ethernet\n", "0x0\n"), own = node_open("uverbs0");
	uint32_t lid = 5;

	assert_int_equal(at_lids(&lid, 1), 1);
	close(own);
	assert_int_equal(at_lids(&lid, 1), 0);
	close(fd);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	return remove(path);
}

static int teardown(void **state)
{
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        TEST(who_has_a_node_open_is_found),
	        TEST(its_program_is_named),
	        TEST(a_child_that_has_it_is_another),
	        TEST(a_child_that_has_called_exec_is_nobodys),
	        TEST(device_at_another_place_is_nobodys_to_leave),
	        TEST(device_beside_another_counts),
	        TEST(other_files_are_no_nodes),
	};

	return cmocka_run_group_tests_name("device holders", tests, NULL, NULL);
}
