/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who is told where VMs are. */
#include "tests/unit/relay_harness.h"

static void both_hosts_are_told_and_nobody_else(void **state)
{
	struct test *t = *state;

	host(t, "hyp1", "vm1", 0);
	host(t, "hyp2", "", 0);
	host(t, "hyp3", "vm3", 0);
	PLACE(t, .vm = "vm1", .host = "hyp1", .lids = {5}, .pkeys = {0x8001});
	EXPECT(t, "hyp1 < places vm1 at hyp1 lid 5 pkey 0x8001\n");
	PLACE(t, .vm = "vm1", .host = "hyp1", .next = "hyp2");
	EXPECT(t, "hyp2 < places vm1 at hyp1 or hyp2\n"
	          "hyp1 < places vm1 at hyp1 or hyp2\n");
	PLACE(t, .vm = "vm1", .host = "hyp2");
	EXPECT(t, "hyp2 < places vm1 at hyp2\n"
	          "hyp1 < places vm1 at hyp2\n");
	PLACE(t, .vm = "vm1");
	EXPECT(t, "hyp2 < places vm1 at nobody\n");
}

static void host_that_comes_anew_is_told_again(void **state)
{
	struct test *t = *state;
	uint32_t link;

	PLACE(t, .vm = "vm1", .host = "hyp1", .lids = {5});
	PLACE(t, .vm = "vm2", .host = "hyp2", .next = "hyp1");
	EXPECT(t, "");
	link = host(t, "hyp1", "vm1", 0);
	EXPECT(t, "hyp1 < places vm2 at hyp2 or hyp1 vm1 at hyp1 lid 5\n");
	relay_child_gone(t->relay, link, false, t->now_ms);
	PLACE(t, .vm = "vm2", .host = "hyp2");
	EXPECT(t, "");
	host(t, "hyp1", "vm1", 0);
	EXPECT(t, "hyp1 < places vm1 at hyp1 lid 5\n");
}

/* What is open is given to it behind that, since it is looked at by it. */
static void place_comes_before_what_is_open(void **state)
{
	struct test *t = *state;

	PLACE(t, .vm = "vm1", .host = "hyp1");
	EVENT(t, .vm = "vm1", .to_vm = true, .expected = {"vm1/1.1"});
	host(t, "hyp1", "vm1", 0);
	EXPECT(t, "hyp1 < places vm1 at hyp1\n"
	          "hyp1 < STOP.1 vm expects vm1/1.1\n");
}

static void places_from_above(struct test *t, const char *vm, const char *host_name)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Whereabouts whereabouts = TETHER__WHEREABOUTS__INIT;
	Tether__VmPlace place = TETHER__VM_PLACE__INIT, *places[] = {&place};

	place.vm = (char *)vm;
	place.host = (char *)host_name;
	whereabouts.vms = places;
	whereabouts.n_vms = 1;
	frame.body_case = TETHER__FRAME__BODY_WHEREABOUTS;
	frame.whereabouts = &whereabouts;
	assert_int_equal(relay_parent_frame(t->relay, &frame, t->now_ms), 0);
}

/* Processes are told nothing. */
static void guest_is_told_of_its_vm(void **state)
{
	struct test *t = *state;

	guest_of(t, "vm1", "vm1");
	guest_of(t, "vm2", "vm2");
	child(t, "vm1", "vm1/1.1", 0);
	places_from_above(t, "vm1", "hyp1");
	EXPECT(t, "vm1 < places vm1 at hyp1\n");
	guest_of(t, "vm3", "vm3");
	EXPECT(t, "");
}

static void guest_that_comes_anew_is_told_again(void **state)
{
	struct test *t = *state;

	places_from_above(t, "vm1", "hyp1");
	guest_of(t, "vm1", "vm1");
	EXPECT(t, "vm1 < places vm1 at hyp1\n");
	/* It has left since, and what is said of it there is no matter here. */
	places_from_above(t, "vm2", "hyp1");
	places_from_above(t, "vm2", "hyp2");
	guest_of(t, "vm2", "vm2");
	EXPECT(t, "");
}

static void many_places_come_in_several_frames(void **state)
{
	enum { MANY = 4000, LIDS = 100 };
	struct test *t = *state;
	static uint32_t lids[LIDS];
	static Tether__VmPlace place[MANY];
	static Tether__VmPlace *places[MANY];
	static char names[MANY][8];
	Tether__Whereabouts whereabouts = TETHER__WHEREABOUTS__INIT;

	memset(lids, 0xff, sizeof(lids));
	for (unsigned i = 0; i < MANY; i++) {
		tether__vm_place__init(&place[i]);
		snprintf(names[i], sizeof(names[i]), "vm%u", i);
		place[i].vm = names[i];
		place[i].host = (char *)"hyp1";
		place[i].pkeys = lids;
		place[i].n_pkeys = LIDS;
		places[i] = &place[i];
	}
	whereabouts.vms = places;
	whereabouts.n_vms = MANY;
	t->frame_bytes_most = 0;
	host(t, "hyp1", "", 0);
	assert_int_equal(relay_whereabouts(t->relay, &whereabouts, t->now_ms), 0);
	assert_true(tether__whereabouts__get_packed_size(&whereabouts) > 1 << 20);
	assert_int_equal(t->places_told, MANY);
	assert_in_range(t->frame_bytes_most, 1, 1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ROOT_TEST(both_hosts_are_told_and_nobody_else),
	        ROOT_TEST(host_that_comes_anew_is_told_again),
	        ROOT_TEST(place_comes_before_what_is_open),
	        ROOT_TEST(many_places_come_in_several_frames),
	        HOST_TEST(guest_is_told_of_its_vm),
	        HOST_TEST(guest_that_comes_anew_is_told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
