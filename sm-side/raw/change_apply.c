/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/change_apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "sm-side/raw/smp_sender_umad.h"

struct applying {
	struct smp_sender *sender;
	struct fabric_read *fabric;
	const struct apply_settings *settings;
	struct apply_result *result;
	char *why;
};

/* A block that is written twice is asked for twice, which does no harm. */
static int wishes_make(const struct fabric_read *fabric, const struct fabric_change *change,
        struct read_wish **wishes, uint32_t *count, char why[READ_WHY_BYTES])
{
	struct read_wish *next =
	        calloc((size_t)change->sets.change_count + change->slot_count + 1, sizeof(*next));

	*wishes = next;
	snprintf(why, READ_WHY_BYTES, "out of memory");
	if (!next)
		return -ENOMEM;
	for (uint32_t i = 0; i < change->sets.change_count; i++) {
		const struct plan_change *set = &change->sets.changes[i];
		const struct read_node *sw = fabric_read_find(fabric, set->switch_guid);

		if (!sw) {
			snprintf(why, READ_WHY_BYTES, "switch 0x%016llx is not there any more",
			        (unsigned long long)set->switch_guid);
			return -ENOENT;
		}
		*next++ = (struct read_wish){(uint32_t)(sw - fabric->nodes), SMP_LFT, set->block};
	}
	for (uint32_t i = 0; i < change->slot_count; i++) {
		uint8_t port;
		const struct read_node *node =
		        fabric_read_at(fabric, change->slots[i].place, &port);

		/* change_left will say who is missing. */
		if (node)
			*next++ = (struct read_wish){
			        (uint32_t)(node - fabric->nodes), SMP_PORT_INFO, port};
	}
	*count = (uint32_t)(next - *wishes);
	return 0;
}

static int left_read(struct umad_window *window, struct fabric_read *fabric,
        const struct fabric_change *change, enum change_direction direction,
        const struct apply_settings *settings, struct change_left *left, char why[READ_WHY_BYTES])
{
	CLEANUP_FREE struct read_wish *wishes = NULL;
	char stale[STALE_TEXT_BYTES];
	uint32_t count = 0;
	int error = wishes_make(fabric, change, &wishes, &count, why);

	if (!error)
		error = fabric_read_again(window, fabric, wishes, count, settings->by_lid,
		        settings->deadline_ns, why);
	if (error)
		return error;
	error = change_left(change, direction, fabric, left, stale);
	if (error)
		snprintf(why, READ_WHY_BYTES, "%s", stale);
	return error;
}

/* Whoever has an M_Key would drop what comes without it. */
static int check_mkey(const struct fabric_read *fabric, const struct fabric_change *change,
        char why[READ_WHY_BYTES])
{
	for (uint32_t i = 0; i < change->sets.change_count + change->slot_count; i++) {
		bool is_set = i < change->sets.change_count;
		const struct read_node *node;
		struct smp_port_info info;
		uint8_t port = 0;

		if (is_set)
			node = fabric_read_find(fabric, change->sets.changes[i].switch_guid);
		else
			node = fabric_read_at(
			        fabric, change->slots[i - change->sets.change_count].place, &port);
		if (!node)
			continue;
		smp_port_info_decode(node->ports[port].info, &info);
		if (!info.mkey)
			continue;
		snprintf(why, READ_WHY_BYTES,
		        "0x%016llx \"%s\" has an M_Key, which is not known here",
		        (unsigned long long)node->guid, node->description);
		return -EACCES;
	}
	return 0;
}

static int say_unset(const struct applying *a, int error)
{
	const struct read_node *node = smp_sender_umad_culprit(a->sender);

	snprintf(a->why, READ_WHY_BYTES, "0x%016llx \"%s\" %s",
	        node ? (unsigned long long)node->guid : 0, node ? node->description : "",
	        error == -EREMOTEIO ? "refuses a Set" : "does not acknowledge a Set");
	return error;
}

static int wait_for_acknowledgements(const struct applying *a)
{
	int error =
	        a->sender->kind->lft_wait(a->sender, a->settings->deadline_ns, &a->result->resent);

	return error ? say_unset(a, error) : 0;
}

