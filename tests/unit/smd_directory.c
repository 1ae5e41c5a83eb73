/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who has which VM and slot: by first word, until he drops it, we move it, or the operator says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "sm-side/directory/directory.h"
#include "sm-side/journal/journal.h"

enum { SLOTS = 32 };

static struct directory *directory;
static char heard[1024]; /* refused claims, one behind the other */

static void note(char *into, const struct directory_claim *claim)
{
	static const char *const things[] = {
	        [DIRECTORY_VM] = "", [DIRECTORY_PLACE] = "@", [DIRECTORY_GUID] = "#"};
	size_t length = strlen(into);

	snprintf(into + length, sizeof(heard) - length, "%s:%s%s>%s ", claim->host,
	        things[claim->thing], claim->name, claim->holder);
}

static void refused(void *owner, const struct directory_claim *claim)
{
	note(owner, claim);
}

static const struct directory_outputs outputs = {.refused = refused};

static int make(void **state)
{
	*heard = '\0';
	directory = directory_create(&outputs, heard);
	return directory ? 0 : -1;
}

static int unmake(void **state)
{
	directory_destroy(directory);
	return 0;
}

/* What has been refused since the last call. */
static const char *news(void)
{
	static char last[sizeof(heard)];

	memcpy(last, heard, sizeof(heard));
	*heard = '\0';
	return last;
}

/* "vm1 vm2": these are its VMs. Of @slots that are named the place is @places[i], the GUID
 * @guids[i]. */
static void says_slots(const char *host, const char *vms, size_t slots, const uint64_t *places,
        const uint64_t *guids)
{
	Tether__HostVm vm[SLOTS], *vm_at[SLOTS];
	Tether__Slot slot[SLOTS], *slot_at[SLOTS];
	char names[SLOTS][8], copy[128], *rest = copy, *name;
	size_t count = 0;

	snprintf(copy, sizeof(copy), "%s", vms);
	while ((name = strsep(&rest, " ")))
		if (*name) {
			vm_at[count] = &vm[count];
			tether__host_vm__init(&vm[count]);
			vm[count++].name = name;
		}
	for (size_t i = 0; i < slots; i++) {
		snprintf(names[i], sizeof(names[i]), "vf%zu", i);
		slot_at[i] = &slot[i];
		tether__slot__init(&slot[i]);
		slot[i].name = names[i];
		slot[i].switch_guid = places[i] ? 0x100 : 0;
		slot[i].switch_port = (uint32_t)places[i];
		slot[i].port_guid = guids[i];
	}
	assert_int_equal(directory_host_here(directory, host, true), 0);
	assert_int_equal(directory_host_says(directory, host, vm_at, count, slot_at, slots), 0);
}

static void says(const char *host, const char *vms)
{
	says_slots(host, vms, 0, NULL, NULL);
}

static void says_slot(const char *host, uint64_t place, uint64_t guid)
{
	says_slots(host, "", 1, &place, &guid);
}

/* The VMs that @host is believed to have. */
static const char *vms_of(const char *host)
{
	static char text[256];
	struct directory_view view;

	*text = '\0';
	assert_int_equal(directory_view(directory, host, &view), 0);
	for (size_t i = 0; i < view.vm_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
		        view.vms[i]->name);
	directory_view_clear(&view);
	return text;
}

static size_t slots_of(const char *host)
{
	struct directory_view view;
	size_t count;

	assert_int_equal(directory_view(directory, host, &view), 0);
	count = view.slot_count;
	directory_view_clear(&view);
	return count;
}

static const char *claims(void)
{
	static char text[sizeof(heard)];

	*text = '\0';
	directory_claims(directory, (void (*)(void *, const struct directory_claim *))note, text);
	return text;
}

/* ---- VMs ---- */

