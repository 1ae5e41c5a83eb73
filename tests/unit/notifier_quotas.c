/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How much one VM or one host can make a relay hold, and that nobody else is short of it. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/relay/relay.h"
#include "notifier/wire/gid_name.h"

enum { LINKS_IN_ALL = 100000, LINKS_FIRST = 1000, SLACK_BYTES = 4096 };
enum { VM_BYTES = 64 << 20, HOST_BYTES = 192 << 20, HOST_ANNOUNCEMENTS = 8 * 4 * 4 * 4096 };
enum { VM_INTERESTS = 4 * 4096, VM_REQUESTS = 16 * 1024 }; /* of one process, 4096 and 1024 */

/* A host under the root, which acknowledges whatever comes to it. */
struct scene {
	struct relay *root, *host;
	uint32_t host_link;      /* at the root */
	bool root_keeps;         /* it acknowledges nothing */
	Tether__Outcome outcome; /* of the last registration, to who asked for it */
	char reason[32];
	size_t held_by_root;
};

static size_t heap_bytes(void)
{
	struct mallinfo2 heap = mallinfo2();

	return heap.uordblks + heap.hblkhd;
}

static void child_close(void *owner, uint32_t child, const char *why)
{
}

static void host_child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct scene *scene = owner;
	const Tether__InterestAnswer *answer = frame->interest_answer;

	if (frame->body_case != TETHER__FRAME__BODY_INTEREST_ANSWER)
		return;
	scene->outcome = answer->outcome;
	snprintf(scene->reason, sizeof(scene->reason), "%s",
	        answer->n_refusals ? answer->refusals[0]->reason : "");
}

static void host_parent_send(void *owner, const Tether__Frame *frame)
{
	struct scene *scene = owner;

	relay_child_frame(scene->root, scene->host_link, frame, 0);
}

static void root_child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct scene *scene = owner;

	if (scene->host)
		relay_parent_frame(scene->host, (Tether__Frame *)frame, 0);
}

static void root_parent_send(void *owner, const Tether__Frame *frame)
{
	struct scene *scene = owner;
	Tether__InterestAnswer done = TETHER__INTEREST_ANSWER__INIT;
	Tether__Frame answer = TETHER__FRAME__INIT;

	if (frame->body_case != TETHER__FRAME__BODY_INTEREST)
		return;
	scene->held_by_root += frame->interest->drop ? -1 : 1;
	if (scene->root_keeps)
		return;
	done.request = frame->interest->request;
	done.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	answer.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	answer.interest_answer = &done;
	relay_parent_frame(scene->root, &answer, 0);
}

static const struct relay_outputs host_outputs = {
        .child_send = host_child_send,
        .child_close = child_close,
        .parent_send = host_parent_send,
};

static const struct relay_outputs root_outputs = {
        .child_send = root_child_send,
        .child_close = child_close,
        .parent_send = root_parent_send,
};

static int hello_say(struct relay *relay, uint32_t link, Tether__Role role, const char *name)
{
	Tether__Hello hello = TETHER__HELLO__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	hello.version = TETHER__PROTOCOL__PROTOCOL_VERSION;
	hello.role = role;
	hello.name = (char *)name;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	return relay_child_frame(relay, link, &frame, 0);
}

static int scene_create(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct relay_settings root = {.name = "", .role = TETHER__ROLE__ROLE_ROOT};
	struct relay_settings host = {.name = "hyp1", .role = TETHER__ROLE__ROLE_HOST};

	scene->root = relay_create(&root, &root_outputs, scene);
	assert_int_equal(relay_child_add(scene->root, NULL, 0, &scene->host_link), 0);
	scene->host = relay_create(&host, &host_outputs, scene);
	assert_int_equal(
	        hello_say(scene->root, scene->host_link, TETHER__ROLE__ROLE_HOST, "hyp1"), 0);
	*state = scene;
	return 0;
}

static int scene_destroy(void **state)
{
	struct scene *scene = *state;

	relay_destroy(scene->host);
	relay_destroy(scene->root);
	free(scene);
	return 0;
}

