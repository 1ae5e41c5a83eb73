/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * no_verbs WAY ...: a program that has nothing to do with verbs says what it finds in its own
 * process, or starts others in one of the ways that there are. Under libtether.so it has to say the
 * same as without.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- what it finds ---- */

static void say_descriptors(FILE *out)
{
	DIR *fds = opendir("/proc/self/fd");

	for (struct dirent *fd; fds && (fd = readdir(fds));) {
		if (*fd->d_name != '.' && atoi(fd->d_name) != dirfd(fds) &&
		        atoi(fd->d_name) != fileno(out))
			fprintf(out, "descriptor %s\n", fd->d_name);
	}
	if (fds)
		closedir(fds);
}

static void say_status(FILE *out)
{
	static const char *const told[] = {
	        "Threads:", "Uid:", "SigBlk:", "SigIgn:", "SigCgt:", "Seccomp:"};
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];

	while (status && fgets(line, sizeof(line), status)) {
		for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++) {
			if (!strncmp(line, told[i], strlen(told[i])))
				fputs(line, out);
		}
	}
	if (status)
		fclose(status);
}

static void say_libraries(FILE *out)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], last[512] = "";

	while (maps && fgets(line, sizeof(line), maps)) {
		char *path = strchr(line, '/');

		if (path && strstr(path, ".so") && strcmp(path, last))
			fprintf(out, "library %s", strcpy(last, path));
	}
	if (maps)
		fclose(maps);
}

static int say_state(FILE *out)
{
	mode_t mask = umask(0);

	fprintf(out, "umask %o\n", mask);
	umask(mask);
	for (char **variable = environ; *variable; variable++)
		fprintf(out, "variable %s\n", *variable);
	say_descriptors(out);
	say_status(out);
	say_libraries(out);
	return fflush(out) ? 1 : 0;
}

/* ---- how it starts others ---- */

static int status_of(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		return 100;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int by_vfork(char **self)
{
	pid_t child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): as others do */

	if (!child) {
		execv(self[0], self);
		_exit(99);
	}
	return status_of(child);
}

static int by_spawn(char **self)
{
	pid_t child;

	if (posix_spawn(&child, self[0], NULL, NULL, self, environ))
		return 99;
	return status_of(child);
}

/* Each has two children; how many there were. */
static int tree(int depth)
{
	int count = 1;

	for (int i = 0; i < 2 && depth; i++) {
		pid_t child = fork();

		if (!child)
			_exit(tree(depth - 1));
		count += status_of(child);
	}
	return count;
}

/* Nothing is left open of what it was started with, whoever opened it. */
static _Noreturn void be_daemon(const char *path)
{
	FILE *out;

	setsid();
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	if (open("/dev/null", O_RDWR) || dup(0) != 1 || dup(0) != 2)
		_exit(98);
	out = fopen(path, "we");
	_exit(!out || say_state(out));
}

/* It is adopted, to be waited for. */
static int by_daemon(const char *path)
{
	pid_t between;
	int status = 0;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	between = fork();
	if (!between) {
		pid_t child = fork();

		if (!child)
			be_daemon(path);
		_exit(child < 0);
	}
	if (status_of(between) || wait(&status) < 0)
		return 96;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 95;
}

static void *fork_in_thread(void *status)
{
	pid_t child = fork();

	if (!child)
		_exit(7);
	*(int *)status = status_of(child);
	return NULL;
}

enum { THREADS = 8 };

static int by_threads(void)
{
	pthread_t threads[THREADS];
	int statuses[THREADS], wrong = 0;

	for (int i = 0; i < THREADS; i++)
		wrong += pthread_create(&threads[i], NULL, fork_in_thread, &statuses[i]) != 0;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		wrong += statuses[i] != 7;
	}
	return wrong;
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "state", *with = argc > 2 ? argv[2] : "";
	char *self[] = {(char *)"/proc/self/exe", (char *)"state", NULL};

	if (!strcmp(way, "state"))
		return say_state(stdout);
	if (!strcmp(way, "vfork"))
		return by_vfork(self);
	if (!strcmp(way, "spawn"))
		return by_spawn(self);
	if (!strcmp(way, "tree"))
		return tree(atoi(with));
	if (!strcmp(way, "daemon"))
		return by_daemon(with);
	if (!strcmp(way, "threads"))
		return by_threads();
	if (!strcmp(way, "signal"))
		return raise(atoi(with));
	return 97;
}
