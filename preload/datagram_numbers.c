/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/datagram_numbers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/rows.h"
#include "preload/objects.h"

unsigned datagram_numbers_leading_away;

/* Which tables are in use, and what was replaced; nothing else is locked inside. */
static pthread_mutex_t replacing = PTHREAD_MUTEX_INITIALIZER;
static struct datagram_tables *replaced;

/* ---- tables ---- */

static void tables_free(struct datagram_tables *tables)
{
	if (!tables)
		return;
	number_table_clear(&tables->to_real);
	number_table_clear(&tables->to_virtual);
	free(tables);
}

/* Connected queue pairs are the business of their other ends alone. */
static bool is_datagram(const struct qp_row *row)
{
	return !row->remote_qpn && !row->remote_lid;
}

/* A name is said also where it is the same, since address handles to it may lead elsewhere. */
static uint32_t elsewhere(uint32_t lid, uint32_t other_lid)
{
	return other_lid == lid && !is_gid_name(lid) ? 0 : other_lid;
}

/* @qpn at @lid means @other_qpn at @other_lid. */
static int set(struct number_table *table, uint32_t lid, uint32_t qpn, uint32_t other_lid,
        uint32_t other_qpn)
{
	if (other_lid == lid && qpn == other_qpn)
		return 0;
	return number_table_set(table, qpn, (uint64_t)elsewhere(lid, other_lid) << 32 | other_qpn);
}

/* What a table says of a name is of use only with its GID, so that has a record from here on. */
static bool is_lid_or_has_gid(uint32_t lid, const Tether__GidRows *gids)
{
	union ibv_gid gid;

	return !is_gid_name(lid) ||
	       (gid_rows_find(gids, lid, gid.raw) && datagram_numbers_of(lid, &gid));
}

/* Where a queue pair is known by several names, all of which lead to one, it is called by the first
 * of them, though that were its own. */
static int set_sender(struct number_table *table, uint32_t lid, const struct qp_row *row)
{
	if (!is_gid_name(lid))
		return set(table, lid, row->real_qpn, row->local_lid, row->local_qpn);
	if (number_table_find(table, row->real_qpn))
		return 0;
	return number_table_set(
	        table, row->real_qpn, (uint64_t)row->local_lid << 32 | row->local_qpn);
}

static int take_row(struct datagram_tables *tables, uint32_t lid, const struct qp_row *row,
        const Tether__GidRows *gids)
{
	uint32_t real_lid = row->real_lid ? row->real_lid : row->local_lid;
	int err = 0;

	if (row->local_lid == lid) {
		if (is_lid_or_has_gid(real_lid, gids) && !tables->place)
			tables->place = real_lid;
		tables->leads_away |= real_lid != lid;
		err = set(&tables->to_real, lid, row->local_qpn, real_lid, row->real_qpn);
	}
	if (real_lid == lid && !err && is_lid_or_has_gid(row->local_lid, gids))
		err = set_sender(&tables->to_virtual, lid, row);
	return err;
}

static int tables_fill(struct datagram_tables *tables, uint32_t lid, const Tether__QpRows *rows,
        const Tether__GidRows *gids, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		struct qp_row row = qp_rows_get(rows, i);

		if (is_datagram(&row))
			err = take_row(tables, lid, &row, gids);
	}
	return err;
}

static bool is_same_table(const struct number_table *a, const struct number_table *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; a->count && i <= a->mask; i++) {
		const struct number_entry *entry = &a->entries[i], *other;

		if (!entry->used)
			continue;
		other = number_table_find(b, entry->number);
		if (!other || other->value != entry->value)
			return false;
	}
	return true;
}

static bool are_same(const struct datagram_tables *a, const struct datagram_tables *b)
{
	return b && a->leads_away == b->leads_away && a->place == b->place &&
	       is_same_table(&a->to_real, &b->to_real) &&
	       is_same_table(&a->to_virtual, &b->to_virtual);
}

static bool some_have_turned;

void datagram_numbers_turn(struct datagram_numbers *numbers)
{
	__atomic_fetch_add(&numbers->turns, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&some_have_turned, true, __ATOMIC_RELEASE);
}

bool datagram_numbers_have_turned(void)
{
	return __atomic_exchange_n(&some_have_turned, false, __ATOMIC_ACQ_REL);
}

static void set_place(struct datagram_numbers *numbers, uint32_t place)
{
	if (!is_gid_name(numbers->lid) ||
	        datagram_numbers_place(numbers) == (place ? place : numbers->lid))
		return;
	__atomic_store_n(&numbers->place, place, __ATOMIC_RELEASE);
	datagram_numbers_turn(numbers);
}