static void the_first_who_says_so_has_it(void **state)
{
	says("a", "vm1 vm2");
	says("b", "vm3 vm1");
	assert_string_equal(vms_of("a"), "vm1 vm2");
	assert_string_equal(vms_of("b"), "vm3");
	assert_string_equal(news(), "b:vm1>a ");
	assert_string_equal(claims(), "b:vm1>a ");
	assert_int_equal(directory_refused(directory, DIRECTORY_VM), 1);
	/* Said again it is no news. */
	says("b", "vm3 vm1");
	assert_string_equal(news(), "");
	says("b", "vm3");
	assert_string_equal(claims(), "");
	says("b", "vm3 vm1");
	assert_string_equal(news(), "b:vm1>a ");
}

static void who_is_away_keeps_it(void **state)
{
	says("a", "vm1");
	directory_host_here(directory, "a", false);
	says("b", "vm1");
	assert_string_equal(vms_of("b"), "");
	assert_string_equal(vms_of("a"), "vm1");
}

static void who_drops_it_leaves_it_to_the_first_who_waits_and_is_here(void **state)
{
	says("a", "vm1");
	says("b", "vm1");
	says("c", "vm1");
	directory_host_here(directory, "b", false);
	while (directory_stale(directory))
		;
	says("a", "");
	assert_string_equal(directory_host_of(directory, "vm1"), "c");
	assert_string_equal(directory_stale(directory), "c");
	assert_null(directory_stale(directory));
	says("b", "vm1");
	assert_string_equal(vms_of("b"), "");
	says("c", "");
	assert_string_equal(vms_of("b"), "vm1");
	says("b", "");
	assert_string_equal(directory_host_of(directory, "vm1"), "");
	says("c", "vm1");
	assert_string_equal(vms_of("c"), "vm1");
}

static void while_it_moves_both_of_its_hosts_may_have_it_and_nobody_else(void **state)
{
	says("a", "vm1");
	says("b", "");
	assert_int_equal(directory_move_begins(directory, "vm1", "a", "b"), 0);
	assert_string_equal(directory_next_of(directory, "vm1"), "b");
	says("b", "vm1");
	says("c", "vm1");
	assert_string_equal(vms_of("a"), "vm1");
	assert_string_equal(vms_of("b"), "vm1");
	assert_string_equal(vms_of("c"), "");
	assert_string_equal(news(), "c:vm1>a ");
	/* Between the two it is nobody's by anybody's word. */
	says("a", "");
	says("b", "");
	says("c", "vm1");
	assert_string_equal(vms_of("c"), "");
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(directory_host_of(directory, "vm1"), "b");
	assert_string_equal(directory_next_of(directory, "vm1"), "");
	assert_string_equal(vms_of("c"), "");
	assert_string_equal(claims(), "c:vm1>b ");
}

static void the_source_has_it_no_more_when_it_has_moved_whatever_it_says(void **state)
{
	says("a", "vm1");
	directory_move_begins(directory, "vm1", "a", "b");
	says("b", "vm1");
	news();
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(news(), "a:vm1>b ");
	assert_string_equal(vms_of("a"), "");
	assert_string_equal(directory_stale(directory) ? "some" : "none", "some");
}

static void a_move_that_failed_leaves_it_at_its_source(void **state)
{
	says("a", "vm1");
	directory_move_begins(directory, "vm1", "a", "b");
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "a");
	assert_string_equal(vms_of("a"), "vm1");
	assert_string_equal(vms_of("b"), "");
	assert_string_equal(news(), "b:vm1>a ");
	/* Unless it has said meanwhile that it has it no more. */
	directory_move_begins(directory, "vm1", "a", "b");
	says("a", "");
	directory_move_ends(directory, "vm1", "a");
	assert_string_equal(directory_host_of(directory, "vm1"), "b");
}

