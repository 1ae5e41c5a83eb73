/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/completion_stamps.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "preload/device_clock.h"

struct completion_stamps *completion_stamps_create(
        const struct completion_queue *cq, uint64_t wc_flags)
{
	struct completion_stamps *stamps = calloc(1, sizeof(*stamps));

	if (!stamps)
		return NULL;
	stamps->wc_flags = wc_flags & COMPLETION_STAMPS;
	stamps->clock = cq->context->clock;
	stamps->newest.ticks = stamps->clock.base_counted;
	return stamps;
}

/* Ticks of a device whose clock cannot be read say nothing. */
static bool can_stamp(const struct completion_stamps *stamps)
{
	return !(stamps->wc_flags & IBV_WC_EX_WITH_COMPLETION_TIMESTAMP) ||
	       stamps->clock.device.mask;
}

/* With all that an ibv_wc says. */
struct ibv_cq *completion_stamps_create_real(struct completion_queue *cq, int entries)
{
	struct ibv_cq_init_attr_ex attr = {.cqe = (uint32_t)entries,
	        .cq_context = cq,
	        .channel = cq->channel ? cq->channel->real : NULL,
	        .comp_vector = (uint32_t)cq->vector,
	        .wc_flags = IBV_WC_STANDARD_FLAGS | cq->stamps->wc_flags};
	struct ibv_cq_ex *made;

	if (!can_stamp(cq->stamps)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	made = ibv_create_cq_ex(cq->context->real, &attr);
	return made ? ibv_cq_ex_to_cq(made) : NULL;
}

void completion_stamps_follow(struct completion_queue *cq)
{
	cq->stamps->clock = cq->context->clock;
}

/* ---- of the device ---- */

static struct ibv_cq_ex *real_ex(const struct completion_queue *cq)
{
	return (struct ibv_cq_ex *)(void *)cq->real;
}

/* Beside an error the rest says nothing. */
static void read_completion(struct ibv_cq_ex *real, struct ibv_wc *wc)
{
	*wc = (struct ibv_wc){.wr_id = real->wr_id,
	        .status = real->status,
	        .opcode = ibv_wc_read_opcode(real),
	        .vendor_err = ibv_wc_read_vendor_err(real),
	        .qp_num = ibv_wc_read_qp_num(real)};
	if (wc->status)
		return;
	wc->byte_len = ibv_wc_read_byte_len(real);
	wc->imm_data = ibv_wc_read_imm_data(real);
	wc->src_qp = ibv_wc_read_src_qp(real);
	wc->wc_flags = ibv_wc_read_wc_flags(real);
	wc->slid = (uint16_t)ibv_wc_read_slid(real);
	wc->sl = ibv_wc_read_sl(real);
	wc->dlid_path_bits = ibv_wc_read_dlid_path_bits(real);
}

static void read_stamp(const struct completion_stamps *stamps, struct ibv_cq_ex *real,
        uint64_t host_ns, struct completion_stamp *stamp)
{
	if (stamps->wc_flags & IBV_WC_EX_WITH_COMPLETION_TIMESTAMP)
		stamp->ticks =
		        shown_clock_of(&stamps->clock, ibv_wc_read_completion_ts(real), host_ns);
	if (stamps->wc_flags & IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK)
		stamp->wall_ns = ibv_wc_read_completion_wallclock_ns(real);
}

int completion_stamps_read(struct completion_queue *cq, int count, struct ibv_wc *wc)
{
	struct completion_stamps *stamps = cq->stamps;
	struct ibv_cq_ex *real = real_ex(cq);
	struct ibv_poll_cq_attr attr = {0};
	int err = ibv_start_poll(real, &attr), got = 0;
	uint64_t host_ns;

	if (err)
		return err == ENOENT ? 0 : -1;
	host_ns = host_clock_ns();
	do {
		read_completion(real, &wc[got]);
		read_stamp(stamps, real, host_ns, &stamps->batch[got]);
	} while (++got < count && !ibv_next_poll(real));
	ibv_end_poll(real);
	return got;
}

void completion_stamps_take(struct completion_queue *cq, int index)
{
	cq->stamps->current = cq->stamps->batch[index];
}

/* ---- in the ring ---- */

static uint64_t wall_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct completion_stamp stamp_of_now(const struct completion_queue *cq)
{
	const struct shown_clock *clock = &cq->stamps->clock;
	struct completion_stamp stamp = {.wall_ns = wall_clock_ns()};
	uint64_t reading;

	if (!(cq->stamps->wc_flags & IBV_WC_EX_WITH_COMPLETION_TIMESTAMP))
		return stamp;
	if (!cq->real || !clock->device.mask)
		stamp.ticks = shown_clock_without_device(clock, host_clock_ns());
	else if (!device_clock_read(cq->real->context, &reading))
		stamp.ticks = shown_clock_of(clock, reading, host_clock_ns());
	else
		stamp.ticks = context_clock_shown(cq->context);
	return stamp;
}

void completion_stamps_mark(struct completion_queue *cq, bool is_of_device)
{
	struct completion_stamps *stamps = cq->stamps;
	struct completion_stamp stamp = is_of_device ? stamps->current : stamp_of_now(cq);

	if (counted_before(stamp.ticks, stamps->newest.ticks))
		stamp.ticks = stamps->newest.ticks;
	stamps->newest = stamp;
	context_clock_show(cq->context, stamp.ticks);
	*completion_ring_newest_stamp(&cq->ring) = stamp;
}

struct completion_stamp completion_stamps_next(const struct completion_queue *cq)
{
	struct completion_stamp stamp = *completion_ring_oldest_stamp(&cq->ring);

	stamp.ticks = shown_clock_show(&cq->stamps->clock, stamp.ticks);
	return stamp;
}
