/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/memory_windows.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "preload/aside.h"
#include "preload/control.h"
#include "preload/queue_pair.h"
#include "preload/settings.h"

void window_set_init(struct window_set *windows)
{
	pthread_mutex_init(&windows->lock, NULL);
	TAILQ_INIT(&windows->list);
}

void window_set_fini(struct window_set *windows)
{
	number_table_clear(&windows->numbers);
	number_table_clear(&windows->places);
	pthread_mutex_destroy(&windows->lock);
}

/* ---- keys ---- */

/* Under the lock. NULL: no window's. */
static struct memory_window *find(const struct number_table *table, uint32_t key)
{
	const struct number_entry *entry = number_table_find(table, key >> 8);

	return entry ? (struct memory_window *)entry->value : NULL;
}

bool window_key_is_virtual(struct context *context, uint32_t rkey)
{
	LOCK_GUARD(&context->windows.lock);
	return number_table_find(&context->windows.numbers, rkey >> 8);
}

uint32_t window_key_to_real(const struct memory_window *mw, uint32_t rkey)
{
	return (mw->real->rkey & ~(uint32_t)WINDOW_TAG_MASK) |
	       ((rkey + mw->tag_shift) & WINDOW_TAG_MASK);
}

static uint32_t key_to_virtual(const struct memory_window *mw, uint32_t rkey)
{
	return mw->number << 8 | ((rkey - mw->tag_shift) & WINDOW_TAG_MASK);
}

/* A dead one is nobody's, and not the key of whoever has that number here. */
uint32_t window_local_key_to_real(struct context *context, uint32_t rkey)
{
	const struct number_entry *entry;
	const struct memory_window *mw;

	LOCK_GUARD(&context->windows.lock);
	entry = number_table_find(&context->windows.numbers, rkey >> 8);
	if (!entry)
		return rkey;
	mw = (const struct memory_window *)entry->value;
	return mw && mw->real ? window_key_to_real(mw, rkey) : 0;
}

/* ---- made and gone ---- */

/* Peers would take its keys for another's: of a window, or of a region that has one of them. */
static bool number_is_virtual(struct context *context, uint32_t rkey)
{
	const struct number_table *regions = &context->rkeys;

	if (window_key_is_virtual(context, rkey))
		return true;
	for (uint32_t i = 0; regions->count && i <= regions->mask; i++) {
		if (regions->entries[i].used && regions->entries[i].number >> 8 == rkey >> 8)
			return true;
	}
	return false;
}

static struct ibv_mw *alloc_real(struct protection_domain *pd, enum ibv_mw_type type)
{
	return pd->real->context->ops.alloc_mw(pd->real, type);
}

static int dealloc_real(struct memory_window *mw)
{
	int err = mw->real ? mw->real->context->ops.dealloc_mw(mw->real) : 0;

	if (!err)
		mw->real = NULL;
	return err;
}

static int dealloc_aside(void *mw)
{
	return ((struct ibv_mw *)mw)->context->ops.dealloc_mw(mw);
}

static struct ibv_mw *alloc_unlike_virtual(
        struct context *context, struct protection_domain *pd, enum ibv_mw_type type)
{
	struct aside aside = {.destroy = dealloc_aside};
	struct ibv_mw *made;

	do
		made = alloc_real(pd, type);
	while (made && number_is_virtual(context, made->rkey) && aside_keep(&aside, made));
	return aside_end(&aside, made);
}

