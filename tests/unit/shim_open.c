/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Devices that are listed and opened before, in the middle of and after a move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "preload/objects.h"
#include "preload/steps.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_watched.h"

/* A deadlock ends the program: the rest of the tests cannot run in it. */
enum { DEADLOCK_S = 20 };

static struct harness harness;

static int setup(void **state)
{
	harness_begin(&harness, (struct harness){0});
	*state = &harness;
	alarm(DEADLOCK_S);
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	harness_close(*state);
	return 0;
}

static int setup_bare(void **state)
{
	memset(&harness, 0, sizeof(harness));
	harness.now_ms = 1000;
	*state = &harness;
	alarm(DEADLOCK_S);
	return 0;
}

static int teardown_bare(void **state)
{
	alarm(0);
	harness_forget_answers(*state);
	steps_forget();
	return 0;
}

static void to_slot(struct harness *h, int slot)
{
	fake.slot = -1;
	harness_time_passes(h, 20);
	fake.slot = slot;
}

static void come_back(struct harness *h, int slot)
{
	to_slot(h, slot);
	harness_arrive(h);
}

static struct ibv_device *real_device_of(struct ibv_context *context)
{
	return context_of(context)->real->device;
}

static bool stands_on(const struct ibv_context *context, const char *name)
{
	return !strcmp(real_device_of((struct ibv_context *)context)->name, name);
}

/* ---- a thread that opens ---- */

struct opener {
	struct ibv_device *device;
	struct ibv_context *context;
	int listed;
	struct watched thread;
};

static void *open_it(void *at)
{
	struct opener *o = at;

	o->context = ibv_open_device(o->device);
	return NULL;
}

/* It has got it, or it waits. */
static bool does_at_once(struct opener *o, void *(*what)(void *))
{
	watched_start(&o->thread, what, o);
	return watched_ends_at_once(&o->thread);
}

static bool opens_at_once(struct opener *o)
{
	return does_at_once(o, open_it);
}

static void *list_them(void *at)
{
	struct opener *o = at;

	ibv_free_device_list(ibv_get_device_list(&o->listed));
	return NULL;
}

/* ---- opening ---- */

static void who_opens_while_the_device_is_away_waits_and_gets_the_new_one(void **state)
{
	struct harness *h = *state;
	struct opener o = {.device = h->vm.context->device};
	unsigned opens;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	opens = fake.opens;
	assert_false(opens_at_once(&o));
	assert_int_equal(fake.opens, opens);
	come_back(h, 1);
	watched_join(&o.thread);
	assert_non_null(o.context);
	assert_true(stands_on(o.context, "fake1"));
	ibv_close_device(o.context);
}

static void *allocate_pd(void *at)
{
	struct opener *o = at;

	return ibv_alloc_pd(o->context);
}

