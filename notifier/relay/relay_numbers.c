/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * QPNs that belong to the VMs' queue pairs since they moved: those by which they are known, and
 * those which they have. No new queue pair of the VM may be given one (preload/reserved_numbers.h).
 * RECONNECT names them and so does the HELLO of each process that has heard it; one that has not is
 * told in its HelloAnswer. They are kept until the VM leaves.
 */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/rows.h"

/* What a frame can carry along with the rest. */
enum { NUMBERS_MAX = 1 << 17 };

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_once_each(struct vm_numbers *numbers)
{
	size_t kept = 0;

	if (numbers->count)
		qsort(numbers->qpns, numbers->count, sizeof(*numbers->qpns), by_number);
	for (size_t i = 0; i < numbers->count; i++)
		if (!kept || numbers->qpns[kept - 1] != numbers->qpns[i])
			numbers->qpns[kept++] = numbers->qpns[i];
	numbers->count = kept < NUMBERS_MAX ? kept : NUMBERS_MAX;
}

/* Room for @more. */
static int grow(struct vm_numbers *numbers, size_t more)
{
	uint32_t *grown = realloc(numbers->qpns, (numbers->count + more + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	numbers->qpns = grown;
	return 0;
}

void relay_numbers_clear(struct vm_state *vm)
{
	free(vm->numbers.qpns);
	vm->numbers = (struct vm_numbers){0};
}

/* Where a VM has several VFs, each has one. */
static bool is_lid_of_vm(const Tether__Event *event, uint32_t lid)
{
	bool is_its = lid == event->address->lid;

	for (size_t i = 0; i < event->n_known_lids; i++)
		is_its |= lid == event->known_lids[i];
	return is_its;
}

void relay_numbers_note(struct relay *relay, const Tether__Event *event)
{
	struct vm_state *vm = event->to_vm ? relay_vm_find(relay, event->vm) : NULL;
	size_t count;

	if (!vm || event->step != TETHER__STEP__STEP_RECONNECT || !event->address ||
	        qp_rows_count(event->qps, &count) || grow(&vm->numbers, 2 * count))
		return;
	for (size_t i = 0; i < count; i++) {
		struct qp_row row = qp_rows_get(event->qps, i);

		if (event->shared_port ? !row.of_vm : !is_lid_of_vm(event, row.local_lid))
			continue;
		vm->numbers.qpns[vm->numbers.count++] = row.local_qpn;
		vm->numbers.qpns[vm->numbers.count++] = row.real_qpn;
	}
	sort_once_each(&vm->numbers);
}

void relay_numbers_learn(struct relay *relay, const struct child *child, const Tether__Hello *hello)
{
	struct vm_state *vm = child_is_process(child) && hello->n_reserved_qpns
	                              ? relay_vm_make(relay, child->vm)
	                              : NULL;

	if (!vm || grow(&vm->numbers, hello->n_reserved_qpns))
		return;
	memcpy(vm->numbers.qpns + vm->numbers.count, hello->reserved_qpns,
	        hello->n_reserved_qpns * sizeof(*vm->numbers.qpns));
	vm->numbers.count += hello->n_reserved_qpns;
	sort_once_each(&vm->numbers);
}

void relay_numbers_fill(
        const struct relay *relay, const struct child *child, Tether__HelloAnswer *answer)
{
	const struct vm_state *vm =
	        child_is_process(child) ? relay_vm_find(relay, child->vm) : NULL;

	if (!vm)
		return;
	answer->reserved_qpns = vm->numbers.qpns;
	answer->n_reserved_qpns = vm->numbers.count;
}
