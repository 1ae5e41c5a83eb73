/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Children that lie about others: nobody else's answer is lost or changed, and it is counted. */
#include "tests/unit/relay_harness.h"

#define STOP TETHER__STEP__STEP_STOP

/* What an answer says of somebody; NULL: nothing. */
struct claim {
	const char *answered, *missing, *ended, *who;
	const char *inventory_of;
};

static void claim_send(struct test *t, uint32_t link, const struct claim *claim)
{
	Tether__Answer answer = answer_to(STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};
	Tether__HostResult result = TETHER__HOST_RESULT__INIT;

	answer.answered = (char **)&claim->answered;
	answer.n_answered = claim->answered ? 1 : 0;
	answer.missing = (char **)&claim->missing;
	answer.n_missing = claim->missing ? 1 : 0;
	answer.ended = (char **)&claim->ended;
	answer.n_ended = claim->ended ? 1 : 0;
	refusal.who = (char *)claim->who;
	refusal.reason = (char *)"veto";
	answer.refusals = refusals;
	answer.n_refusals = claim->who ? 1 : 0;
	result.host = (char *)claim->inventory_of;
	answer.result = claim->inventory_of ? &result : NULL;
	assert_int_equal(answer_send(t, link, &answer), 0);
}

struct lie {
	const char *what;
	struct claim claim;
	unsigned foreign;
	const char *said; /* when the honest one has answered, too */
};

/* Of two that an event concerns, the liar answers first. */
static void lie_is_told(struct test *t, uint32_t liar, uint32_t honest, const struct claim *truth,
        const struct lie *lie)
{
	print_message("# %s\n", lie->what);
	forget(t);
	claim_send(t, liar, &lie->claim);
	EXPECT(t, "");
	claim_send(t, honest, truth);
	EXPECT(t, lie->said);
	assert_int_equal(relay_counts(t->relay).foreign_claims, lie->foreign);
	assert_int_equal(relay_counts(t->relay).unasked_answers, 0);
}

/* vm1 has a guest, vm2 a process that is honest; both are concerned. */
static void guest_answers_for_nobody_else(void **state)
{
	static const char vm2_alone[] = "> STOP.1 DONE answered vm2/1.1\n";
	static const struct claim itself = {0};
	static const struct lie lies[] = {
	        {"itself", {.answered = "vm1/1.1"}, 0,
	                "> STOP.1 DONE answered vm1/1.1 answered vm2/1.1\n"},
	        {"another VM's process", {.answered = "vm2/1.1"}, 1, vm2_alone},
	        {"another VM's process is missing", {.missing = "vm2/1.1"}, 1, vm2_alone},
	        {"another VM's process has ended", {.ended = "vm2/1.1"}, 1, vm2_alone},
	        {"another VM's guest is missing", {.missing = "vm2"}, 1, vm2_alone},
	        {"its host is missing", {.missing = "hyp1"}, 1, vm2_alone},
	        {"a VM is no process", {.answered = "vm1"}, 1, vm2_alone},
	        {"a name that begins alike", {.answered = "vm11/1.1"}, 1, vm2_alone},
	        {"nobody", {.answered = "vm1/"}, 1, vm2_alone},
	        {"empty", {.answered = "", .missing = ""}, 2, vm2_alone},
	        {"blames another VM", {.who = "vm2/11 ib_write_bw"}, 1,
	                "> STOP.1 DONE answered vm2/1.1 hyp1/vm1 (veto)\n"},
	        {"blames its own", {.who = "vm1/11 ib_write_bw"}, 0,
	                "> STOP.1 DONE answered vm2/1.1 hyp1/vm1/11 ib_write_bw (veto)\n"},
	        {"its host's inventory", {.inventory_of = "hyp1"}, 1, vm2_alone},
	        {"nobody's inventory", {.inventory_of = ""}, 1, vm2_alone},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
		uint32_t liar = guest_of(t, "vm1", ""), honest = child(t, "vm2", "vm2/1.1", 7);

		t->acknowledge = true;
		EVENT(t, .vm = "vm1", .lid = 7, .to_vm = true, .to_peers = true);
		lie_is_told(t, liar, honest, &itself, &lies[i]);
		teardown((void **)&t);
	}
}

