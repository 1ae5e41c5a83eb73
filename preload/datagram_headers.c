/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/datagram_headers.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "notifier/wire/gid_name.h"
#include "preload/agent_link.h"
#include "preload/datagram_numbers.h"
#include "preload/grh.h"
#include "preload/heard_senders.h"

/* ---- kept until its sender is known ---- */

struct kept_header {
	bool used;
	union ibv_gid from;
	uint32_t own; /* name of the GID to which it came; 0: a group */
	struct grh_place place;
};

enum { LEAST_KEPT = 16 };

void kept_headers_fini(struct kept_headers *kept)
{
	if (kept->size)
		munmap(kept->entries, kept->size * sizeof(*kept->entries));
	*kept = (struct kept_headers){0};
}

/* Memory of the kernel itself, as datagram_counts.h takes it. */
static int grow(struct kept_headers *kept)
{
	uint32_t size = kept->size ? 2 * kept->size : LEAST_KEPT;
	struct kept_header *entries = mmap(NULL, size * sizeof(*entries), PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (entries == MAP_FAILED)
		return -ENOMEM;
	if (kept->size)
		memcpy(entries, kept->entries, kept->size * sizeof(*entries));
	kept_headers_fini(kept);
	*kept = (struct kept_headers){entries, size};
	return 0;
}

/* NULL: no memory. */
static struct kept_header *keep(struct kept_headers *kept, uint32_t *index)
{
	uint32_t i = 0;

	while (i < kept->size && kept->entries[i].used)
		i++;
	if (i == kept->size && grow(kept))
		return NULL;
	kept->entries[i].used = true;
	*index = i;
	return &kept->entries[i];
}

static struct kept_header *kept_of(const struct completion_queue *cq, const struct ibv_wc *wc)
{
	return &cq->kept_headers.entries[wc->vendor_err];
}

/* ---- what it says ---- */

/* One that lies in one piece is looked at where it is. */
static const uint8_t *look(const struct grh_place *place, uint8_t copy[GRH_BYTES])
{
	if (place->count == 1)
		return place->at[0];
	grh_read(place, copy);
	return copy;
}

static void write_ends(
        const struct grh_place *place, const union ibv_gid *from, const union ibv_gid *to)
{
	uint8_t header[GRH_BYTES];

	grh_read(place, header);
	if (grh_set_ends(header, grh_kind_of(header), from, to))
		grh_write(place, header);
}

/* The receive is the application's again when it has completed. */
static bool place_of(const struct queue_pair *qp, uint64_t tag, struct grh_place *place)
{
	struct ibv_sge sges[GRH_BYTES];
	struct ibv_recv_wr wr;
	unsigned count = 0;

	if (qp->srq)
		shared_log_wr(&qp->srq->log, tag_sequence(tag), &wr);
	else
		receive_log_wr(&qp->receives, tag_sequence(tag), &wr);
	for (int i = 0; i < wr.num_sge && count < GRH_BYTES; i++) {
		const struct ibv_sge *sge = &wr.sg_list[i];

		if (!sge->length)
			continue;
		sges[count] = *sge;
		sges[count++].addr += shifted_regions_shift(&qp->context->shifted, sge->lkey);
	}
	return grh_place_in(place, sges, count);
}

static uint32_t name_of(const union ibv_gid *gid)
{
	return gid->raw[0] == 0xff ? 0 : gid_name(gid->raw);
}

/* ---- as the application knows it ---- */

/* As in a row: @qpn at the name @lid. */
static void count(struct queue_pair *qp, uint32_t own, uint32_t lid, uint32_t qpn)
{
	if (own)
		datagram_counts_add(&qp->received, own, lid, qpn, true);
}

/* Where it comes from is known, or never will be. */
static void call(struct queue_pair *qp, struct ibv_wc *wc, const struct grh_place *place,
        const struct datagram_numbers *from, uint32_t own)
{
	const struct number_entry *entry = datagram_sender(from, wc->src_qp);
	const struct datagram_numbers *shown = from;

	if (__builtin_expect(entry != NULL, 0)) {
		wc->src_qp = datagram_entry_qpn(entry);
		if (datagram_entry_lid(entry))
			shown = datagram_numbers_named(datagram_entry_lid(entry));
		if (shown && shown != from)
			write_ends(place, &shown->gid, NULL);
	}
	if (shown)
		count(qp, own, shown->lid, wc->src_qp);
}

static bool is_introduced(const struct datagram_numbers *from)
{
	return from && (__atomic_load_n(&from->is_known, __ATOMIC_ACQUIRE) ||
	                       named_sender_is_known(from->lid));
}

/* False: no memory, and it is called as it calls itself. */
static bool is_kept(struct queue_pair *qp, struct ibv_wc *wc, const struct grh_place *place,
        const union ibv_gid *from, uint32_t own)
{
	struct completion_queue *cq = qp->recv_cq;
	struct kept_header *kept = keep(&cq->kept_headers, &wc->vendor_err);

	if (!kept)
		return false;
	kept->from = *from;
	kept->own = own;
	kept->place = *place;
	wc->src_qp |= STRANGER | STRANGER_BY_NAME;
	cq->strangers++;
	return true;
}

static bool is_same(const union ibv_gid *a, const union ibv_gid *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void hear_another(struct queue_pair *qp, const union ibv_gid *from, const union ibv_gid *to)
{
	const struct port_tables *tables = &qp->context->tables[qp->attr.port_num - 1];
	const union ibv_gid *shown = port_tables_gid_to_shown(tables, to);

	qp->heard_before = (struct heard_before){.incarnation = qp->sends.incarnation,
	        .from = *from,
	        .to = *to,
	        .shown = shown ? *shown : *to,
	        .own = name_of(shown ? shown : to)};
}

/* Most often it is the one of before, of this device. Our own end is called as it is known. */
static const struct heard_before *hear(struct queue_pair *qp, const union ibv_gid *from,
        const union ibv_gid *to, const struct grh_place *place)
{
	struct heard_before *before = &qp->heard_before;

	if (before->incarnation != qp->sends.incarnation || !is_same(&before->from, from) ||
	        !is_same(&before->to, to))
		hear_another(qp, from, to);
	if (!before->numbers)
		before->numbers = datagram_numbers_find(gid_name(from->raw), from);
	if (!is_same(&before->shown, to))
		write_ends(place, NULL, &before->shown);
	return before;
}

void datagram_header_received(struct queue_pair *qp, struct ibv_wc *wc)
{
	const struct heard_before *heard;
	union ibv_gid from, to;
	uint8_t copy[GRH_BYTES];
	struct grh_place place;

	/* Without one nobody moves. */
	if (!agent_link_is_there() || !place_of(qp, wc->wr_id, &place) ||
	        grh_ends(look(&place, copy), &from, &to) == GRH_IS_NONE)
		return;
	heard = hear(qp, &from, &to, &place);
	if (__builtin_expect(!is_introduced(heard->numbers), 0) &&
	        is_kept(qp, wc, &place, &from, heard->own))
		return;
	call(qp, wc, &place, heard->numbers, heard->own);
}

/* ---- strangers ---- */

struct remote datagram_header_sender(const struct completion_queue *cq, const struct ibv_wc *wc)
{
	const union ibv_gid *from = &kept_of(cq, wc)->from;
	uint32_t name = gid_name(from->raw);

	return (struct remote){.lid = name, .gid = *from, .real_lid = name, .real_gid = *from};
}

void datagram_header_forget(struct completion_queue *cq, const struct ibv_wc *wc)
{
	kept_of(cq, wc)->used = false;
}

void datagram_header_introduce(
        struct completion_queue *cq, struct queue_pair *qp, struct ibv_wc *wc)
{
	struct kept_header *kept = kept_of(cq, wc);

	wc->src_qp &= ~(uint32_t)(STRANGER | STRANGER_BY_NAME);
	if (qp)
		call(qp, wc, &kept->place,
		        datagram_numbers_find(gid_name(kept->from.raw), &kept->from), kept->own);
	kept->used = false;
	wc->vendor_err = 0;
}