/* The lock that it holds there is everybody's. */
static void who_waits_for_the_device_is_not_cancelled_there(void **state)
{
	struct harness *h = *state;
	struct opener o = {.context = h->vm.context};
	void *pd;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_false(does_at_once(&o, allocate_pd));
	pthread_cancel(o.thread.thread);
	come_back(h, 1);
	pd = watched_join(&o.thread);
	assert_true(watched_has_ended(&o.thread));
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

static void cancel_me(void)
{
	pthread_cancel(pthread_self());
	pthread_testcancel();
}

/* A write to the kernel, say. It would be waited for by every step. */
static void who_is_inside_a_verb_is_not_cancelled_there(void **state)
{
	struct harness *h = *state;
	struct opener o = {.context = h->vm.context};
	void *pd;

	fake.inside = cancel_me;
	watched_start(&o.thread, allocate_pd, &o);
	pd = watched_join(&o.thread);
	assert_true(watched_has_ended(&o.thread));
	harness_move(h);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

/* Nothing is open here, and nothing is there to be seen. */
static void who_lists_devices_while_the_vm_has_none_waits(void **state)
{
	struct opener meanwhile = {0};
	int before = -1;
	struct harness *h = *state;

	fake_reset();
	fake.peer_is_hidden = true;
	fake.slot = -1;
	ibv_free_device_list(ibv_get_device_list(&before));
	assert_int_equal(before, 0);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_false(does_at_once(&meanwhile, list_them));
	__atomic_store_n(&fake.slot, 1, __ATOMIC_RELAXED);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	watched_join(&meanwhile.thread);
	assert_int_equal(meanwhile.listed, 1);
	fake.peer_is_hidden = false;
}

static void who_opens_while_the_device_is_away_for_good_gets_enodev(void **state)
{
	struct harness *h = *state;
	struct opener o = {.device = h->vm.context->device};

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_false(opens_at_once(&o));
	fake.slot = -1;
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	watched_join(&o.thread);
	assert_null(o.context);
}

/* It has started where the VM arrives, and has heard no step but those that follow. */
static void who_starts_in_the_middle_of_a_move_opens_when_numbers_are_known(void **state)
{
	static const Tether__Step missed[] = {
	        TETHER__STEP__STEP_ATTACH, TETHER__STEP__STEP_RECONNECT, TETHER__STEP__STEP_RESUME};
	struct harness *h = *state;
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_device *device = h->vm.context->device;

	ibv_destroy_qp(h->vm.qp);
	h->vm.qp = NULL;
	ibv_destroy_qp(h->peer.qp);
	h->peer.qp = NULL;
	end_close(&h->vm);
	for (unsigned first = 0; first < 3; first++) {
		struct opener o = {.device = device};

		h->migration++;
		harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
		assert_false(opens_at_once(&o));
		for (unsigned i = first; i < 3; i++) {
			assert_false(watched_has_ended(&o.thread));
			harness_expect(h, missed[i], DONE);
		}
		watched_join(&o.thread);
		assert_non_null(o.context);
		ibv_close_device(o.context);
	}
	ibv_free_device_list(list);
	end_open(&h->vm, FAKE_LID_VM, false);
}

static void another_device_is_opened_meanwhile(void **state)
{
	struct harness *h = *state;
	struct ibv_context *context;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	context = ibv_open_device(h->peer.context->device);
	assert_non_null(context);
	ibv_close_device(context);
	come_back(h, 1);
}

/* Nothing of it was open at STOP: there is no other context to take after. */
static void what_is_opened_after_stop_goes_with_its_device(void **state)
{
	struct harness *h = *state;
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_device *device = h->vm.context->device;

	ibv_destroy_qp(h->vm.qp);
	h->vm.qp = NULL;
	end_close(&h->vm);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	h->vm.context = ibv_open_device(device);
	assert_int_equal(context_of(h->vm.context)->phase, PHASE_STOPPED);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_null(context_of(h->vm.context)->real);
	come_back(h, 1);
	assert_true(stands_on(h->vm.context, "fake1"));
	ibv_close_device(h->vm.context);
	ibv_free_device_list(list);
	end_open(&h->vm, FAKE_LID_VM, false);
}

static void what_was_closed_when_it_moved_is_opened_where_it_is(void **state)
{
	struct harness *h = *state;
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_device *device = h->vm.context->device;
	struct ibv_context *context;

	ibv_destroy_qp(h->vm.qp);
	h->vm.qp = NULL;
	end_close(&h->vm);
	to_slot(h, 2);
	context = ibv_open_device(device);
	assert_non_null(context);
	assert_true(stands_on(context, "fake2"));
	ibv_close_device(context);
	ibv_free_device_list(list);
	end_open(&h->vm, FAKE_LID_VM, false);
}

/* ---- lists ---- */

static int times_listed(const struct ibv_device *device, int *count)
{
	struct ibv_device **list = ibv_get_device_list(count);
	int times = 0;

	for (struct ibv_device **d = list; *d; d++)
		times += *d == device;
	ibv_free_device_list(list);
	return times;
}

static void a_device_is_listed_once_wherever_it_is(void **state)
{
	struct harness *h = *state;
	struct ibv_device *device = h->vm.context->device;
	int count;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = -1;
	assert_int_equal(times_listed(device, &count), 1);
	assert_int_equal(count, 2);
	fake.slot = 1;
	assert_int_equal(times_listed(device, &count), 1);
	assert_int_equal(count, 2);
	come_back(h, 1);
	assert_int_equal(times_listed(device, &count), 1);
	assert_int_equal(count, 2);
}

static void a_list_from_before_a_move_opens_the_device_of_after(void **state)
{
	struct harness *h = *state;
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_device *device = h->vm.context->device;
	struct ibv_context *context;

	harness_move(h);
	context = ibv_open_device(device);
	assert_non_null(context);
	assert_true(stands_on(context, "fake1"));
	ibv_close_device(context);
	ibv_free_device_list(list);
}

/* ---- who misses a step ---- */

static void who_missed_the_new_device_ends_with_errors(void **state)
{
	struct harness *h = *state;

	assert_int_equal(harness_write(h, 1), 0);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(context_of(h->vm.context)->phase, PHASE_LOST);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CONNECTED(who_opens_while_the_device_is_away_waits_and_gets_the_new_one),
	        CONNECTED(who_waits_for_the_device_is_not_cancelled_there),
	        CONNECTED(who_is_inside_a_verb_is_not_cancelled_there),
	        cmocka_unit_test_setup_teardown(
	                who_lists_devices_while_the_vm_has_none_waits, setup_bare, teardown_bare),
	        CONNECTED(who_opens_while_the_device_is_away_for_good_gets_enodev),
	        CONNECTED(who_starts_in_the_middle_of_a_move_opens_when_numbers_are_known),
	        CONNECTED(another_device_is_opened_meanwhile),
	        CONNECTED(what_is_opened_after_stop_goes_with_its_device),
	        CONNECTED(what_was_closed_when_it_moved_is_opened_where_it_is),
	        CONNECTED(a_device_is_listed_once_wherever_it_is),
	        CONNECTED(a_list_from_before_a_move_opens_the_device_of_after),
	        CONNECTED(who_missed_the_new_device_ends_with_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