/* Who may be invalidated from now on: before anything is bound, so nobody misses one. */
static void look_at_receives(struct context *context)
{
	struct queue_pair *qp;

	if (__atomic_exchange_n(&context->windows.any_of_type_2, true, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_lock(&context->lists_lock);
	TAILQ_FOREACH(qp, &context->qps, link)
	__atomic_store_n(&qp->looks_at_receives, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&context->lists_lock);
}

void windows_look_at(struct queue_pair *qp)
{
	if (__atomic_load_n(&qp->context->windows.any_of_type_2, __ATOMIC_SEQ_CST))
		__atomic_store_n(&qp->looks_at_receives, true, __ATOMIC_RELAXED);
}

/* Under the lock. */
static int window_add(struct window_set *windows, struct memory_window *mw)
{
	uint32_t place = mw->real->rkey >> 8;
	int err = number_table_set(&windows->numbers, mw->number, (uintptr_t)mw);

	if (err)
		return err;
	err = number_table_set(&windows->places, place, (uintptr_t)mw);
	if (err)
		number_table_remove(&windows->numbers, mw->number);
	else
		TAILQ_INSERT_TAIL(&windows->list, mw, link);
	return err;
}

static int window_make(struct memory_window *mw, struct context *context)
{
	int err;

	mw->real =
	        alloc_unlike_virtual(context, protection_domain_of(mw->shown.pd), mw->shown.type);
	if (!mw->real)
		return below_error();
	mw->number = mw->real->rkey >> 8;
	mw->rkey = mw->shown.rkey = mw->real->rkey;
	mw->shown.handle = mw->real->handle;
	pthread_mutex_lock(&context->windows.lock);
	err = window_add(&context->windows, mw);
	pthread_mutex_unlock(&context->windows.lock);
	if (err)
		dealloc_real(mw);
	else if (mw->shown.type == IBV_MW_TYPE_2)
		look_at_receives(context);
	return err;
}

struct ibv_mw *memory_window_alloc(struct ibv_pd *shown_pd, enum ibv_mw_type type)
{
	struct context *context = context_of(shown_pd->context);
	struct memory_window *mw = calloc(1, sizeof(*mw));
	int err = mw ? -control_enter(context, NEEDS_DEVICE) : -ENOMEM;

	if (!err) {
		mw->shown =
		        (struct ibv_mw){.context = shown_pd->context, .pd = shown_pd, .type = type};
		err = context->real->ops.alloc_mw ? window_make(mw, context) : -EOPNOTSUPP;
		control_leave();
	}
	if (!err)
		return &mw->shown;
	free(mw);
	errno = -err;
	return NULL;
}

/* Its number stays taken where peers translate it, or are about to. */
static void window_remove(struct context *context, struct memory_window *mw, uint32_t place)
{
	struct window_set *windows = &context->windows;

	LOCK_GUARD(&windows->lock);
	TAILQ_REMOVE(&windows->list, mw, link);
	if (mw->rebuilt || !place)
		number_table_set(&windows->numbers, mw->number, 0);
	else
		number_table_remove(&windows->numbers, mw->number);
	if (place)
		number_table_remove(&windows->places, place);
}

static void void_work_of(struct send_log *log, const void *gone)
{
	for (uint32_t i = log->tail; i != log->head; i++) {
		struct send_slot *slot = send_log_at(log, i);
		union send_operands *operands = send_log_operands(log, slot);

		if (slot->opcode == IBV_WR_BIND_MW &&
		        (operands->bind.mw == gone || operands->bind.mr == gone))
			operands->bind.mw = NULL;
	}
}

/* Open work that would bind what is gone, or to it. */
static void void_work(struct context *context, const void *gone)
{
	struct queue_pair *qp;

	pthread_mutex_lock(&context->lists_lock);
	TAILQ_FOREACH(qp, &context->qps, link)
	{
		queue_pair_close_sends(qp);
		void_work_of(&qp->sends, gone);
		queue_pair_open_sends(qp);
	}
	pthread_mutex_unlock(&context->lists_lock);
}

/* Under the lock, in none of the service thread's pieces. */
static bool is_being_bound(const struct memory_window *mw)
{
	const struct queue_pair *qp = mw->bound.qp;

	return mw->lapsed && qp && qp->migration.move && qp->migration.rebinding &&
	       !qp->migration.rebinding_failed && !qp->application_error;
}

bool memory_window_is_being_bound(const void *object)
{
	const struct memory_window *mw = object;

	LOCK_GUARD(&context_of(mw->shown.context)->windows.lock);
	return is_being_bound(mw);
}

bool windows_are_being_bound_to(const void *object)
{
	const struct memory_region *mr = object;
	struct window_set *windows = &context_of(mr->shown.context)->windows;
	const struct memory_window *mw;
	bool any = false;

	LOCK_GUARD(&windows->lock);
	TAILQ_FOREACH(mw, &windows->list, link)
	any |= mw->bound.mr == mr && is_being_bound(mw);
	return any;
}

int memory_window_dealloc(struct ibv_mw *shown)
{
	struct memory_window *mw = memory_window_of(shown);
	struct context *context = context_of(shown->context);
	uint32_t place;
	int err;

	control_enter_after(context, memory_window_is_being_bound, mw);
	place = mw->real ? mw->real->rkey >> 8 : 0;
	err = dealloc_real(mw);
	if (!err) {
		window_remove(context, mw, place);
		void_work(context, &mw->shown);
	}
	control_leave();
	if (!err)
		free(mw);
	return err;
}

/* ---- what it is bound to ---- */

/* Under the lock. */
static void unbind(struct memory_window *mw)
{
	mw->bound = (struct window_binding){.rkey = mw->bound.rkey};
	mw->lapsed = false;
}

bool window_bind_begins(struct memory_window *mw, uint32_t rkey)
{
	bool had_ended;

	LOCK_GUARD(&context_of(mw->shown.context)->windows.lock);
	had_ended = mw->ended_early && mw->early_rkey == rkey;
	mw->ended_early &= !had_ended;
	return had_ended;
}

void window_bind_did_not_begin(struct memory_window *mw, uint32_t rkey)
{
	LOCK_GUARD(&context_of(mw->shown.context)->windows.lock);
	mw->ended_early = true;
	mw->early_rkey = rkey;
}

void window_was_bound(struct memory_window *mw, const struct window_binding *bound)
{
	struct window_set *windows = &context_of(mw->shown.context)->windows;

	LOCK_GUARD(&windows->lock);
	mw->rkey = bound->rkey;
	mw->lapsed = false;
	if (mw->ended_early && mw->early_rkey == bound->rkey) {
		mw->ended_early = false;
		unbind(mw);
		return;
	}
	mw->bound = *bound;
	if (!bound->length)
		unbind(mw);
}

/* Under the lock. */
static void end_binding(struct memory_window *mw, uint32_t rkey)
{
	if (mw->bound.mr && mw->bound.rkey == rkey) {
		unbind(mw);
	} else {
		mw->ended_early = true;
		mw->early_rkey = rkey;
	}
}

void window_was_invalidated(struct context *context, uint32_t rkey)
{
	struct memory_window *mw;

	LOCK_GUARD(&context->windows.lock);
	mw = find(&context->windows.numbers, rkey);
	if (mw && mw->bound.rkey == rkey)
		unbind(mw);
}

/* The bind's completion may be polled later than the receive: they are of two queues. */
void window_was_invalidated_by_peer(struct queue_pair *qp, struct ibv_wc *wc)
{
	struct memory_window *mw;

	if (!(wc->wc_flags & IBV_WC_WITH_INV))
		return;
	LOCK_GUARD(&qp->context->windows.lock);
	mw = find(&qp->context->windows.places, wc->invalidated_rkey);
	if (!mw)
		return;
	wc->invalidated_rkey = key_to_virtual(mw, wc->invalidated_rkey);
	end_binding(mw, wc->invalidated_rkey);
}

void windows_forget_region(struct memory_region *mr)
{
	struct context *context = context_of(mr->shown.context);
	struct memory_window *mw;
	bool any = false;

	pthread_mutex_lock(&context->windows.lock);
	TAILQ_FOREACH(mw, &context->windows.list, link)
	{
		any = true;
		if (mw->bound.mr == mr)
			unbind(mw);
	}
	pthread_mutex_unlock(&context->windows.lock);
	if (any)
		void_work(context, &mr->shown);
}

void windows_forget_queue_pair(struct queue_pair *qp)
{
	struct memory_window *mw;

	LOCK_GUARD(&qp->context->windows.lock);
	TAILQ_FOREACH(mw, &qp->context->windows.list, link)
	{
		if (mw->bound.qp == qp)
			unbind(mw);
	}
}

/* ---- steps ---- */

int memory_windows_tear_down(struct context *context)
{
	struct window_set *windows = &context->windows;
	struct memory_window *mw;
	int err = 0;

	LOCK_GUARD(&windows->lock);
	TAILQ_FOREACH(mw, &windows->list, link)
	{
		err = err ? err : unless_gone(context, -dealloc_real(mw));
	}
	if (!err)
		number_table_clear(&windows->places);
	windows->reset = RESET_IS_UNKNOWN;
	return err;
}

/*
 * Type 1 counts on from what its real key is, and so does the first bind that makes good what it
 * was bound to; a device may want another key for each.
 */
static int window_rebuild(struct window_set *windows, struct memory_window *mw)
{
	int err;

	mw->real = alloc_real(protection_domain_of(mw->shown.pd), mw->shown.type);
	if (!mw->real)
		return below_error();
	mw->rebuilt = true;
	if (!settings()->rebinding)
		mw->bound.mr = NULL;
	mw->lapsed = mw->bound.mr;
	mw->tag_shift =
	        (uint8_t)(mw->real->rkey + mw->lapsed - (mw->lapsed ? mw->bound.rkey : mw->rkey));
	err = number_table_set(&windows->places, mw->real->rkey >> 8, (uintptr_t)mw);
	if (err)
		dealloc_real(mw); /* the next ATTACH tries again */
	return err;
}

int memory_windows_rebuild(struct context *context)
{
	struct window_set *windows = &context->windows;
	struct memory_window *mw;
	int err = 0;

	LOCK_GUARD(&windows->lock);
	TAILQ_FOREACH(mw, &windows->list, link)
	{
		if (!err && !mw->real)
			err = window_rebuild(windows, mw);
	}
	return err;
}

bool memory_windows_are_whole(const struct context *context)
{
	const struct memory_window *mw;
	bool whole = true;

	TAILQ_FOREACH(mw, &context->windows.list, link)
	whole &= mw->real != NULL;
	return whole;
}
