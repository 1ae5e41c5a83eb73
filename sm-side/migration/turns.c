/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/turns.h"

/* So often others may go before one that was there first. */
enum { PATIENCE = 2 };

static bool goes_before(const struct migration *other, const struct migration *m)
{
	if (other->state != STATE_PREPARING)
		return false;
	if (!other->waits_turn)
		return true;
	return other->waited_for >= PATIENCE && other->intent.id < m->intent.id;
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
