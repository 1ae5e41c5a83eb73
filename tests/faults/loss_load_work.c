/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/faults/loss_load.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SIGNALLED_EVERY = 3, NAP_US = 200 };

static struct {
	pthread_t woken, polled, events, sender;
	bool stop, send_stop, sends; /* atomic but for the last */
	bool refused[LANES];         /* the device took no more */
} work;

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

/* ---- posting; all under the book's lock ---- */

static struct ibv_sge sge_of(enum lane lane, uint32_t length)
{
	return (struct ibv_sge){(uintptr_t)end.memory + lane * LANE_BYTES, length, end.mr->lkey};
}

static bool takes_receives(enum lane lane)
{
	return lane != LANE_MEMORY;
}

static int post_receive(enum lane lane)
{
	struct ibv_sge sge = sge_of(lane, GRH_BYTES + MESSAGE_BYTES);
	struct ibv_recv_wr wr = {.sg_list = &sge, .num_sge = 1}, *bad;
	unsigned queue = LANES + lane;
	int err;

	if (book.queues[queue].posted == TICKETS)
		return 0;
	wr.wr_id = book_post(queue, lane != LANE_SHARED);
	err = lane == LANE_SHARED ? ibv_post_srq_recv(end.srq, &wr, &bad)
	                          : ibv_post_recv(end.qps[lane], &wr, &bad);
	if (err)
		book_not_posted(queue);
	return err;
}

static enum ibv_wr_opcode opcode_of(enum lane lane, uint32_t nth)
{
	static const enum ibv_wr_opcode of_memory[] = {IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
	        IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_RDMA_WRITE, IBV_WR_ATOMIC_CMP_AND_SWP};

	if (lane == LANE_MEMORY)
		return of_memory[nth % 5];
	return lane == LANE_MESSAGES && nth % 4 == 3 ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_SEND;
}

static void aim(struct ibv_send_wr *wr, enum lane lane)
{
	const uint64_t addr = end.remote_addr + lane * LANE_BYTES + LANE_BYTES / 2;

	if (lane == LANE_DATAGRAMS) {
		wr->wr.ud.ah = end.ah;
		wr->wr.ud.remote_qpn = end.remote_qpns[lane];
		wr->wr.ud.remote_qkey = QKEY;
	} else if (wr->opcode >= IBV_WR_ATOMIC_CMP_AND_SWP) {
		wr->wr.atomic.remote_addr = addr;
		wr->wr.atomic.rkey = end.remote_rkey;
		wr->wr.atomic.compare_add = 1;
	} else {
		wr->wr.rdma.remote_addr = addr;
		wr->wr.rdma.rkey = end.remote_rkey;
	}
}

static int post_send(enum lane lane, bool signalled)
{
	uint32_t nth = book.queues[lane].posted;
	struct ibv_send_wr wr = {.opcode = opcode_of(lane, nth), .num_sge = 1}, *bad;
	bool is_atomic = wr.opcode >= IBV_WR_ATOMIC_CMP_AND_SWP && lane == LANE_MEMORY;
	struct ibv_sge sge = sge_of(lane, is_atomic ? 8 : MESSAGE_BYTES);
	int err;

	aim(&wr, lane);
	wr.sg_list = &sge;
	wr.send_flags = signalled ? IBV_SEND_SIGNALED : 0;
	wr.wr_id = book_post(lane, signalled);
	err = ibv_post_send(end.qps[lane], &wr, &bad);
	if (err)
		book_not_posted(lane);
	return err;
}

static bool has_room(enum lane lane)
{
	const struct queue *queue = &book.queues[lane];

	return lane != LANE_IDLE && !queue->has_failed && !work.refused[lane] &&
	       queue->posted - queue->done < LANE_DEPTH && queue->posted < TICKETS;
}

static bool send_one(enum lane lane)
{
	int err;

	if (!has_room(lane))
		return false;
	err = post_send(lane, book.queues[lane].posted % SIGNALLED_EVERY == SIGNALLED_EVERY - 1);
	work.refused[lane] = err && err != ENOMEM;
	return !err;
}

static void *send_all_the_time(void *unused)
{
	while (!is_set(&work.send_stop)) {
		bool any = false;

		pthread_mutex_lock(&book.lock);
		for (unsigned lane = 0; lane < LANES; lane++)
			any |= send_one(lane);
		pthread_mutex_unlock(&book.lock);
		if (!any)
			usleep(NAP_US);
	}
	return NULL;
}

/* ---- completions and events ---- */

/* A receive that was taken is followed by another. */
static void completed(const struct ibv_wc *wc)
{
	unsigned queue = (unsigned)(wc->wr_id >> 32);

	pthread_mutex_lock(&book.lock);
	book_completed(wc);
	if (queue >= LANES && queue < QUEUES && wc->status == IBV_WC_SUCCESS)
		post_receive(queue - LANES);
	pthread_mutex_unlock(&book.lock);
}

static void poll_woken(void)
{
	struct ibv_wc wc[8];
	int got;

	while ((got = ibv_poll_cq(end.woken, 8, wc)) > 0) {
		for (int i = 0; i < got; i++)
			completed(&wc[i]);
	}
}

