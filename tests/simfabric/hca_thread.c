/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include "simfabric/hca_process.h"

/*
 * Who serves? A program that polls without end serves itself and must not pay for wake-ups; one
 * that polls now and then, or spins on its memory, needs the thread at once. So a program is
 * believed to be a poller when it has polled in vain a few times; the thread then only looks in.
 * When it finds packets that nobody took, it stops believing for so many wake-ups, and longer each
 * time that it was wrong again.
 */
enum {
	VAIN_POLLS = 4,
	LOOK_IN_MIN_NS = 50000,
	LOOK_IN_MAX_NS = 800000,
	STILL_POLLING_NS = 30000, /* since the last poll; the thread itself may have preempted it */
	SLEEP_MAX_NS = 20000000,  /* a detach wakes nobody; a producer may die before its wake-up */
	WATCH_NS = 10000000,
	FULL_RING_MIN_NS = 50000, /* until sending is tried again; twice as long each time */
	FULL_RING_MAX_NS = 2000000,
	DISTRUST_MIN = 16, /* wake-ups */
	DISTRUST_MAX = 1024,
};

static struct {
	pthread_t thread;
	bool is_running;
	bool must_stop;
	bool program_polls; /* believed */
	unsigned vain_polls;
	unsigned distrust, next_distrust; /* wake-ups to come without belief */
	bool was_late;                    /* once may be chance */
	uint64_t polled_ns;               /* when a program last took a turn */
	uint64_t look_in_ns;
	uint64_t full_ring_ns; /* the last wait for a full ring */
	uint64_t watched_ns;   /* the ports, for events */
} service;

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t until_due_ns(void)
{
	uint64_t due_ns = hca_next_due_ns(), now_ns = hca_now_ns();

	if (hca_process.ready_first) {
		service.full_ring_ns = min_u64(service.full_ring_ns * 2, FULL_RING_MAX_NS);
		return service.full_ring_ns;
	}
	service.full_ring_ns = FULL_RING_MIN_NS / 2;
	return due_ns <= now_ns ? 0 : min_u64(due_ns - now_ns, SLEEP_MAX_NS);
}

static void stop_believing(void)
{
	service.program_polls = false;
	service.distrust = service.next_distrust;
	if (service.next_distrust < DISTRUST_MAX)
		service.next_distrust *= 2;
}

/* While a program polls: is it still at it? */
static void look_in(uint64_t idle_ns, bool found_packets)
{
	bool is_late = found_packets && idle_ns > STILL_POLLING_NS;

	if (is_late && service.was_late) {
		stop_believing();
	} else if (idle_ns > service.look_in_ns) {
		service.program_polls = false;
	} else if (found_packets) {
		service.look_in_ns = LOOK_IN_MIN_NS;
	} else if (service.look_in_ns < LOOK_IN_MAX_NS) {
		service.look_in_ns *= 2;
	} else {
		service.next_distrust = DISTRUST_MIN;
	}
	service.was_late = is_late;
}

/* Sleep with the lock dropped. True: woken, not timed out. */
static bool sleep_until_needed(void)
{
	uint64_t wait_ns = until_due_ns();
	uint32_t wakes = __atomic_load_n(&hca_process.ring->sleeper.wakes, __ATOMIC_ACQUIRE);
	struct packet_ring *ring = hca_process.ring;

	if (service.program_polls)
		wait_ns = min_u64(wait_ns, service.look_in_ns);
	else if (!packet_ring_ask_wake(ring, &wakes))
		wait_ns = 0;
	hca_unlock();
	if (wait_ns)
		packet_ring_sleep(ring, wakes, wait_ns);
	hca_lock();
	return __atomic_load_n(&ring->sleeper.wakes, __ATOMIC_ACQUIRE) != wakes;
}

static void watch_ports_at_times(void)
{
	uint64_t now_ns = hca_now_ns();

	if (now_ns - service.watched_ns < WATCH_NS)
		return;
	service.watched_ns = now_ns;
	hca_watch_ports();
}

static void *serve(void *unused)
{
	bool was_polling, was_woken, found_packets;
	uint64_t idle_ns;

	prctl(PR_SET_NAME, "simfabric-hca");
	prctl(PR_SET_TIMERSLACK, 1);
	hca_lock();
	while (!service.must_stop) {
		was_polling = service.program_polls;
		was_woken = sleep_until_needed();
		if (service.must_stop)
			break;
		watch_ports_at_times();
		idle_ns = hca_now_ns() - service.polled_ns;
		found_packets = hca_turn();
		if (was_polling && service.program_polls)
			look_in(idle_ns, found_packets);
		else if (was_woken && service.distrust)
			service.distrust--;
	}
	hca_unlock();
	return NULL;
}

int hca_thread_start(void)
{
	sigset_t all, before;
	int err;

	service.must_stop = false;
	service.program_polls = false;
	service.vain_polls = service.distrust = 0;
	service.next_distrust = DISTRUST_MIN;
	service.full_ring_ns = FULL_RING_MIN_NS / 2;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = -pthread_create(&service.thread, NULL, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	service.is_running = !err;
	return err;
}

void hca_thread_stop(void)
{
	if (!service.is_running)
		return;
	service.must_stop = true;
	service.is_running = false;
	packet_ring_wake(hca_process.ring);
	hca_unlock();
	pthread_join(service.thread, NULL);
	hca_lock();
}

void hca_thread_forget(void)
{
	service.is_running = false;
}

void hca_polled(bool in_vain)
{
	service.polled_ns = hca_now_ns();
	if (service.program_polls || !in_vain || service.distrust ||
	        ++service.vain_polls < VAIN_POLLS)
		return;
	service.vain_polls = 0;
	service.program_polls = true;
	service.look_in_ns = LOOK_IN_MIN_NS;
	packet_ring_no_wake(hca_process.ring);
	/* It sleeps until a packet wakes it, which none will do now. */
	packet_ring_wake(hca_process.ring);
}

void hca_stops_polling(void)
{
	service.vain_polls = 0;
	if (!service.program_polls)
		return;
	service.program_polls = false;
	packet_ring_wake(hca_process.ring);
}
