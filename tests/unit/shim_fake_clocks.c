/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_clocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <time.h>

#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_fake_devices.h"

enum { NS_PER_S = 1000000000 };

struct fake_clocks fake_clocks;
static uint64_t origin_ns, stamped;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* The first is an ordinary one; the others are faster, and wrap while a test runs; far behind;
 * narrow. */
void fake_clocks_reset(void)
{
	fake_clocks =
	        (struct fake_clocks){.of_slot = {
	                                     {1ull << 40, INT64_MAX, 156250},
	                                     {(1ull << 48) - 1010000000, (1ull << 48) - 1, 1000000},
	                                     {5, UINT64_MAX, 78125},
	                                     {1ull << 39, (1ull << 40) - 1, 156250},
	                             }};
	origin_ns = now_ns() - NS_PER_S;
	stamped = 0;
}

static const struct fake_clock *clock_of(const struct ibv_context *context)
{
	return &fake_clocks.of_slot[fake_is_vm(context) ? fake_slot_of(context) : 0];
}

static uint64_t ticks(const struct ibv_context *context, uint64_t at_ns)
{
	const struct fake_clock *clock = clock_of(context);
	unsigned __int128 passed = (unsigned __int128)(at_ns - origin_ns) * clock->khz / 1000000;

	return (clock->begin + (uint64_t)passed) & clock->mask;
}

struct fake_stamp fake_stamp_now(void)
{
	return (struct fake_stamp){now_ns() - fake_clocks.lag_ns, ++stamped * FAKE_WALL_NS};
}

/* ---- an ibv_cq_ex ---- */

static struct fake_cq_ex *of(struct ibv_cq_ex *shown)
{
	return (struct fake_cq_ex *)(void *)shown;
}

static int next_poll(struct ibv_cq_ex *shown)
{
	struct fake_cq_ex *cq = of(shown);

	if (!cq->take(&cq->cq, &cq->wc, &cq->stamp))
		return ENOENT;
	shown->wr_id = cq->wc.wr_id;
	shown->status = cq->wc.status;
	return 0;
}

static int start_poll(struct ibv_cq_ex *shown, struct ibv_poll_cq_attr *attr)
{
	int err;

	/* As with a provider's lock. */
	assert_false(of(shown)->is_being_read);
	err = next_poll(shown);
	of(shown)->is_being_read = !err;
	return err;
}

static void end_poll(struct ibv_cq_ex *shown)
{
	assert_true(of(shown)->is_being_read);
	of(shown)->is_being_read = false;
}

#define READS(ret, what, value)                                                                    \
	static ret read_##what(struct ibv_cq_ex *shown)                                            \
	{                                                                                          \
		return value;                                                                      \
	}
READS(enum ibv_wc_opcode, opcode, of(shown)->wc.opcode)
READS(uint32_t, vendor_err, of(shown)->wc.vendor_err)
READS(unsigned, wc_flags, of(shown)->wc.wc_flags)
READS(uint32_t, byte_len, of(shown)->wc.byte_len)
READS(__be32, imm_data, of(shown)->wc.imm_data)
READS(uint32_t, qp_num, of(shown)->wc.qp_num)
READS(uint32_t, src_qp, of(shown)->wc.src_qp)
READS(uint32_t, slid, of(shown)->wc.slid)
READS(uint8_t, sl, of(shown)->wc.sl)
READS(uint8_t, dlid_path_bits, of(shown)->wc.dlid_path_bits)
READS(uint64_t, completion_ts, ticks(shown->context, of(shown)->stamp.at_ns))
READS(uint64_t, completion_wallclock_ns, of(shown)->stamp.wall_ns)

static void show_readers(struct ibv_cq_ex *shown, uint64_t wc_flags)
{
	shown->start_poll = start_poll;
	shown->next_poll = next_poll;
	shown->end_poll = end_poll;
	shown->read_opcode = read_opcode;
	shown->read_vendor_err = read_vendor_err;
	shown->read_wc_flags = read_wc_flags;
#define READER(flag, what)                                                                         \
	if (wc_flags & IBV_WC_EX_WITH_##flag)                                                      \
		shown->read_##what = read_##what;
	READER(BYTE_LEN, byte_len)
	READER(IMM, imm_data)
	READER(QP_NUM, qp_num)
	READER(SRC_QP, src_qp)
	READER(SLID, slid)
	READER(SL, sl)
	READER(DLID_PATH_BITS, dlid_path_bits)
	READER(COMPLETION_TIMESTAMP, completion_ts)
	READER(COMPLETION_TIMESTAMP_WALLCLOCK, completion_wallclock_ns)
}

/* ---- a context ---- */

static struct ibv_cq_ex *create_cq_ex(struct ibv_context *context, struct ibv_cq_init_attr_ex *attr)
{
	struct ibv_cq *made = fake_create_cq(
	        context, (int)attr->cqe, attr->cq_context, attr->channel, (int)attr->comp_vector);
	struct fake_cq_ex *cq = (struct fake_cq_ex *)(void *)made;

	cq->take = fake_take_stamped;
	show_readers(&cq->shown, attr->wc_flags);
	return &cq->shown;
}

static int query_rt_values(struct ibv_context *context, struct ibv_values_ex *values)
{
	if (fake_clocks.cannot_be_read)
		return EOPNOTSUPP;
	values->raw_clock = (struct timespec){.tv_nsec = (long)ticks(context, now_ns())};
	return 0;
}

static int query_device_ex(struct ibv_context *context,
        const struct ibv_query_device_ex_input *input, struct ibv_device_attr_ex *attr, size_t size)
{
	memset(attr, 0, size);
	fake_query_device(context, &attr->orig_attr);
	attr->completion_timestamp_mask = clock_of(context)->mask;
	attr->hca_core_clock = clock_of(context)->khz;
	return 0;
}

void fake_clocks_show(struct verbs_context *context)
{
	if (!fake_clocks.are_there)
		return;
	context->create_cq_ex = create_cq_ex;
	context->query_rt_values = query_rt_values;
	context->query_device_ex = query_device_ex;
}
