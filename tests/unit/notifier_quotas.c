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

#include "notifier/relay.h"

enum { LINKS_IN_ALL = 100000, LINKS_FIRST = 1000, SLACK_BYTES = 4096 };

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

static void interest_say(struct scene *scene, uint32_t link, uint32_t lid)
{
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	address.lid = lid;
	interest.request = 1;
	interest.address = &address;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	scene->outcome = TETHER__OUTCOME__OUTCOME_NONE;
	assert_int_equal(relay_child_frame(scene->host, link, &frame, 0), 0);
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

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_create, scene_destroy)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCENE_TEST(links_that_come_and_go_leave_nothing_behind),
	};

	return cmocka_run_group_tests_name("notifier_quotas", tests, NULL, NULL);
}
