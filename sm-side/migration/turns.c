/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/turns.h"

enum {
	/* So often others that share its connections may go before one that was there first. */
	PATIENCE = 2,
	/* And so often anybody: what only others see of it (datagrams) nobody knows before. */
	PATIENCE_WITH_ALL = 4,
};

/* It waits, was there before @m, and has let others go first often enough. */
static bool is_elder(const struct migration *other, const struct migration *m)
{
	return other->state == STATE_PREPARING && other->waits_turn &&
	       other->waited_for >= PATIENCE && other->intent.id < m->intent.id;
}

static bool goes_before(const struct migration *other, const struct migration *m)
{
	if (is_elder(other, m))
		return other->waited_for >= PATIENCE_WITH_ALL;
	return other->state == STATE_PREPARING && !other->waits_turn;
}

/* The elder that @m was found to share connections with. */
static const struct migration *elder_met(
        const struct under_way *under_way, const struct migration *m)
{
	for (size_t i = 0; i < under_way->count; i++)
		if (under_way->migrations[i]->intent.id == m->busy_with &&
		        is_elder(under_way->migrations[i], m))
			return under_way->migrations[i];
	return NULL;
}

const struct migration *turn_sharing(const struct under_way *under_way, const struct migration *m,
        char *const *names, size_t count)
{
	const struct migration *other = admission_sharing(under_way, &m->intent, names, count);

	for (size_t i = 0; !other && m->state == STATE_PREPARING && i < under_way->count; i++)
		if (is_elder(under_way->migrations[i], m) &&
		        testimony_count_of_vm(names, count, under_way->migrations[i]->intent.vm))
			other = under_way->migrations[i];
	return other;
}

/* Who shares connections with @m: by what it has been answered, or by what @m has been, which
 * yielded to it then. */
static const struct migration *sharing(const struct under_way *under_way, const struct migration *m)
{
	for (size_t i = 0; i < under_way->count; i++)
		if (under_way->migrations[i]->intent.id == m->busy_with &&
		        admission_has_asked(under_way->migrations[i]))
			return under_way->migrations[i];
	return admission_sharing(under_way, &m->intent, NULL, 0);
}

enum turn turn_of(const struct under_way *under_way, const struct migration *m,
        const struct migration **other)
{
	*other = sharing(under_way, m);
	if (!*other)
		*other = elder_met(under_way, m);
	for (size_t i = 0; i < under_way->count; i++)
		if (under_way->migrations[i]->intent.id != m->intent.id &&
		        goes_before(under_way->migrations[i], m))
			return TURN_WAITS;
	return *other ? TURN_WAITS_FOR_END : TURN_IS_OURS;
}

const struct migration *turn_next(const struct under_way *under_way, uint64_t after)
{
	const struct migration *next = NULL;

	for (size_t i = 0; i < under_way->count; i++) {
		const struct migration *m = under_way->migrations[i];

		if (m->waits_turn && m->intent.id > after &&
		        (!next || m->intent.id < next->intent.id))
			next = m;
	}
	return next;
}

bool turn_may_be_waited_for(const struct migration *migration)
{
	return !migration->intent.evacuation;
}