static uint32_t process_add(struct scene *scene, const char *vm, unsigned pid)
{
	uint32_t link;
	char name[64];

	snprintf(name, sizeof(name), "%s/%08u.1", vm, pid);
	assert_int_equal(relay_child_add(scene->host, vm, 0, &link), 0);
	assert_int_equal(hello_say(scene->host, link, TETHER__ROLE__ROLE_SHIM, name), 0);
	return link;
}

static void registration_say(struct scene *scene, uint32_t link, uint32_t lid, bool datagrams)
{
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	address.lid = lid;
	interest.request = 1;
	interest.address = &address;
	interest.datagrams = datagrams;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	scene->outcome = TETHER__OUTCOME__OUTCOME_NONE;
	assert_int_equal(relay_child_frame(scene->host, link, &frame, 0), 0);
}

static void interest_say(struct scene *scene, uint32_t link, uint32_t lid)
{
	registration_say(scene, link, lid, false);
}

/* Each goes up by itself, whatever the root knows. */
static void question_say(struct scene *scene, uint32_t link, uint32_t lid)
{
	registration_say(scene, link, lid, true);
}

static void links_that_come_and_go_leave_nothing_behind(void **state)
{
	struct scene *scene = *state;
	size_t before = 0;

	for (unsigned i = 0; i < LINKS_IN_ALL; i++) {
		uint32_t link = process_add(scene, "vm1", i);

		interest_say(scene, link, 5);
		relay_child_gone(scene->host, link, true, 0);
		if (i == LINKS_FIRST)
			before = heap_bytes();
	}
	assert_in_range(heap_bytes(), 0, before + SLACK_BYTES);
	assert_int_equal(scene->held_by_root, 0);
}

/* As many as are taken. */
static unsigned interests_until_refused(struct scene *scene, uint32_t link, unsigned first)
{
	unsigned taken = 0;

	for (;; taken++) {
		interest_say(scene, link, first + taken);
		if (scene->outcome == TETHER__OUTCOME__OUTCOME_REFUSED)
			return taken;
	}
}

static uint32_t guest_add(struct scene *scene, const char *vm)
{
	uint32_t link;

	assert_int_equal(relay_guest_add(scene->host, vm, 0, &link), 0);
	assert_int_equal(hello_say(scene->host, link, TETHER__ROLE__ROLE_GUEST, vm), 0);
	return link;
}

/* vm2, which shares the server with vm1, finds room here and at the root. */
static void another_vm_finds_room(struct scene *scene)
{
	interest_say(scene, process_add(scene, "vm2", 1), 40000);
	assert_int_equal(scene->outcome, TETHER__OUTCOME__OUTCOME_DONE);
}

/* The root keeps its answer. */
static void another_vm_is_heard(struct scene *scene)
{
	size_t before = scene->held_by_root;

	question_say(scene, process_add(scene, "vm2", 1), 40000);
	assert_int_equal(scene->held_by_root, before + 1);
}

static void interests_of_a_guest_leave_room_for_other_vms(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(interests_until_refused(scene, guest_add(scene, "vm1"), 1), VM_INTERESTS);
	assert_string_equal(scene->reason, "too-many-interests");
	assert_int_equal(relay_counts(scene->host).crowded_interests, 1);
	another_vm_finds_room(scene);
}

static void interests_of_many_processes_leave_room_for_other_vms(void **state)
{
	struct scene *scene = *state;
	unsigned taken = 0, pid;

	for (pid = 0; taken < VM_INTERESTS; pid++)
		taken += interests_until_refused(scene, process_add(scene, "vm1", pid), 1 + taken);
	assert_int_equal(taken, VM_INTERESTS);
	assert_int_equal(scene->held_by_root, VM_INTERESTS);
	interest_say(scene, process_add(scene, "vm1", pid), 1 + taken);
	assert_string_equal(scene->reason, "too-many-interests");
	/* What its VM holds already costs nobody above anything. */
	interest_say(scene, process_add(scene, "vm1", pid + 1), taken);
	assert_int_equal(scene->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	another_vm_finds_room(scene);
}

static void room_comes_back_with_what_is_let_go(void **state)
{
	struct scene *scene = *state;
	uint32_t guest = guest_add(scene, "vm1");

	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(interests_until_refused(scene, guest, 1), VM_INTERESTS);
		relay_child_gone(scene->host, guest, true, 0);
		assert_int_equal(scene->held_by_root, 0);
		guest = guest_add(scene, "vm1");
	}
}