static void a_creation_is_its_hosts_before_that_says_so(void **state)
{
	directory_move_begins(directory, "vm1", NULL, "b");
	says("a", "vm1");
	assert_string_equal(news(), "a:vm1>b ");
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(vms_of("b"), "vm1");
	/* One that came to nothing leaves nothing. */
	directory_move_begins(directory, "vm2", NULL, "b");
	directory_move_ends(directory, "vm2", NULL);
	says("a", "vm2");
	assert_string_equal(vms_of("a"), "vm2");
}

static void the_operator_releases_it_to_who_waits(void **state)
{
	assert_int_equal(directory_release(directory, "vm1"), RELEASE_UNKNOWN);
	says("a", "vm1");
	assert_int_equal(directory_release(directory, "vm1"), RELEASE_HELD);
	directory_move_begins(directory, "vm1", "a", "b");
	assert_int_equal(directory_release(directory, "vm1"), RELEASE_MOVING);
	directory_move_ends(directory, "vm1", "a");
	says("b", "vm1");
	assert_int_equal(directory_release(directory, "vm1"), RELEASE_DONE);
	assert_string_equal(vms_of("b"), "vm1");
	assert_string_equal(vms_of("a"), "");
	/* The one before waits, as soon as he says it again. */
	says("a", "vm1");
	assert_string_equal(vms_of("a"), "");
	/* A host that is dead, and nobody says anything: it is nobody's. */
	says("c", "vm2");
	directory_host_here(directory, "c", false);
	assert_int_equal(directory_release(directory, "vm2"), RELEASE_DONE);
	assert_string_equal(vms_of("c"), "");
	says("b", "vm1 vm2");
	assert_string_equal(vms_of("b"), "vm1 vm2");
}

static void a_host_that_will_not_come_back_leaves_all_it_had(void **state)
{
	const uint64_t place[] = {1}, guid[] = {0x11};

	says_slots("a", "vm1 vm2", 1, place, guid);
	says_slots("b", "vm1", 1, place, guid);
	assert_false(directory_forget(directory, "a"));
	assert_false(directory_forget(directory, "c"));
	directory_host_here(directory, "a", false);
	directory_move_begins(directory, "vm2", "a", "b");
	assert_false(directory_forget(directory, "a"));
	directory_move_ends(directory, "vm2", "a");
	assert_true(directory_forget(directory, "a"));
	assert_string_equal(vms_of("b"), "vm1");
	assert_int_equal(slots_of("b"), 1);
	assert_string_equal(directory_host_of(directory, "vm2"), "");
	assert_string_equal(claims(), "");
	/* It has come all the same: as anybody who comes. */
	says_slots("a", "vm1 vm2", 1, place, guid);
	assert_string_equal(vms_of("a"), "vm2");
	assert_int_equal(slots_of("a"), 0);
}

static void what_no_vm_may_be_called_is_nobodys(void **state)
{
	says("a", "vm1 vm\n2 ../vm3");
	assert_string_equal(vms_of("a"), "vm1");
	assert_int_equal(directory_refused(directory, DIRECTORY_VM), 2);
	assert_string_equal(claims(), "");
	says("a", "vm1 vm\n2");
	assert_string_equal(vms_of("a"), "vm1");
}

/* ---- slots ---- */

static void a_place_is_one_hosts(void **state)
{
	says_slot("a", 1, 0x11);
	says_slot("b", 1, 0x22);
	assert_int_equal(slots_of("b"), 0);
	assert_string_equal(news(), "b:@vf0>a ");
	says_slot("b", 2, 0x22);
	assert_int_equal(slots_of("b"), 1);
	assert_string_equal(claims(), "");
	/* Slots that are behind no vSwitch are at no place. */
	says_slot("c", 0, 0);
	says_slot("d", 0, 0);
	assert_int_equal(slots_of("d"), 1);
}

