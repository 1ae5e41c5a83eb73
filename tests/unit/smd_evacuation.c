/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Where VMs that leave a host may go: a VF for each, beside what other evacuations need. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/conductor/evacuation_room.h"

enum { HOSTS = 6, SLOTS = 4, VMS_MAX = HOSTS * SLOTS, STRANGER = 99 };

/* Who has which slot: 0 nobody, STRANGER somebody who is no VM of the host's, else the VM of that
 * number. */
struct world {
	unsigned held[HOSTS][SLOTS];
	char kind[HOSTS][SLOTS]; /* v, d or s */
	unsigned vms;
	struct inventory inventory;
	struct evacuations evacuations;
};

static const char *const names[HOSTS] = {"a", "b", "c", "d", "e", "f"};

static void host_says(struct world *world, unsigned host)
{
	Tether__Slot slots[SLOTS], *slot_list[SLOTS];
	Tether__HostVm vms[SLOTS], *vm_list[SLOTS];
	char slot_names[SLOTS][8], vm_names[SLOTS][8];
	size_t vm_count = 0;

	for (unsigned k = 0; k < SLOTS; k++) {
		unsigned vm = world->held[host][k];

		snprintf(slot_names[k], sizeof(slot_names[k]), "%s%u", names[host], k);
		snprintf(vm_names[k], sizeof(vm_names[k]), "vm%u", vm);
		slots[k] = (Tether__Slot)TETHER__SLOT__INIT;
		slots[k].name = slot_names[k];
		slots[k].vm = vm ? vm_names[k] : (char *)"";
		slots[k].shared_port = world->kind[host][k] == 's';
		slots[k].dynamic = world->kind[host][k] == 'd';
		slot_list[k] = &slots[k];
		if (!vm || vm == STRANGER)
			continue;
		vms[vm_count] = (Tether__HostVm)TETHER__HOST_VM__INIT;
		vms[vm_count].name = vm_names[k];
		vms[vm_count].slot = slot_names[k];
		vm_list[vm_count] = &vms[vm_count];
		vm_count++;
	}
	assert_int_equal(
	        inventory_take(&world->inventory, names[host], vm_list, vm_count, slot_list, SLOTS),
	        0);
	inventory_host_connected(&world->inventory, names[host], true);
}

/* @text: a word for each host, a letter for each slot: v, d or s for a VM behind a vSwitch, one
 * with dynamic LIDs or a shared port, V, D or S for a free slot, - for one that is no use. VMs are
 * numbered in that order. */
static void world_make(struct world *world, const char *text)
{
	*world = (struct world){0};
	for (unsigned host = 0; host < HOSTS; host++) {
		for (unsigned k = 0; k < SLOTS; k++) {
			char letter = *text == ' ' || !*text ? '-' : *text++;

			world->kind[host][k] = (char)tolower(letter);
			if (islower(letter))
				world->held[host][k] = ++world->vms;
			if (letter == '-')
				world->held[host][k] = STRANGER;
		}
		text += *text == ' ';
		host_says(world, host);
	}
}

static void world_clear(struct world *world)
{
	evacuations_clear(&world->evacuations);
	inventory_clear(&world->inventory);
}

static const struct under_way nobody = {NULL, 0, 4, NULL};

/* "": it has begun. @to: letters of hosts. */
static const char *evacuate(struct world *world, const char *host, const char *to)
{
	char list[HOSTS][MIGRATION_NAME_BYTES] = {0};
	struct evacuation_wish wish = {.to = list};
	struct evacuation *made = NULL;
	struct admission admission;

	strcpy(wish.host, host);
	for (; to[wish.to_count]; wish.to_count++)
		list[wish.to_count][0] = to[wish.to_count];
	admission = evacuation_make(&world->inventory, &nobody, &world->evacuations, &wish, &made);
	if (made)
		evacuations_add(&world->evacuations, made);
	return admission.reason ? admission.reason : "";
}

static struct evacuee *evacuee_of(struct evacuation *e, unsigned vm)
{
	char name[8];

	snprintf(name, sizeof(name), "vm%u", vm);
	for (size_t i = 0; i < e->count; i++)
		if (!strcmp(e->vms[i].vm, name))
			return &e->vms[i];
	return NULL;
}

static const char *destination(struct world *world, unsigned vm)
{
	struct evacuation *e = world->evacuations.newest;
	struct evacuee *evacuee = NULL;
	const char *host = NULL;
	struct admission admission;

	for (; e; e = e->older)
		if (!e->ended && (evacuee = evacuee_of(e, vm)))
			break;
	assert_non_null(evacuee);
	admission = evacuation_destination(
	        &world->evacuations, e, evacuee, &world->inventory, &nobody, &host);
	return admission.reason ? admission.reason : host;
}