/* hyp1 has vm1, hyp2 vm2: both are concerned, hyp2 lies. */
static void host_answers_for_nobody_else(void **state)
{
	static const char vm1_alone[] = "> STOP.1 DONE answered vm1/1.1\n";
	static const struct claim vm1 = {.answered = "vm1/1.1"};
	static const struct lie lies[] = {
	        {"its own", {.answered = "vm2/1.1"}, 0,
	                "> STOP.1 DONE answered vm2/1.1 answered vm1/1.1\n"},
	        {"another host's process", {.answered = "vm1/1.1"}, 1, vm1_alone},
	        {"another host's process is missing", {.missing = "vm1/1.1"}, 1, vm1_alone},
	        {"another host's process has ended", {.ended = "vm1/1.1"}, 1, vm1_alone},
	        {"another host is missing", {.missing = "hyp1"}, 1, vm1_alone},
	        {"blames another host", {.who = "hyp1/vm1/11"}, 1,
	                "> STOP.1 DONE answered vm1/1.1 hyp2 (veto)\n"},
	        {"another host's inventory", {.inventory_of = "hyp1"}, 1, vm1_alone},
	        {"its own inventory", {.inventory_of = "hyp2"}, 0,
	                "> STOP.1 DONE answered vm1/1.1 exit 0\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_ROOT, "");
		uint32_t honest = host(t, "hyp1", "vm1", 0), liar = host(t, "hyp2", "vm2", 7);

		EVENT(t, .vm = "vm1", .lid = 7, .to_vm = true, .to_peers = true,
		        .expected = {"vm1/1.1"});
		lie_is_told(t, liar, honest, &vm1, &lies[i]);
		teardown((void **)&t);
	}
}

/* hyp1 has vm1, hyp2 the others; hyp2 names some in an order that nobody expects. */
static void names_count_in_whatever_order_they_come(void **state)
{
	enum { NAMES_MOST = 6 };
	static const struct {
		const char *names[NAMES_MOST];
		unsigned foreign;
		const char *said;
	} rows[] = {
	        {{"vm2/1.1", "vm2/2.1", "vm3/1.1", "vm4/1.1"}, 0,
	                "> STOP.1 DONE answered vm1/1.1 answered vm2/1.1 answered vm2/2.1 "
	                "answered vm3/1.1 answered vm4/1.1\n"},
	        {{"vm4/1.1", "vm3/1.1", "vm2/2.1", "vm2/1.1"}, 0,
	                "> STOP.1 DONE answered vm1/1.1 answered vm4/1.1 answered vm3/1.1 "
	                "answered vm2/2.1 answered vm2/1.1\n"},
	        {{"vm2/1.1", "vm1/1.1", "vm2/2.1", "vm31/1.1", "vm3/1.1", "vm4/1.1"}, 2,
	                "> STOP.1 DONE answered vm1/1.1 answered vm2/1.1 answered vm2/2.1 "
	                "answered vm3/1.1 answered vm4/1.1\n"},
	        {{"vm3/1.1", "vm3/1.1", "vm2/2.1", "vm4/1.1", "vm4/1.1", "vm2/1.1"}, 0,
	                "> STOP.1 DONE answered vm1/1.1 answered vm3/1.1 answered vm2/2.1 "
	                "answered vm4/1.1 answered vm2/1.1\n"},
	        {{"vm4/9.9", "vm2/1.1", "vm3/1.1", "vm2/2.1", "vm4/1.1", "vm5/1.1"}, 1,
	                "> STOP.1 DONE answered vm1/1.1 answered vm4/9.9 answered vm2/1.1 "
	                "answered vm3/1.1 answered vm2/2.1 answered vm4/1.1\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		static const struct claim vm1 = {.answered = "vm1/1.1"};
		struct test *t = test_create(TETHER__ROLE__ROLE_ROOT, "");
		uint32_t first = host(t, "hyp1", "vm1", 7),
		         second = host(t, "hyp2", "vm2 vm3 vm4", 7);
		Tether__Answer answer = answer_to(STOP, 1, TETHER__OUTCOME__OUTCOME_DONE);

		EVENT(t, .vm = "vm9", .lid = 7, .to_peers = true,
		        .expected = {"vm2/1.1", "vm2/2.1", "vm3/1.1", "vm4/1.1"});
		forget(t);
		claim_send(t, first, &vm1);
		answer.answered = (char **)rows[i].names;
		while (answer.n_answered < NAMES_MOST && rows[i].names[answer.n_answered])
			answer.n_answered++;
		assert_int_equal(answer_send(t, second, &answer), 0);
		EXPECT(t, rows[i].said);
		assert_int_equal(relay_counts(t->relay).foreign_claims, rows[i].foreign);
		teardown((void **)&t);
	}
}

/* It names things of its own as it likes, but nobody. */
static void process_blames_nobody_else(void **state)
{
	struct test *t = *state;
	uint32_t link = child(t, "vm1", "vm1/1.1", 0);
	struct claim lie = {.who = "vm2/11 ib_write_bw", .inventory_of = "hyp1"};

	EVENT(t, .to_vm = true);
	forget(t);
	claim_send(t, link, &lie);
	EXPECT(t, "> STOP.1 DONE answered vm1/1.1 hyp1/vm1/4711 ib_write_bw (veto)\n");
	assert_int_equal(relay_counts(t->relay).foreign_claims, 2);
}

/* Whatever one VM does, another one's processes find room. */
static void links_of_a_vm_keep_no_other_out(void **state)
{
	struct test *t = *state;
	uint32_t link;
	unsigned taken = 0;

	while (!relay_child_add(t->relay, "vm1", t->now_ms, &link))
		taken++;
	assert_int_equal(taken, 4096);
	assert_int_equal(relay_child_add(t->relay, "vm1", t->now_ms, &link), -EUSERS);
	assert_int_equal(relay_counts(t->relay).crowded_links, 2);
	child(t, "vm2", "vm2/1.1", 0);
	guest_of(t, "vm1", "");
	/* Those that say nothing do not keep its own out for ever. */
	pass(t, 2000);
	assert_int_equal(relay_counts(t->relay).silent_links, 4096);
	child(t, "vm1", "vm1/1.1", 0);
}

static void send_nothing(void *owner, uint32_t child, const Tether__Frame *frame)
{
}

static void so_many_processes_of_a_vm_are_taken_as_is_set(void **state)
{
	static const struct relay_outputs outputs = {.child_send = send_nothing};
	const struct relay_settings settings = {
	        .name = "hyp1", .role = TETHER__ROLE__ROLE_HOST, .processes_max = 3};
	struct relay *relay = relay_create(&settings, &outputs, NULL);
	Tether__Report report;
	uint32_t link;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(relay_child_add(relay, "vm1", 0, &link), 0);
	assert_int_equal(relay_child_add(relay, "vm1", 0, &link), -EUSERS);
	assert_int_equal(relay_child_add(relay, "vm2", 0, &link), 0);
	assert_int_equal(relay_report_fill(relay, &report), 0);
	assert_int_equal(report.processes_max, 3);
	relay_report_clear(&report);
	relay_destroy(relay);
}

/* Nor do all that several VMs may have. */
static void links_of_several_vms_keep_no_other_out(void **state)
{
	static const struct relay_outputs outputs = {.child_send = send_nothing};
	const struct relay_settings settings = {.name = "hyp1",
	        .role = TETHER__ROLE__ROLE_HOST,
	        .children_max = 1024,
	        .processes_max = 256};
	static const char *const hostile[] = {"vm1", "vm2", "vm3", "vm4"};
	const unsigned taken[] = {256, 256, 256, 128};
	struct relay *relay = relay_create(&settings, &outputs, NULL);
	uint32_t link;

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		unsigned count = 0;

		while (!relay_child_add(relay, hostile[i], 0, &link))
			count++;
		assert_int_equal(count, taken[i]);
	}
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(relay_child_add(relay, "vm5", 0, &link), 0);
	assert_int_equal(relay_guest_add(relay, "vm5", 0, &link), 0);
	/* Whoever comes later still has a few. */
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(relay_child_add(relay, "vm6", 0, &link), 0);
	relay_destroy(relay);
}

static void agent_in_a_vm_leaves_no_room_for_others(void **state)
{
	static const struct relay_outputs outputs = {.child_send = send_nothing};
	const struct relay_settings settings = {.name = "vm1",
	        .role = TETHER__ROLE__ROLE_GUEST,
	        .children_max = 64,
	        .processes_max = 64};
	struct relay *relay = relay_create(&settings, &outputs, NULL);
	uint32_t link;

	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(relay_child_add(relay, "vm1", 0, &link), 0);
	assert_int_equal(relay_child_add(relay, "vm1", 0, &link), -EUSERS);
	relay_destroy(relay);
}

static void frame_out_of_place_is_counted(void **state)
{
	static const Tether__Frame__BodyCase bodies[] = {
	        TETHER__FRAME__BODY_HELLO,
	        TETHER__FRAME__BODY_HELLO_ANSWER,
	        TETHER__FRAME__BODY_EVENT,
	        TETHER__FRAME__BODY_INTEREST_ANSWER,
	        TETHER__FRAME__BODY_REPORT,
	        TETHER__FRAME__BODY_PULL,
	        TETHER__FRAME__BODY_BEHIND,
	};
	struct test *t = *state;
	uint32_t link = child(t, "vm1", "vm1/1.1", 0);
	Tether__HostBehind behind = TETHER__HOST_BEHIND__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		frame.body_case = bodies[i];
		frame.behind = &behind;
		assert_int_equal(relay_child_frame(t->relay, link, &frame, t->now_ms), -EPROTO);
		assert_int_equal(relay_counts(t->relay).out_of_place_frames, i + 1);
	}
	EXPECT(t, "");
}