static void a_guid_is_shown_by_one_host(void **state)
{
	says_slot("a", 1, 0x11);
	says_slot("b", 2, 0x11);
	assert_int_equal(slots_of("b"), 0);
	assert_string_equal(news(), "b:#vf0>a ");
	assert_int_equal(directory_refused(directory, DIRECTORY_GUID), 1);
	/* Who waits is believed when it is free. */
	says_slot("a", 1, 0x12);
	assert_int_equal(slots_of("b"), 1);
	assert_string_equal(directory_stale(directory), "b");
}

/* Two rows, both of slot "vf0": by the name they are one, by what they say they are not. */
static void says_twice(const char *host, const uint64_t places[2], const uint64_t guids[2])
{
	Tether__HostVm vms[2] = {TETHER__HOST_VM__INIT, TETHER__HOST_VM__INIT};
	Tether__HostVm *vm_at[] = {&vms[0], &vms[1]};
	Tether__Slot slots[2], *slot_at[] = {&slots[0], &slots[1]};

	for (size_t i = 0; i < 2; i++) {
		vms[i].name = (char *)"vm9";
		tether__slot__init(&slots[i]);
		slots[i].name = (char *)"vf0";
		slots[i].switch_guid = 0x100;
		slots[i].switch_port = (uint32_t)places[i];
		slots[i].port_guid = guids[i];
	}
	assert_int_equal(directory_host_here(directory, host, true), 0);
	assert_int_equal(directory_host_says(directory, host, vm_at, 2, slot_at, 2), 0);
}

/* The only one that is believed; 0: none is. */
static uint64_t guid_of(const char *host)
{
	struct directory_view view;
	uint64_t guid;

	assert_int_equal(directory_view(directory, host, &view), 0);
	assert_true(view.slot_count < 2);
	guid = view.slot_count ? view.slots[0]->port_guid : 0;
	directory_view_clear(&view);
	return guid;
}

static void a_name_that_comes_again_in_a_word_brings_nothing(void **state)
{
	const uint64_t places[] = {1, 2}, guids[] = {0x11, 0x22};
	const uint64_t back_places[] = {2, 1}, back_guids[] = {0x22, 0x11};

	says_slot("a", 1, 0x11);
	says_twice("b", places, guids);
	assert_int_equal(guid_of("b"), 0);
	assert_string_equal(news(), "b:@vf0>a ");
	assert_string_equal(vms_of("b"), "vm9");
	assert_int_equal(directory_refused(directory, DIRECTORY_VM), 1);
	says_twice("b", back_places, back_guids);
	assert_int_equal(guid_of("b"), 0x22);
	assert_int_equal(guid_of("a"), 0x11);
	assert_string_equal(claims(), "");
}

static void a_slot_shows_what_our_moves_had_it_show(void **state)
{
	const uint64_t guids[] = {0x11, 0x22};

	says_slot("a", 1, 0x11);
	says_slot("b", 2, 0x22);
	assert_int_equal(directory_slot_shows(directory, "a", "vf0", guids), 0);
	assert_int_equal(directory_slot_shows(directory, "b", "vf0", guids), 0);
	says_slot("b", 2, 0x11);
	assert_int_equal(slots_of("b"), 1);
	/* A road back that was not gone to its end leaves it there, and that is to be seen. */
	says_slot("b", 2, 0x11);
	assert_int_equal(slots_of("b"), 1);
	says_slot("c", 3, 0x11);
	assert_int_equal(slots_of("c"), 0);
}

/* ---- what the SM says ---- */

static char told[512];

static void tell(void *context, const struct directory_place *place)
{
	size_t length = strlen(told);

	snprintf(told + length, sizeof(told) - length, "%s@%s+%s%s%zu/%zu ", place->vm, place->host,
	        place->next, place->located ? "!" : "?", place->lid_count, place->pkey_count);
}

static const char *places(void)
{
	*told = '\0';
	directory_news(directory, tell, NULL);
	directory_tidy(directory);
	return told;
}