/* It sleeps for as long as nothing comes, and is cancelled nowhere else. */
static void *be_woken(void *unused)
{
	int before, got;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	for (;;) {
		struct ibv_cq *cq;
		void *context;

		ibv_req_notify_cq(end.woken, 0);
		poll_woken();
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
		got = ibv_get_cq_event(end.channel, &cq, &context);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
		if (!got)
			ibv_ack_cq_events(cq, 1);
	}
	return NULL;
}

static void poll_batch(void)
{
	struct ibv_poll_cq_attr attr = {0};
	int err = ibv_start_poll(end.polled, &attr);

	if (err)
		return;
	for (; !err; err = ibv_next_poll(end.polled)) {
		struct ibv_wc wc = {.wr_id = end.polled->wr_id, .status = end.polled->status};

		completed(&wc);
	}
	ibv_end_poll(end.polled);
}

static void *poll_all_the_time(void *unused)
{
	while (!is_set(&work.stop)) {
		poll_batch();
		usleep(NAP_US);
	}
	return NULL;
}

static void *hear_events(void *unused)
{
	int before, got;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	for (;;) {
		struct ibv_async_event event;

		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
		got = ibv_get_async_event(end.context, &event);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
		if (got)
			continue;
		pthread_mutex_lock(&book.lock);
		book.fatal += event.event_type == IBV_EVENT_DEVICE_FATAL;
		book.last_wqe += event.event_type == IBV_EVENT_QP_LAST_WQE_REACHED;
		pthread_cond_broadcast(&book.changed);
		pthread_mutex_unlock(&book.lock);
		ibv_ack_async_event(&event);
	}
	return NULL;
}

void work_begin(void)
{
	memset(&work, 0, sizeof(work));
	pthread_mutex_lock(&book.lock);
	for (unsigned lane = 0; lane < LANES; lane++) {
		for (unsigned i = 0; i < RECEIVES && takes_receives(lane); i++)
			post_receive(lane);
	}
	pthread_mutex_unlock(&book.lock);
	pthread_create(&work.woken, NULL, be_woken, NULL);
	pthread_create(&work.polled, NULL, poll_all_the_time, NULL);
	pthread_create(&work.events, NULL, hear_events, NULL);
}

void work_send(void)
{
	work.sends = true;
	pthread_create(&work.sender, NULL, send_all_the_time, NULL);
}

static void stop_sending(void)
{
	if (!work.sends)
		return;
	__atomic_store_n(&work.send_stop, true, __ATOMIC_RELEASE);
	pthread_join(work.sender, NULL);
	work.sends = false;
}

/* ---- waiting ---- */

static bool await(bool (*is_so)(void), unsigned seconds)
{
	struct timespec until;
	bool so;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&book.lock);
	while (!(so = is_so()) && !pthread_cond_timedwait(&book.changed, &book.lock, &until))
		;
	pthread_mutex_unlock(&book.lock);
	return so;
}

static bool each_has_succeeded(void)
{
	bool all = true;

	for (unsigned lane = 0; lane < LANES; lane++)
		all &= lane == LANE_IDLE || book.successes[lane];
	return all && book.successes[LANES + LANE_MESSAGES] && book.successes[QUEUE_SHARED];
}

static bool is_lost(void)
{
	return book.fatal;
}

static bool sends_have_failed(void)
{
	return book.queues[LANE_MESSAGES].has_failed && book.queues[LANE_SHARED].has_failed &&
	       book.queues[LANE_MEMORY].has_failed;
}

static bool is_drained(void)
{
	return !book_must_wait();
}

bool work_runs(unsigned seconds)
{
	return await(each_has_succeeded, seconds);
}

/* From here on: what came before counts no more. */
bool work_runs_again(unsigned seconds)
{
	pthread_mutex_lock(&book.lock);
	memset(book.successes, 0, sizeof(book.successes));
	pthread_mutex_unlock(&book.lock);
	return work_runs(seconds);
}

bool work_is_lost(unsigned seconds)
{
	bool lost = await(is_lost, seconds);

	stop_sending();
	return lost;
}

bool work_is_broken(unsigned seconds)
{
	bool broken = await(sends_have_failed, seconds);

	stop_sending();
	return broken;
}

void work_post_afterwards(void)
{
	pthread_mutex_lock(&book.lock);
	for (unsigned lane = 0; lane < LANES; lane++) {
		int err = lane == LANE_SHARED || !takes_receives(lane) ? 0 : post_receive(lane);

		if (!err)
			err = post_send(lane, false);
		if (!err)
			err = post_send(lane, true);
		if (err)
			book_violation("refused afterwards", (uint64_t)lane << 32 | (unsigned)err);
	}
	pthread_mutex_unlock(&book.lock);
}

bool work_is_drained(unsigned seconds)
{
	return await(is_drained, seconds);
}

void work_end(void)
{
	__atomic_store_n(&work.stop, true, __ATOMIC_RELEASE);
	pthread_cancel(work.woken);
	pthread_cancel(work.events);
	pthread_join(work.woken, NULL);
	pthread_join(work.events, NULL);
	pthread_join(work.polled, NULL);
	/* What comes now comes unasked. */
	poll_woken();
	poll_batch();
}
