/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/shared_event.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/wire/rows.h"

struct lids {
	uint32_t *lids;
	size_t count;
	uint32_t own; /* is no other one */
};

static bool add(void *owner, uint32_t lid)
{
	struct lids *list = owner;
	uint32_t *grown;

	if (!lid || lid == list->own)
		return true;
	for (size_t i = 0; i < list->count; i++)
		if (list->lids[i] == lid)
			return true;
	grown = realloc(list->lids, (list->count + 1) * sizeof(*grown));
	if (!grown)
		return false;
	list->lids = grown;
	list->lids[list->count++] = lid;
	return true;
}

/* The VM's rows that the event brings name where it is now, and contexts that have just moved. */
static bool add_rows(struct lids *list, const Tether__QpRows *rows)
{
	for (size_t i = 0; rows && i < rows->n_of_vm; i++)
		if (rows->of_vm[i] &&
		        (!add(list, rows->local_lid[i]) || !add(list, rows->real_lid[i])))
			return false;
	return true;
}

static int add_others(struct shared_event *made, const struct address *vm, const struct lids *lids,
        const struct numbers *numbers)
{
	int err = rows_concatenate(&made->qps.base, &made->event.qps->base);

	if (!err)
		err = numbers_add_others(numbers, vm, lids->own, &made->qps);
	for (size_t i = 0; i < lids->count && !err; i++)
		err = numbers_add_others(numbers, vm, lids->lids[i], &made->qps);
	made->event.qps = &made->qps;
	return err;
}

int shared_event_make(
        struct shared_event *made, const Tether__Event *from, const struct numbers *numbers)
{
	struct lids known = {0}, concerned;
	struct address vm;
	int err = 0;
	size_t rows;

	*made = (struct shared_event){.event = *from};
	tether__qp_rows__init(&made->qps);
	if (!from->shared_port || !from->address || address_decode(from->address, &vm))
		return 0;
	if (qp_rows_count(from->qps, &rows))
		return -EBADMSG;
	known.own = concerned.own = vm.lid;
	if (!numbers_each_lid(numbers, &vm, add, &known))
		err = -ENOMEM;
	made->lids = known.lids;
	made->event.known_lids = known.lids;
	made->event.n_known_lids = known.count;
	if (err || from->step != TETHER__STEP__STEP_RECONNECT || !from->qps)
		return err;
	concerned = (struct lids){.own = vm.lid};
	for (size_t i = 0; i < known.count && !err; i++)
		err = add(&concerned, known.lids[i]) ? 0 : -ENOMEM;
	if (!err && !add_rows(&concerned, from->qps))
		err = -ENOMEM;
	if (!err)
		err = add_others(made, &vm, &concerned, numbers);
	free(concerned.lids);
	return err;
}

void shared_event_clear(struct shared_event *made)
{
	free(made->lids);
	rows_clear(&made->qps.base);
}