static void each_change_of_a_place_is_told_once(void **state)
{
	const uint32_t lids[] = {7}, pkeys[] = {0xffff, 0x8001};
	const struct directory_place place = {.vm = "vm1",
	        .located = true,
	        .lids = lids,
	        .lid_count = 1,
	        .pkeys = pkeys,
	        .pkey_count = 2};

	says("a", "vm1");
	assert_string_equal(places(), "vm1@a+?0/0 ");
	says("a", "vm1");
	assert_string_equal(places(), "");
	assert_int_equal(directory_locate(directory, &place), 0);
	assert_string_equal(places(), "vm1@a+!1/2 ");
	assert_int_equal(directory_locate(directory, &place), 0);
	assert_string_equal(places(), "");
	directory_move_begins(directory, "vm1", "a", "b");
	assert_string_equal(places(), "vm1@a+b!1/2 ");
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(places(), "vm1@b+!1/2 ");
	says("a", "");
	says("b", "");
	assert_string_equal(places(), "vm1@+!1/2 ");
}

/* ---- the journal ---- */

static char path[64];

static int take(void *context, const struct record *record)
{
	return directory_take(context, record);
}

static struct journal *journal_begin(void)
{
	struct journal *journal = NULL;

	assert_int_equal(journal_open(path, 100, take, directory, &journal, NULL, 0), 0);
	return journal;
}

static size_t pay(struct journal *journal)
{
	struct record records[16];
	size_t count = directory_owed(directory, records, 16);

	assert_int_equal(journal_append(journal, records, count, false), 0);
	directory_paid(directory, count);
	return count;
}