static void a_vm_goes_where_there_is_most_room_for_it(void **unused)
{
	struct world world;

	world_make(&world, "vsd- SSSV VV-- DDVS");
	assert_string_equal(evacuate(&world, "a", ""), "");
	assert_string_equal(destination(&world, 1), "c");
	assert_string_equal(destination(&world, 2), "b");
	assert_string_equal(destination(&world, 3), "d");
	world_clear(&world);
}

static void slots_of_the_other_kind_are_no_room(void **unused)
{
	struct world world;

	world_make(&world, "vs-- SSSS ---- SS--");
	assert_string_equal(evacuate(&world, "a", ""), "no-capacity");
	world_clear(&world);
}

static void a_vm_leaves_others_the_only_place_that_they_can_have(void **unused)
{
	struct world world;

	world_make(&world, "vv-- v--- VV-- V---");
	assert_string_equal(evacuate(&world, "a", "c"), "");
	assert_string_equal(evacuate(&world, "b", ""), "");
	assert_string_equal(destination(&world, 3), "d");
	assert_string_equal(destination(&world, 1), "c");
	world_clear(&world);
}

static void a_host_that_is_being_emptied_takes_nobody(void **unused)
{
	struct world world;

	world_make(&world, "vVVV v--- V--- VVV-");
	assert_string_equal(evacuate(&world, "a", ""), "");
	assert_string_equal(evacuate(&world, "b", "a"), "host-evacuating");
	assert_string_equal(evacuate(&world, "b", ""), "");
	assert_string_equal(destination(&world, 2), "d");
	/* Nor when it is empty, of those who were being evacuated then. */
	world.evacuations.newest->older->ended = true;
	world.evacuations.newest->older->ended_beside = 2;
	world.held[0][0] = 0;
	host_says(&world, 0);
	assert_false(evacuation_empties(&world.evacuations, "a"));
	assert_string_equal(destination(&world, 2), "d");
	world.evacuations.newest->ended = true;
	world.evacuations.newest->ended_beside = 2;
	assert_string_equal(evacuate(&world, "b", ""), "");
	assert_string_equal(destination(&world, 2), "a");
	world_clear(&world);
}

static void an_aborted_one_needs_no_room_and_its_host_takes_again(void **unused)
{
	struct world world;

	world_make(&world, "vVVV v--- V--- ");
	assert_string_equal(evacuate(&world, "a", ""), "");
	assert_string_equal(evacuate(&world, "b", ""), "no-capacity");
	world.evacuations.newest->aborted = true;
	assert_string_equal(evacuate(&world, "b", "c"), "");
	assert_string_equal(destination(&world, 2), "c");
	world_clear(&world);
}

static void a_host_whose_room_another_evacuation_needs_is_not_emptied(void **unused)
{
	struct world world;

	world_make(&world, "vv-- VVv- V--- ");
	assert_string_equal(evacuate(&world, "a", ""), "");
	assert_string_equal(evacuate(&world, "b", ""), "no-capacity");
	world_clear(&world);
	world_make(&world, "vv-- VVv- VVV- ");
	assert_string_equal(evacuate(&world, "a", ""), "");
	assert_string_equal(evacuate(&world, "b", ""), "");
	world_clear(&world);
}

static void who_is_on_the_way_has_a_place_and_who_is_coming_needs_one(void **unused)
{
	struct migration leaving = {.intent = {.vm = "vm1",
	                                    .source = {.host = "a", .slot = "a0"},
	                                    .destination = {.host = "b", .slot = "b0"}}};
	const struct migration *list[] = {&leaving};
	struct under_way under_way = {list, 1, 4, NULL};
	struct evacuation_wish wish = {.host = "a"};
	struct evacuation *made = NULL;
	struct world world;

	world_make(&world, "v--- VV-- ---- ");
	assert_null(evacuation_make(&world.inventory, &under_way, &world.evacuations, &wish, &made)
	                    .reason);
	assert_int_equal(made->count, 1);
	evacuation_free(made);
	strcpy(wish.host, "b");
	made = NULL;
	assert_string_equal(
	        evacuation_make(&world.inventory, &under_way, &world.evacuations, &wish, &made)
	                .reason,
	        "no-capacity");
	world_clear(&world);
	/* It has no VF now, and is not of the kind that has places. */
	world_make(&world, "---- V--- DDDD ");
	assert_string_equal(
	        evacuation_make(&world.inventory, &under_way, &world.evacuations, &wish, &made)
	                .reason,
	        "no-capacity");
	world_clear(&world);
}

