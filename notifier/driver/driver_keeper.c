/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/driver/driver_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEPT_FD = STDERR_FILENO + 1 };

static void driver_run(const struct driver_command *command)
{
	static const char cannot[] = "the driver cannot be run\n";
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(command->arguments[0], command->arguments, command->environment);
	if (write(STDERR_FILENO, cannot, sizeof(cannot) - 1) < 0)
		_exit(126);
	_exit(127);
}

/* Of the agent's descriptors none may be held here: their other ends would not see them closed. */
static int descriptors_take(const struct driver_command *command)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int kept = KEPT_FD;

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(command->output, STDOUT_FILENO) < 0 ||
	        dup2(command->errors, STDERR_FILENO) < 0)
		return -1;
	if (command->lock >= 0) {
		if (command->lock != KEPT_FD && dup2(command->lock, KEPT_FD) < 0)
			return -1;
		fcntl(KEPT_FD, F_SETFD, FD_CLOEXEC);
		kept++;
	}
	return close_range(kept, ~0U, 0);
}

/* As the driver ended, so that the agent sees that of its child. */
static void end_as(int status)
{
	sigset_t one;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	prctl(PR_SET_DUMPABLE, 0);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, WTERMSIG(status));
	kill(getpid(), WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	_exit(128 + WTERMSIG(status));
}

/* Orphans of the group come to the keeper, being their subreaper. */
static void group_end(pid_t group)
{
	kill(-group, SIGKILL);
	while (waitpid(-group, NULL, 0) > 0 || errno == EINTR)
		;
	end_as(SIGKILL);
}

static void children_reap(pid_t driver)
{
	pid_t ended;
	int status;

	while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
		if (ended == driver)
			end_as(status);
	}
}

/* From birth with all signals blocked: the agent's handlers must not run here. */
static void keep(const struct driver_command *command, pid_t agent)
{
	sigset_t awaited;
	pid_t driver;
	int number;

	setpgid(0, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != agent || descriptors_take(command))
		_exit(126);
	driver = fork();
	if (!driver)
		driver_run(command);
	if (driver < 0)
		_exit(126);
	setpgid(driver, driver); /* whoever comes first */
	/* The driver's streams end with the driver. */
	dup2(STDIN_FILENO, STDOUT_FILENO);
	dup2(STDIN_FILENO, STDERR_FILENO);
	sigemptyset(&awaited);
	sigaddset(&awaited, SIGCHLD);
	sigaddset(&awaited, SIGTERM);
	for (;;) {
		if (sigwait(&awaited, &number))
			continue;
		if (number == SIGTERM)
			group_end(driver);
		children_reap(driver);
	}
}

pid_t driver_keeper_start(const struct driver_command *command)
{
	pid_t agent = getpid(), keeper;
	sigset_t all, before;
	int err;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	keeper = fork();
	err = errno;
	if (!keeper)
		keep(command, agent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return keeper < 0 ? -err : keeper;
}

void driver_keeper_stop(pid_t keeper)
{
	kill(keeper, SIGTERM);
}