static void journal_end(struct journal *journal, const char *folder)
{
	journal_close(journal);
	unlink(path);
	snprintf(path, sizeof(path), "%s/journal-wal", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/journal-shm", folder);
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

static struct journal *restart(struct journal *journal)
{
	pay(journal);
	journal_close(journal);
	unmake(NULL);
	assert_int_equal(make(NULL), 0);
	return journal_begin();
}

static void what_a_hosts_first_word_after_a_restart_has_not_is_not_its_own_any_more(void **state)
{
	char folder[] = "/tmp/smd_directory.XXXXXX";
	struct journal *journal;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/journal", folder);
	journal = journal_begin();
	says("a", "vm1 vm2 vm3 vm4");
	journal = restart(journal);
	/* While tether-smd was away vm1 was moved by hand, and vm2 has ended. */
	says("b", "vm1");
	assert_string_equal(vms_of("b"), "");
	assert_int_equal(directory_move_begins(directory, "vm4", "a", "b"), 0);
	places();
	says("a", "vm3");
	assert_string_equal(vms_of("b"), "vm1");
	assert_string_equal(directory_host_of(directory, "vm2"), "");
	assert_string_equal(directory_host_of(directory, "vm3"), "a");
	assert_string_equal(directory_host_of(directory, "vm4"), "a");
	assert_string_equal(places(), "vm1@b+?0/0 vm2@+?0/0 ");
	pay(journal);
	assert_false(directory_place_of(directory, "vm2", &(struct directory_place){0}));
	journal = restart(journal);
	assert_string_equal(directory_host_of(directory, "vm1"), "b");
	assert_string_equal(directory_host_of(directory, "vm2"), "");
	journal_end(journal, folder);
}

static void who_has_said_nothing_yet_after_a_restart_claims_nothing(void **state)
{
	char folder[] = "/tmp/smd_directory.XXXXXX";
	struct journal *journal;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/journal", folder);
	journal = journal_begin();
	says("a", "vm1 vm2");
	journal = restart(journal);
	assert_int_equal(directory_move_begins(directory, "vm1", "a", "b"), 0);
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(claims(), "");
	assert_string_equal(news(), "");
	/* It comes back, and does as before. */
	says("a", "vm1 vm2");
	assert_string_equal(claims(), "a:vm1>b ");
	assert_string_equal(vms_of("a"), "vm2");
	directory_host_here(directory, "a", false);
	assert_true(directory_forget(directory, "a"));
	assert_string_equal(claims(), "");
	journal_end(journal, folder);
}

static void the_liar_who_comes_first_after_a_restart_is_not_believed(void **state)
{
	struct journal *journal;
	char folder[] = "/tmp/smd_directory.XXXXXX";
	const uint64_t place[] = {1, 2}, guid[] = {0x11, 0x12}, evil[] = {9, 8};
	const uint32_t lids[] = {7}, pkeys[] = {0xffff, 0x8001};
	const struct directory_place located = {.vm = "vm1",
	        .port = 0x11,
	        .located = true,
	        .lids = lids,
	        .lid_count = 1,
	        .pkeys = pkeys,
	        .pkey_count = 2};
	struct directory_place back;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/journal", folder);
	journal = journal_begin();
	says_slots("a", "vm1 vm2", 2, place, guid);
	assert_int_equal(pay(journal), 4);
	assert_int_equal(pay(journal), 0);
	says_slots("a", "vm1", 1, place, guid);
	assert_int_equal(pay(journal), 2);
	assert_int_equal(directory_locate(directory, &located), 0);
	assert_int_equal(pay(journal), 1);
	journal_close(journal);
	unmake(NULL);

	assert_int_equal(make(NULL), 0);
	journal = journal_begin();
	assert_string_equal(directory_host_of(directory, "vm1"), "a");
	assert_true(directory_place_of(directory, "vm1", &back));
	assert_true(back.located && back.port == 0x11 && back.lid_count == 1 && back.lids[0] == 7);
	assert_true(back.pkey_count == 2 && back.pkeys[1] == 0x8001);
	says_slots("evil", "vm1 vm2", 2, evil, guid);
	assert_string_equal(vms_of("evil"), "vm2");
	assert_int_equal(slots_of("evil"), 1);
	says_slots("a", "vm1", 1, place, guid);
	assert_string_equal(vms_of("a"), "vm1");
	assert_int_equal(slots_of("a"), 1);
	pay(journal);
	journal_end(journal, folder);
}

int main(void)
{
#define DIRECTORY_TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)
	const struct CMUnitTest tests[] = {
	        DIRECTORY_TEST(the_first_who_says_so_has_it),
	        DIRECTORY_TEST(who_is_away_keeps_it),
	        DIRECTORY_TEST(who_drops_it_leaves_it_to_the_first_who_waits_and_is_here),
	        DIRECTORY_TEST(while_it_moves_both_of_its_hosts_may_have_it_and_nobody_else),
	        DIRECTORY_TEST(the_source_has_it_no_more_when_it_has_moved_whatever_it_says),
	        DIRECTORY_TEST(a_move_that_failed_leaves_it_at_its_source),
	        DIRECTORY_TEST(a_creation_is_its_hosts_before_that_says_so),
	        DIRECTORY_TEST(the_operator_releases_it_to_who_waits),
	        DIRECTORY_TEST(a_host_that_will_not_come_back_leaves_all_it_had),
	        DIRECTORY_TEST(what_no_vm_may_be_called_is_nobodys),
	        DIRECTORY_TEST(a_place_is_one_hosts),
	        DIRECTORY_TEST(a_guid_is_shown_by_one_host),
	        DIRECTORY_TEST(a_name_that_comes_again_in_a_word_brings_nothing),
	        DIRECTORY_TEST(a_slot_shows_what_our_moves_had_it_show),
	        DIRECTORY_TEST(each_change_of_a_place_is_told_once),
	        DIRECTORY_TEST(
	                what_a_hosts_first_word_after_a_restart_has_not_is_not_its_own_any_more),
	        DIRECTORY_TEST(who_has_said_nothing_yet_after_a_restart_claims_nothing),
	        DIRECTORY_TEST(the_liar_who_comes_first_after_a_restart_is_not_believed),
	};

	return cmocka_run_group_tests_name("smd_directory", tests, NULL, NULL);
}