/* ---- whatever there is: who was let begin finds his places ---- */

static void world_fill(struct world *world, unsigned full_in_ten)
{
	char text[HOSTS * (SLOTS + 1) + 1], *at = text;

	for (unsigned host = 0; host < HOSTS; host++) {
		for (unsigned k = 0; k < SLOTS; k++) {
			bool full = (unsigned)(rand() % 10) < full_in_ten;

			*at++ = (full ? "vvds" : "VVDS")[rand() % 4];
		}
		*at++ = ' ';
	}
	*at = '\0';
	world_make(world, text);
}

static void evacuate_any(struct world *world)
{
	char to[HOSTS + 1] = "";
	size_t count = 0;

	for (unsigned host = 0; host < HOSTS && rand() % 2; host++)
		if (rand() % 2)
			to[count++] = *names[host];
	evacuate(world, names[rand() % HOSTS], to);
}

/* The first free slot that fits, as conductor_migrate takes it. */
static void move(struct world *world, unsigned vm, const char *to)
{
	unsigned there = (unsigned)(*to - 'a'), from = 0, slot = 0;

	while (world->held[from][slot] != vm)
		if (++slot == SLOTS) {
			slot = 0;
			from++;
		}
	for (unsigned k = 0; k < SLOTS; k++) {
		if (world->held[there][k] || world->kind[there][k] != world->kind[from][slot])
			continue;
		world->held[there][k] = vm;
		world->held[from][slot] = 0;
		host_says(world, from);
		host_says(world, there);
		return;
	}
	fail_msg("vm%u does not fit on %s", vm, to);
}

static void evacuation_end_when_empty(struct world *world, struct evacuation *e)
{
	e->ended = !evacuation_count(e, EVACUEE_WAITING);
	e->ended_beside = e->ended ? world->evacuations.last_id : 0;
}

/* One of those who wait, by chance; false: nobody does. */
static bool somebody_moves(struct world *world)
{
	struct evacuation *of[VMS_MAX * 2];
	struct evacuee *waiting[VMS_MAX * 2];
	size_t count = 0;
	unsigned vm;

	for (struct evacuation *e = world->evacuations.newest; e; e = e->older)
		for (size_t i = 0; i < e->count; i++)
			if (e->vms[i].state == EVACUEE_WAITING) {
				of[count] = e;
				waiting[count++] = &e->vms[i];
			}
	if (!count)
		return false;
	size_t chosen = (size_t)rand() % count;
	assert_int_equal(sscanf(waiting[chosen]->vm, "vm%u", &vm), 1);
	move(world, vm, destination(world, vm));
	waiting[chosen]->state = EVACUEE_DONE;
	evacuation_end_when_empty(world, of[chosen]);
	return true;
}

/* Those that nobody could come to since. */
static void hosts_are_empty(const struct world *world)
{
	for (const struct evacuation *e = world->evacuations.newest; e; e = e->older)
		if (e->ended && e->ended_beside == world->evacuations.last_id)
			assert_int_equal(
			        inventory_find(&world->inventory, e->host)->said->n_vms, 0);
}

static void who_was_let_begin_finds_places_for_all(void **unused)
{
	unsigned moved = 0, beside = 0;

	for (unsigned seed = 1; seed <= 400; seed++) {
		struct world world;

		srand(seed);
		world_fill(&world, 2 + seed % 4);
		for (int i = 0; i < 4; i++)
			evacuate_any(&world);
		beside += world.evacuations.last_id > 1;
		while (somebody_moves(&world))
			if (++moved % 8 == 0)
				evacuate_any(&world);
		hosts_are_empty(&world);
		world_clear(&world);
	}
	/* It is no proof where nobody is let begin. */
	assert_true(beside > 100);
	assert_true(moved > 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_vm_goes_where_there_is_most_room_for_it),
	        cmocka_unit_test(slots_of_the_other_kind_are_no_room),
	        cmocka_unit_test(a_vm_leaves_others_the_only_place_that_they_can_have),
	        cmocka_unit_test(a_host_that_is_being_emptied_takes_nobody),
	        cmocka_unit_test(an_aborted_one_needs_no_room_and_its_host_takes_again),
	        cmocka_unit_test(a_host_whose_room_another_evacuation_needs_is_not_emptied),
	        cmocka_unit_test(who_is_on_the_way_has_a_place_and_who_is_coming_needs_one),
	        cmocka_unit_test(who_was_let_begin_finds_places_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