static void why_a_link_ended_is_counted_by_kind(void **state)
{
	static const int reasons[] = {
	        -EBADMSG, -EMSGSIZE, -ETIME, -ENOBUFS, -EDQUOT, -EPIPE, -ETIMEDOUT};
	struct test *t = *state;
	struct relay_counts counts;

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		relay_link_ended(t->relay, reasons[i]);
	counts = relay_counts(t->relay);
	assert_int_equal(counts.garbled_frames, 1);
	assert_int_equal(counts.large_frames, 1);
	assert_int_equal(counts.half_frames, 1);
	assert_int_equal(counts.unread_links, 1);
	assert_int_equal(counts.full_links, 1);
	assert_int_equal(counts.crowded_links, 0);
}

/* Each of what a HELLO names costs the root a message, or a look for each event. Who is between
 * refuses it as well, and passes nothing on. */
static void host_that_names_too_much_is_refused(void **state)
{
	static uint64_t open[33];
	static Tether__HostVm vm = TETHER__HOST_VM__INIT;
	static Tether__HostVm *vms[4097];
	struct test *t = *state;
	Tether__Hello hello = TETHER__HELLO__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	for (size_t i = 0; i < ARRAY_SIZE(vms); i++)
		vms[i] = &vm;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	hello.version = TETHER__PROTOCOL__PROTOCOL_VERSION;
	hello.role = TETHER__ROLE__ROLE_HOST;
	hello.name = (char *)"hyp1";
	hello.open = open;
	hello.n_open = ARRAY_SIZE(open);
	assert_int_equal(relay_child_frame(t->relay, link_add(t, NULL, "a"), &frame, 0), -EACCES);
	EXPECT(t, "a < HELLO REFUSED (too-many-open)\n");
	hello.n_open--;
	hello.vms = vms;
	hello.n_vms = ARRAY_SIZE(vms);
	assert_int_equal(relay_child_frame(t->relay, link_add(t, NULL, "b"), &frame, 0), -EACCES);
	EXPECT(t, "b < HELLO REFUSED (too-many-vms)\n");
	hello.n_vms--;
	assert_int_equal(relay_child_frame(t->relay, link_add(t, NULL, "c"), &frame, 0), 0);
	assert_int_equal(relay_counts(t->relay).refused_hellos, 2);
}

static int agent_between(void **state)
{
	*state = test_create(TETHER__ROLE__ROLE_RELAY, "row1");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(guest_answers_for_nobody_else),
	        cmocka_unit_test(host_answers_for_nobody_else),
	        cmocka_unit_test(names_count_in_whatever_order_they_come),
	        HOST_TEST(process_blames_nobody_else),
	        HOST_TEST(links_of_a_vm_keep_no_other_out),
	        cmocka_unit_test(links_of_several_vms_keep_no_other_out),
	        cmocka_unit_test(agent_in_a_vm_leaves_no_room_for_others),
	        cmocka_unit_test(so_many_processes_of_a_vm_are_taken_as_is_set),
	        HOST_TEST(frame_out_of_place_is_counted),
	        HOST_TEST(why_a_link_ended_is_counted_by_kind),
	        ROOT_TEST(host_that_names_too_much_is_refused),
	        cmocka_unit_test_setup_teardown(
	                host_that_names_too_much_is_refused, agent_between, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