static void announcement_say(struct scene *scene, struct relay *relay, uint32_t link, uint32_t qpn)
{
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;
	uint8_t gid[GID_BYTES] = {0xfe, 0x80};

	/* Each at a GID of its own, which costs most. */
	memcpy(gid + sizeof(gid) - sizeof(qpn), &qpn, sizeof(qpn));
	address.lid = gid_name(gid);
	address.gid = (ProtobufCBinaryData){sizeof(gid), gid};
	address.qpn = qpn;
	address.context = 1;
	interest.request = 1;
	interest.address = &address;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	relay_child_frame(relay, link, &frame, 0);
}

/* All that its quotas let it say, by a guest and as many processes as it takes, each of which asks
 * something as well that nobody answers. */
static void memory_for_all_that_a_vm_registers_is_limited(void **state)
{
	struct scene *scene = *state;
	size_t before = heap_bytes(), taken;
	uint32_t guest = guest_add(scene, "vm1");

	for (uint32_t lid = 1; lid <= 2 * VM_INTERESTS; lid++)
		interest_say(scene, guest, lid);
	for (uint32_t qpn = 1; qpn <= 8 * VM_INTERESTS; qpn++)
		announcement_say(scene, scene->host, guest, qpn);
	scene->root_keeps = true;
	for (unsigned pid = 0; pid < 64; pid++) {
		uint32_t process = process_add(scene, "vm1", pid);

		for (uint32_t lid = 1; lid <= 5000; lid++)
			interest_say(scene, process, lid);
		for (unsigned i = 0; i < 2000; i++)
			question_say(scene, process, 7);
	}
	taken = heap_bytes() - before;
	print_message("# %zu bytes at its host and the root\n", taken);
	assert_in_range(taken, 0, VM_BYTES);
	another_vm_is_heard(scene);
}

/* A host that lies without end, at the root alone. */
static void memory_for_all_that_a_host_registers_is_limited(void **state)
{
	struct scene *scene = *state;
	size_t before = heap_bytes(), taken;

	relay_destroy(scene->host);
	scene->host = NULL;
	for (uint32_t i = 1; i <= 2 * HOST_ANNOUNCEMENTS; i++)
		announcement_say(scene, scene->root, scene->host_link, i);
	taken = heap_bytes() - before;
	print_message("# %zu bytes at the root\n", taken);
	assert_int_equal(scene->held_by_root, HOST_ANNOUNCEMENTS);
	assert_in_range(taken, 0, HOST_BYTES);
}

/* As when they wait at the root's barrier. */
static void registrations_under_way_of_a_vm_leave_room_for_other_vms(void **state)
{
	struct scene *scene = *state;
	unsigned taken = 0;

	scene->root_keeps = true;
	for (unsigned pid = 0; taken < VM_REQUESTS; pid++)
		for (uint32_t link = process_add(scene, "vm1", pid); taken < VM_REQUESTS; taken++) {
			question_say(scene, link, 7);
			if (scene->outcome == TETHER__OUTCOME__OUTCOME_REFUSED)
				break;
		}
	assert_int_equal(scene->held_by_root, VM_REQUESTS);
	question_say(scene, process_add(scene, "vm1", 9999), 7);
	assert_string_equal(scene->reason, "too-many-requests");
	scene->root_keeps = false;
	another_vm_finds_room(scene);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_create, scene_destroy)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCENE_TEST(interests_of_a_guest_leave_room_for_other_vms),
	        SCENE_TEST(interests_of_many_processes_leave_room_for_other_vms),
	        SCENE_TEST(room_comes_back_with_what_is_let_go),
	        SCENE_TEST(registrations_under_way_of_a_vm_leave_room_for_other_vms),
	        SCENE_TEST(memory_for_all_that_a_vm_registers_is_limited),
	        SCENE_TEST(memory_for_all_that_a_host_registers_is_limited),
	        SCENE_TEST(links_that_come_and_go_leave_nothing_behind),
	};

	return cmocka_run_group_tests_name("notifier_quotas", tests, NULL, NULL);
}