static int put_lids(const struct applying *a, const struct change_left *left)
{
	uint64_t start = monotonic_us();
	int error = 0;

	for (uint32_t i = 0; i < left->slot_count && !error; i++) {
		uint8_t port;
		const struct read_node *node =
		        fabric_read_at(a->fabric, left->slots[i].place, &port);

		error = a->sender->kind->lid_write(
		        a->sender, node->ports[port].guid, left->slots[i].after);
		a->result->sent.portinfo++;
	}
	if (error) {
		snprintf(a->why, READ_WHY_BYTES, "a LID could not be sent");
		return error;
	}
	error = wait_for_acknowledgements(a);
	a->result->lids_us = monotonic_us() - start;
	return error;
}

static int put_wave(const struct applying *a, const struct plan_change *sets, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int error = a->sender->kind->lft_write(a->sender, &sets[i]);

		if (error) {
			snprintf(a->why, READ_WHY_BYTES, "block %u of switch 0x%016llx: %s",
			        sets[i].block, (unsigned long long)sets[i].switch_guid,
			        error == -ESTALE ? "it has changed" : "it could not be sent");
			return error;
		}
		if (sets[i].is_vswitch)
			a->result->sent.lft_vswitch++;
		else
			a->result->sent.lft_physical++;
	}
	a->result->waves++;
	return wait_for_acknowledgements(a);
}

static void pause_ms(unsigned ms)
{
	struct timespec pause = monotonic_timespec(ms * NS_PER_MS);

	nanosleep(&pause, NULL);
}

/* Whoever has dropped the routes may have been killed just now. */
static int put_sets(const struct applying *a, const struct plan_sets *sets)
{
	uint64_t start = monotonic_us();
	bool has_paused = !sets->pause_after_wave_0;
	uint32_t first = 0;
	int error = 0;

	for (uint32_t i = 1; i <= sets->change_count && !error; i++) {
		if (i < sets->change_count && sets->changes[i].wave == sets->changes[first].wave)
			continue;
		if (sets->changes[first].wave > 0 && !has_paused) {
			pause_ms(a->settings->packet_lifetime_ms);
			has_paused = true;
		}
		error = put_wave(a, &sets->changes[first], i - first);
		first = i;
	}
	a->result->sets_us = monotonic_us() - start;
	return error;
}

static int put_all(struct applying *a, struct umad_window *window, enum change_direction direction,
        const struct change_left *left)
{
	int error;

	a->sender = smp_sender_umad_create(window, a->fabric, a->settings->by_lid);
	snprintf(a->why, READ_WHY_BYTES, "out of memory");
	if (!a->sender)
		return -ENOMEM;
	if (direction == CHANGE_FORTH) {
		error = put_lids(a, left);
		if (!error)
			error = put_sets(a, &left->sets);
	} else {
		error = put_sets(a, &left->sets);
		if (!error)
			error = put_lids(a, left);
	}
	a->sender->kind->destroy(a->sender);
	return error;
}

int change_apply(struct umad_window *window, struct fabric_read *fabric,
        const struct fabric_change *change, enum change_direction direction,
        const struct apply_settings *settings, struct apply_result *result,
        char why[READ_WHY_BYTES])
{
	struct applying a = {.fabric = fabric, .settings = settings, .result = result, .why = why};
	struct change_left left = {0};
	int error;

	*result = (struct apply_result){0};
	error = left_read(window, fabric, change, direction, settings, &left, why);
	if (error)
		return error;
	error = check_mkey(fabric, change, why);
	if (!error)
		error = put_all(&a, window, direction, &left);
	change_left_clear(&left);
	return error;
}

int change_verify(struct umad_window *window, struct fabric_read *fabric,
        const struct fabric_change *change, enum change_direction direction,
        const struct apply_settings *settings, char why[READ_WHY_BYTES])
{
	struct change_left left = {0};
	int error = left_read(window, fabric, change, direction, settings, &left, why);

	if (error)
		return error;
	if (left.sets.change_count || left.slot_count) {
		snprintf(why, READ_WHY_BYTES, "%u LFT Sets and %u LIDs are not as they should be",
		        left.sets.change_count, left.slot_count);
		error = -EUCLEAN;
	}
	change_left_clear(&left);
	return error;
}