/* Replacing is locked. */
static void replace(struct datagram_numbers *numbers, struct datagram_tables *with)
{
	struct datagram_tables *had = numbers->tables;
	bool led = had && had->leads_away, leads = with && with->leads_away;

	if (leads != led)
		__atomic_fetch_add(
		        &datagram_numbers_leading_away, leads ? 1 : -1, __ATOMIC_RELAXED);
	set_place(numbers, with ? with->place : 0);
	__atomic_store_n(&numbers->tables, with, __ATOMIC_RELEASE);
	if (!had)
		return;
	had->next = replaced;
	replaced = had;
}

static unsigned times_taken;

unsigned datagram_numbers_taken(void)
{
	return __atomic_load_n(&times_taken, __ATOMIC_ACQUIRE);
}

int datagram_numbers_take(
        struct datagram_numbers *numbers, const Tether__QpRows *rows, const Tether__GidRows *gids)
{
	struct datagram_tables *tables;
	size_t count;
	int err = qp_rows_count(rows, &count);

	if (err)
		return err;
	tables = calloc(1, sizeof(*tables));
	if (!tables)
		return -ENOMEM;
	__atomic_fetch_add(&times_taken, 1, __ATOMIC_RELEASE);
	err = tables_fill(tables, numbers->lid, rows, gids, count);
	LOCK_GUARD(&replacing);
	if (err || are_same(tables, numbers->tables)) {
		tables_free(tables);
	} else if (tables->to_real.count || tables->to_virtual.count || tables->leads_away) {
		replace(numbers, tables);
	} else {
		tables_free(tables);
		replace(numbers, NULL);
	}
	return err;
}

static int table_copy(struct number_table *to, const struct number_table *from)
{
	int err = 0;

	for (uint32_t i = 0; from->count && i <= from->mask && !err; i++) {
		if (from->entries[i].used)
			err = number_table_set(to, from->entries[i].number, from->entries[i].value);
	}
	return err;
}

int datagram_numbers_learn(struct datagram_numbers *numbers, uint32_t virtual_qpn,
        uint32_t real_lid, uint32_t real_qpn)
{
	struct datagram_tables *tables = calloc(1, sizeof(*tables));
	int err = tables ? 0 : -ENOMEM;

	LOCK_GUARD(&replacing);
	if (!err && numbers->tables) {
		tables->leads_away = numbers->tables->leads_away;
		tables->place = numbers->tables->place;
		err = table_copy(&tables->to_real, &numbers->tables->to_real);
	}
	if (!err && numbers->tables)
		err = table_copy(&tables->to_virtual, &numbers->tables->to_virtual);
	/* Who has a GID may be asked there alone: nobody stays behind. */
	if (is_gid_name(real_lid) && real_lid == numbers->lid)
		real_lid = datagram_numbers_place(numbers);
	if (!err)
		err = number_table_set(&tables->to_real, virtual_qpn,
		        (uint64_t)elsewhere(numbers->lid, real_lid) << 32 | real_qpn);
	if (err)
		tables_free(tables);
	else
		replace(numbers, tables);
	return err;
}

void datagram_numbers_forget(struct datagram_numbers *numbers)
{
	LOCK_GUARD(&replacing);
	replace(numbers, NULL);
}

/* One after the other: who was inside when they were replaced has left. */
static void everybody_leaves(void)
{
	struct completion_queue *cq;
	struct context *context;
	struct queue_pair *qp;

	TAILQ_FOREACH(context, &contexts, link)
	{
		TAILQ_FOREACH(cq, &context->cqs, link)
		{
			gate_close(&cq->gate);
			gate_open(&cq->gate);
		}
		TAILQ_FOREACH(qp, &context->qps, link)
		{
			if (qp->init.qp_type != IBV_QPT_UD && !qp->srq_numbers)
				continue;
			gate_close(&qp->send_gate);
			gate_open(&qp->send_gate);
		}
	}
}

static struct datagram_tables *take_replaced(void)
{
	struct datagram_tables *all;

	LOCK_GUARD(&replacing);
	all = replaced;
	replaced = NULL;
	return all;
}

void datagram_numbers_reclaim(void)
{
	struct datagram_tables *tables = take_replaced();

	if (!tables)
		return;
	everybody_leaves();
	while (tables) {
		struct datagram_tables *next = tables->next;

		tables_free(tables);
		tables = next;
	}
}

void datagram_numbers_in_child(void)
{
	pthread_mutex_init(&replacing, NULL);
}
