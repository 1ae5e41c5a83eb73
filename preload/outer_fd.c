/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/outer_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int outer_fd_open(struct outer_fd *outer)
{
	int err = 0;

	outer->fd = epoll_create1(EPOLL_CLOEXEC);
	outer->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (outer->fd < 0 || outer->bell < 0)
		err = -errno;
	if (!err)
		err = outer_fd_add(outer, outer->bell);
	if (err)
		outer_fd_close(outer);
	return err;
}

void outer_fd_close(struct outer_fd *outer)
{
	if (outer->fd >= 0)
		close(outer->fd);
	if (outer->bell >= 0)
		close(outer->bell);
}

/* -errno */
static int exchange(int fd, int by)
{
	const int flags = fcntl(fd, F_GETFL);
	int err = 0;

	if (by < 0)
		return -errno;
	if (dup3(by, fd, O_CLOEXEC) < 0 || fcntl(fd, F_SETFL, flags))
		err = -errno;
	close(by);
	return err;
}

/* The bell makes way first, so that it does not fail for want of a number. */
void outer_fd_inherit(struct outer_fd *outer)
{
	close(outer->bell);
	if (exchange(outer->fd, epoll_create1(EPOLL_CLOEXEC)))
		outer->fd = -1; /* rather none than the parent's */
	outer->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	outer_fd_add(outer, outer->bell);
}

int inner_fd_prepare(int inner)
{
	int flags = fcntl(inner, F_GETFL);

	return flags < 0 || fcntl(inner, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

int outer_fd_add(const struct outer_fd *outer, int inner)
{
	struct epoll_event wanted = {.events = EPOLLIN};
	if (epoll_ctl(outer->fd, EPOLL_CTL_ADD, inner, &wanted) && errno != EEXIST)
		return -errno;
	return 0;
}

void outer_fd_remove(const struct outer_fd *outer, int inner)
{
	epoll_ctl(outer->fd, EPOLL_CTL_DEL, inner, NULL);
}

void outer_fd_ring(const struct outer_fd *outer)
{
	int saved_errno = errno;

	eventfd_write(outer->bell, 1);
	errno = saved_errno;
}

void outer_fd_hush(const struct outer_fd *outer)
{
	int saved_errno = errno;
	eventfd_t rung;

	eventfd_read(outer->bell, &rung);
	errno = saved_errno;
}

/* ---- sleeping ---- */

static bool handler_returns(int number)
{
	switch (number) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGABRT:
	case SIGTRAP:
	case SIGSYS:
		return false;
	default:
		return true;
	}
}

/*
 * A read that a signal has interrupted goes on if the handler was installed with SA_RESTART; a wait
 * for an epoll instance never does. Which handler it was nobody says: if they do not agree, the
 * application gets to see EINTR. Where there is none it was stopped and continued.
 */
static bool interruption_goes_on(void)
{
	int saved_errno = errno;
	sigset_t blocked;
	bool goes_on = true;

	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct sigaction action;

		if (!handler_returns(number) || sigismember(&blocked, number) ||
		        sigaction(number, NULL, &action))
			continue;
		if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN)
			goes_on &= !!(action.sa_flags & SA_RESTART);
	}
	errno = saved_errno;
	return goes_on;
}

void outer_fd_transit_begin(struct outer_fd *outer)
{
	__atomic_add_fetch(&outer->transits, 1, __ATOMIC_SEQ_CST);
}

void outer_fd_transit_end(struct outer_fd *outer)
{
	__atomic_add_fetch(&outer->transits, 1, __ATOMIC_SEQ_CST);
}

static bool has_nothing(const struct outer_fd *outer, unsigned transits)
{
	return !(transits & 1) && __atomic_load_n(&outer->transits, __ATOMIC_SEQ_CST) == transits;
}

int outer_fd_await(const struct outer_fd *outer)
{
	struct epoll_event ready;
	unsigned transits;
	int count;

	do {
		int flags = fcntl(outer->fd, F_GETFL);

		if (flags < 0)
			return -1;
		transits = __atomic_load_n(&outer->transits, __ATOMIC_SEQ_CST);
		count = epoll_wait(outer->fd, &ready, 1, flags & O_NONBLOCK ? 0 : -1);
	} while (count < 0 && errno == EINTR && interruption_goes_on());
	if (count)
		return count > 0 ? 0 : -1;
	errno = EAGAIN;
	return has_nothing(outer, transits) ? -1 : 0;
}
