/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The link to the agent, which is played here; the clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "notifier/wire/frame.h"

static int clock_read(clockid_t clock, struct timespec *now);
static int condition_wait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *until);
static void frame_written(const Tether__Frame *frame, uint8_t *at, size_t length);

/* The rooms under test, with their lock within reach. */
#define clock_gettime          clock_read
#define pthread_cond_timedwait condition_wait
#define frame_write            frame_written
#include "preload/agent_link.c"    /* NOLINT(bugprone-suspicious-include) */
#include "preload/agent_service.c" /* NOLINT(bugprone-suspicious-include) */
#include "preload/agent_socket.c"  /* NOLINT(bugprone-suspicious-include) */
#undef clock_gettime
#undef pthread_cond_timedwait
#undef frame_write

#include "notifier/wire/rows.h"
#include "preload/datagram_numbers.h"

enum { DEADLOCK_S = 20, LID = 7, QPN = 0x100, REAL_QPN = 0x200, LONG_S = 4000 };

/* Seconds that the library's clock is ahead. */
static atomic_int ahead_s;
/* How often somebody who waits has looked at the clock. */
static atomic_uint looks;
static atomic_uint events;
static atomic_bool packed_without_lock;

static int clock_read(clockid_t clock, struct timespec *now)
{
	int err = clock_gettime(clock, now);

	now->tv_sec += ahead_s;
	return err;
}

static int condition_wait(
        pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
	struct timespec at = *until;

	looks++;
	at.tv_sec -= ahead_s;
	return pthread_cond_timedwait(condition, mutex, &at);
}

static void frame_written(const Tether__Frame *frame, uint8_t *at, size_t length)
{
	if (frame->body_case == TETHER__FRAME__BODY_INTEREST &&
	        !pthread_mutex_trylock(&agent_link.lock)) {
		packed_without_lock = true;
		pthread_mutex_unlock(&agent_link.lock);
	}
	frame_write(frame, at, length);
}

/* ---- what the link leads to ---- */

void steps_event(Tether__Event *event, uint64_t now, steps_send *send, void *owner)
{
	tether__event__free_unpacked(event, NULL);
	events++;
}

int steps_tick(uint64_t now, steps_send *send, void *owner)
{
	return -1;
}

void steps_fill_hello(Tether__Hello *hello)
{
}

int steps_is_away(void)
{
	return 0;
}

void steps_forget(void)
{
}

static char directory[] = "/tmp/tether-link-XXXXXX";
static char socket_path[sizeof(directory) + 16];

struct context_list contexts = TAILQ_HEAD_INITIALIZER(contexts);

const struct settings *settings(void)
{
	static const struct settings here = {.agent_path = socket_path, .vm = "vm1"};

	return &here;
}

/* ---- the agent ---- */

static int listener, agent = -1;
static struct frame_reader from_process;

static Tether__Frame *agent_reads(void)
{
	Tether__Frame *frame;
	uint8_t *at;
	size_t room;
	ssize_t got;

	while (frame_reader_next(&from_process, &frame) <= 0) {
		assert_int_equal(frame_reader_room(&from_process, &at, &room), 0);
		got = read(agent, at, room);
		assert_true(got > 0);
		frame_reader_received(&from_process, (size_t)got);
	}
	return frame;
}

static void agent_says(const Tether__Frame *frame)
{
	uint8_t *bytes;
	size_t length;

	assert_int_equal(frame_encode(frame, &bytes, &length), 0);
	assert_int_equal(write(agent, bytes, length), length);
	free(bytes);
}

static void agent_welcomes(void)
{
	Tether__HelloAnswer answer = TETHER__HELLO_ANSWER__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT, *hello;

	agent = accept(listener, NULL, NULL);
	assert_true(agent >= 0);
	hello = agent_reads();
	assert_int_equal(hello->body_case, TETHER__FRAME__BODY_HELLO);
	frame_free(hello);
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	frame.body_case = TETHER__FRAME__BODY_HELLO_ANSWER;
	frame.hello_answer = &answer;
	agent_says(&frame);
}

static void agent_hangs_up(void)
{
	close(agent);
	frame_reader_clear(&from_process);
}

/* The number of the question that comes; with a GID, which one it names. */
static uint32_t agent_is_asked(uint8_t *gid)
{
	Tether__Frame *frame = agent_reads();
	uint32_t request;

	assert_int_equal(frame->body_case, TETHER__FRAME__BODY_INTEREST);
	assert_false(frame->interest->drop);
	request = frame->interest->request;
	if (gid) {
		assert_int_equal(frame->interest->address->gid.len, 16);
		memcpy(gid, frame->interest->address->gid.data, 16);
	}
	frame_free(frame);
	return request;
}

static void agent_answers(uint32_t request, Tether__Outcome outcome)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	struct qp_row row = {.local_lid = LID, .local_qpn = QPN, .real_qpn = REAL_QPN};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	answer.request = request;
	answer.outcome = outcome;
	if (outcome == TETHER__OUTCOME__OUTCOME_DONE) {
		assert_int_equal(qp_rows_append(&rows, &row), 0);
		answer.qps = &rows;
	}
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	agent_says(&frame);
	rows_clear(&rows.base);
}

/* What was said before has been heard. */
static void agent_is_heard(void)
{
	Tether__Event event = TETHER__EVENT__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;
	unsigned before = events;

	frame.body_case = TETHER__FRAME__BODY_EVENT;
	frame.event = &event;
	agent_says(&frame);
	while (events == before)
		sched_yield();
}

static void *start_link(void *unused)
{
	agent_link_start();
	return NULL;
}

static int group_setup(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	pthread_t thread;

	alarm(DEADLOCK_S);
	assert_non_null(mkdtemp(directory));
	snprintf(socket_path, sizeof(socket_path), "%s/vm1.sock", directory);
	strcpy(address.sun_path, socket_path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, start_link, NULL), 0);
	agent_welcomes();
	pthread_join(thread, NULL);
	return 0;
}

static int group_teardown(void **state)
{
	unlink(socket_path);
	return rmdir(directory);
}

/* ---- a thread that connects ---- */

struct asker {
	pthread_t thread;
	struct remote remote;
	bool is_handle;
	atomic_bool done;
};

static void *ask(void *at)
{
	struct asker *a = at;

	if (a->is_handle)
		agent_link_register_datagrams(&a->remote);
	else
		agent_link_register(&a->remote);
	a->done = true;
	return NULL;
}

static void begin(struct asker *a)
{
	if (!a->remote.qpn)
		a->remote = (struct remote){.lid = LID, .qpn = QPN, .real_qpn = QPN};
	assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

static void time_passes(int seconds)
{
	ahead_s += seconds;
}

/* It looks at the clock, again, and still waits; or it has come back. */
static bool is_waiting(const struct asker *a)
{
	unsigned before = looks;

	while (!a->done && looks - before < 3)
		sched_yield();
	return !a->done;
}

static void end(struct asker *a)
{
	pthread_join(a->thread, NULL);
	agent_link_forget(&a->remote);
	if (agent >= 0)
		frame_free(agent_reads()); /* the drop */
}

static void a_question_is_packed_before_its_asker_can_be_gone(void **state)
{
	struct asker a = {.remote = {.gid.raw = {0xfe, 0x80, 3}, .by_gid = true, .qpn = QPN}};
	uint8_t gid[16];

	begin(&a);
	agent_answers(agent_is_asked(gid), TETHER__OUTCOME__OUTCOME_DONE);
	assert_memory_equal(gid, a.remote.gid.raw, 16);
	end(&a);
	assert_false(packed_without_lock);
}

static void an_agent_that_says_nothing_is_not_waited_for_longer_than_a_migration(void **state)
{
	struct asker a = {0};

	begin(&a);
	agent_is_asked(NULL);
	assert_true(is_waiting(&a));
	time_passes(LONG_S);
	end(&a);
	assert_int_equal(a.remote.real_qpn, QPN);
}

static void a_migration_that_holds_a_question_is_waited_for_to_its_end(void **state)
{
	struct asker a = {0};
	uint32_t request;

	begin(&a);
	request = agent_is_asked(NULL);
	agent_answers(request, TETHER__OUTCOME__OUTCOME_NONE);
	agent_is_heard();
	time_passes(LONG_S);
	assert_true(is_waiting(&a));
	agent_answers(request, TETHER__OUTCOME__OUTCOME_DONE);
	end(&a);
	assert_int_equal(a.remote.real_qpn, REAL_QPN);
}

static void what_is_held_no_longer_is_waited_for_as_if_it_never_was(void **state)
{
	struct asker a = {0};
	uint32_t request;

	begin(&a);
	request = agent_is_asked(NULL);
	agent_answers(request, TETHER__OUTCOME__OUTCOME_NONE);
	agent_answers(request, TETHER__OUTCOME__OUTCOME_PARTIAL);
	agent_is_heard();
	assert_true(is_waiting(&a));
	time_passes(LONG_S);
	end(&a);
	assert_int_equal(a.remote.real_qpn, QPN);
}

/* ---- address handles ---- */

enum { HANDLES = 300, DATAGRAM_LID = 100 };

static struct remote datagrams_at(uint16_t lid)
{
	return (struct remote){.lid = lid, .real_lid = lid};
}

/* Asks, or need not. */
static void handle_is_made(uint16_t lid)
{
	struct remote remote = datagrams_at(lid);

	agent_link_register_datagrams(&remote);
}

static void handle_is_gone(uint16_t lid)
{
	struct remote remote = datagrams_at(lid);

	agent_link_forget(&remote);
}

static Tether__Frame *agent_hears_interest(void)
{
	Tether__Frame *frame = agent_reads();

	assert_int_equal(frame->body_case, TETHER__FRAME__BODY_INTEREST);
	return frame;
}

static uint32_t agent_is_asked_for_datagrams(uint32_t lid)
{
	Tether__Frame *frame = agent_hears_interest();
	uint32_t request = frame->interest->request;

	assert_true(frame->interest->datagrams);
	assert_false(frame->interest->drop);
	assert_int_equal(frame->interest->address->lid, lid);
	frame_free(frame);
	return request;
}

static void agent_hears_drop(uint32_t lid)
{
	Tether__Frame *frame = agent_hears_interest();

	assert_true(frame->interest->drop);
	assert_int_equal(frame->interest->address->lid, lid);
	frame_free(frame);
}

static void agent_answers_datagrams(uint32_t request, uint32_t lid, uint32_t real)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	struct qp_row row = {.local_lid = lid, .local_qpn = QPN, .real_qpn = real};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	answer.request = request;
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	assert_int_equal(qp_rows_append(&rows, &row), 0);
	answer.qps = &rows;
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	agent_says(&frame);
	rows_clear(&rows.base);
}

static void first_handle(uint16_t lid, uint32_t real)
{
	struct asker a = {.remote = {.lid = lid, .qpn = 0}, .is_handle = true};

	assert_int_equal(pthread_create(&a.thread, NULL, ask, &a), 0);
	agent_answers_datagrams(agent_is_asked_for_datagrams(lid), lid, real);
	pthread_join(a.thread, NULL);
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(lid), QPN), real);
}

static void only_the_first_handle_to_an_address_asks(void **state)
{
	first_handle(DATAGRAM_LID, REAL_QPN);
	for (int i = 0; i < 1000; i++) {
		handle_is_made(DATAGRAM_LID);
		handle_is_gone(DATAGRAM_LID);
	}
	handle_is_gone(DATAGRAM_LID);
	handle_is_made(DATAGRAM_LID);
	handle_is_gone(DATAGRAM_LID);
	/* The next that the agent hears is of another address. */
	first_handle(DATAGRAM_LID + 1, REAL_QPN);
	handle_is_gone(DATAGRAM_LID + 1);
}

/* A connection asks for one queue pair, and its answer says nothing of the others. */
static void a_connection_to_an_address_does_not_answer_for_handles(void **state)
{
	struct asker a = {.remote = {.lid = DATAGRAM_LID + 2, .qpn = QPN, .real_qpn = QPN}};

	begin(&a);
	agent_answers(agent_is_asked(NULL), TETHER__OUTCOME__OUTCOME_DONE);
	pthread_join(a.thread, NULL);
	first_handle(DATAGRAM_LID + 2, REAL_QPN);
	handle_is_gone(DATAGRAM_LID + 2);
	agent_link_forget(&a.remote);
}

/* What may have changed meanwhile is asked anew; a handle that is made meanwhile waits for it. */
static void after_another_link_numbers_are_asked_for_by_nobody(void **state)
{
	first_handle(DATAGRAM_LID + 3, REAL_QPN);
	agent_hangs_up();
	agent_welcomes();
	for (int i = 0; i < 4; i++) {
		Tether__Frame *frame = agent_hears_interest();

		assert_true(frame->interest->datagrams);
		agent_answers_datagrams(
		        frame->interest->request, frame->interest->address->lid, REAL_QPN + 1);
		frame_free(frame);
	}
	agent_is_heard();
	for (uint32_t lid = DATAGRAM_LID; lid < DATAGRAM_LID + 4; lid++)
		assert_int_equal(
		        datagram_number_to_real(datagram_numbers_at(lid), QPN), REAL_QPN + 1);
	handle_is_made(DATAGRAM_LID + 3);
	handle_is_gone(DATAGRAM_LID + 3);
	handle_is_gone(DATAGRAM_LID + 3);
}

/* Of addresses without handles those that were used last are kept, and what is not kept up to date
 * is not kept at all. */
static void what_nobody_has_used_for_long_is_dropped(void **state)
{
	uint16_t lid = DATAGRAM_LID + 4;

	for (int i = 0; i < HANDLES; i++, lid++) {
		first_handle(lid, REAL_QPN);
		handle_is_gone(lid);
		if (i < IDLE_MAX - 4)
			continue;
		agent_hears_drop((uint16_t)(lid - IDLE_MAX));
	}
	agent_is_heard();
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(DATAGRAM_LID), QPN), QPN);
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(lid - 1), QPN), REAL_QPN);
	first_handle(DATAGRAM_LID, REAL_QPN);
	handle_is_gone(DATAGRAM_LID);
	agent_hears_drop((uint16_t)(lid - IDLE_MAX));
}

/* ---- senders ---- */

enum { SENDER_LID = 0x1000, SENDERS = 1000 };

static void a_sender_is_of_interest_from_its_first_datagram_on(void **state)
{
	for (int i = 0; i < 3; i++)
		sender_is_known(SENDER_LID);
	agent_answers_datagrams(agent_is_asked_for_datagrams(SENDER_LID), SENDER_LID, REAL_QPN);
	agent_is_heard();
	sender_is_known(SENDER_LID);
	assert_int_equal(
	        datagram_number_to_virtual(datagram_numbers_at(SENDER_LID), REAL_QPN), QPN);
	/* Answered before it is sent to, it need not be asked for. */
	handle_is_made(SENDER_LID);
	handle_is_gone(SENDER_LID);
	/* Neither groups nor what has no LID. */
	sender_is_known(0);
	sender_is_known(0xffff);
	sender_is_known(SENDER_LID + 1);
	agent_answers_datagrams(
	        agent_is_asked_for_datagrams(SENDER_LID + 1), SENDER_LID + 1, REAL_QPN);
}

/* This one was asked for anew over another link, and dropped with its handles since. */
static void who_was_asked_for_anew_is_not_a_sender_yet(void **state)
{
	uint32_t lid = DATAGRAM_LID + 1;

	assert_false(sender_is_known(lid));
	agent_answers_datagrams(agent_is_asked_for_datagrams(lid), lid, REAL_QPN);
	agent_is_heard();
	assert_true(sender_is_known(lid));
	assert_int_equal(datagram_number_to_virtual(datagram_numbers_at(lid), REAL_QPN), QPN);
}

static void *hear_one(void *at)
{
	struct asker *a = at;

	if (!sender_is_known(a->remote.lid))
		agent_link_await_sender(a->remote.lid, monotonic_ms());
	a->done = true;
	return NULL;
}

static uint32_t begin_hearing(struct asker *a, uint32_t lid)
{
	a->remote.lid = lid;
	assert_int_equal(pthread_create(&a->thread, NULL, hear_one, a), 0);
	return agent_is_asked_for_datagrams(lid);
}

static void who_hears_a_stranger_waits_for_the_answer(void **state)
{
	struct asker a = {0};
	uint32_t lid = SENDER_LID + 2, request = begin_hearing(&a, lid);

	agent_is_heard();
	assert_false(a.done);
	agent_answers_datagrams(request, lid, REAL_QPN);
	pthread_join(a.thread, NULL);
	assert_int_equal(datagram_number_to_virtual(datagram_numbers_at(lid), REAL_QPN), QPN);
}

/* Its lock is the library's, and its completions are in hand. */
static void who_waits_is_not_cancelled_there(void **state)
{
	struct asker waits[2] = {{.remote = {.lid = LID, .qpn = QPN, .real_qpn = QPN}}};
	uint32_t lid = SENDER_LID + 7, requests[2];
	void *ended;

	begin(&waits[0]);
	requests[0] = agent_is_asked(NULL);
	requests[1] = begin_hearing(&waits[1], lid);
	for (int i = 0; i < 2; i++)
		pthread_cancel(waits[i].thread);
	agent_answers(requests[0], TETHER__OUTCOME__OUTCOME_DONE);
	agent_answers_datagrams(requests[1], lid, REAL_QPN);
	for (int i = 0; i < 2; i++) {
		pthread_join(waits[i].thread, &ended);
		assert_null(ended);
		assert_true(waits[i].done);
	}
	agent_link_forget(&waits[0].remote);
	frame_free(agent_reads()); /* the drop */
}

/* It would be for as long as the migration takes; what is said at its end is taken. */
static void who_hears_a_stranger_does_not_wait_for_a_migration(void **state)
{
	struct asker a = {0};
	uint32_t lid = SENDER_LID + 3, request = begin_hearing(&a, lid);

	agent_answers(request, TETHER__OUTCOME__OUTCOME_NONE);
	pthread_join(a.thread, NULL);
	agent_answers_datagrams(request, lid, REAL_QPN);
	agent_is_heard();
	assert_int_equal(datagram_number_to_virtual(datagram_numbers_at(lid), REAL_QPN), QPN);
}

/* It is not waited for by one sender after the other. */
static void an_agent_that_says_nothing_is_waited_for_once(void **state)
{
	uint32_t lids[] = {SENDER_LID + 4, SENDER_LID + 5}, requests[2];
	struct asker a = {0};
	unsigned before;

	for (int i = 0; i < 2; i++) {
		assert_false(sender_is_known(lids[i]));
		requests[i] = agent_is_asked_for_datagrams(lids[i]);
	}
	time_passes(LONG_S);
	agent_link_await_sender(lids[0], monotonic_ms() - ABSENT_MS);
	before = looks;
	agent_link_await_sender(lids[1], monotonic_ms());
	assert_int_equal(looks, before);
	for (int i = 0; i < 2; i++) {
		agent_answers_datagrams(requests[i], lids[i], REAL_QPN);
		agent_is_heard();
		assert_int_equal(
		        datagram_number_to_virtual(datagram_numbers_at(lids[i]), REAL_QPN), QPN);
	}
	/* Since it has said something it is waited for again. */
	requests[0] = begin_hearing(&a, SENDER_LID + 6);
	while (looks == before)
		sched_yield();
	agent_answers_datagrams(requests[0], SENDER_LID + 6, REAL_QPN);
	pthread_join(a.thread, NULL);
}

static void *hear_half(void *first)
{
	for (uint32_t i = *(uint32_t *)first; i < SENDERS; i += 2)
		sender_is_known(2u * SENDER_LID + i);
	return NULL;
}

static void agent_hears_nothing_more(void)
{
	Tether__Frame *frame;
	uint8_t byte;

	assert_int_equal(frame_reader_next(&from_process, &frame), 0);
	assert_int_equal(recv(agent, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
}

/* An agent refuses who asks too much at a time. */
static void agent_lets_wait(uint8_t *asked)
{
	uint32_t requests[UNDER_WAY_MAX], lids[UNDER_WAY_MAX];

	for (int i = 0; i < UNDER_WAY_MAX; i++) {
		Tether__Frame *frame = agent_hears_interest();

		requests[i] = frame->interest->request;
		lids[i] = frame->interest->address->lid;
		asked[lids[i] - 2 * SENDER_LID]++;
		frame_free(frame);
	}
	agent_is_heard();
	agent_hears_nothing_more();
	for (int i = 0; i < UNDER_WAY_MAX; i++)
		agent_answers_datagrams(requests[i], lids[i], REAL_QPN);
}

/* However many there are: none of them is dropped, since nobody would ask again. */
static void no_sender_is_forgotten(void **state)
{
	static uint8_t asked[SENDERS];
	uint32_t first[] = {0, 1};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hear_half, &first[i]), 0);
	agent_lets_wait(asked);
	for (int i = UNDER_WAY_MAX; i < SENDERS; i++) {
		Tether__Frame *frame = agent_hears_interest();
		uint32_t lid = frame->interest->address->lid;

		assert_true(frame->interest->datagrams);
		assert_in_range(lid, 2 * SENDER_LID, 2 * SENDER_LID + SENDERS - 1);
		assert_int_equal(asked[lid - 2 * SENDER_LID]++, 0);
		agent_answers_datagrams(frame->interest->request, lid, REAL_QPN);
		frame_free(frame);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	agent_is_heard();
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(
		        datagram_number_to_virtual(
		                datagram_numbers_at(2u * SENDER_LID + (uint32_t)i), REAL_QPN),
		        QPN);
}

/* Asked again over the next link, it may be held again. */
static void what_was_held_is_not_without_a_link(void **state)
{
	struct asker a = {0};
	uint32_t request;

	begin(&a);
	agent_answers(agent_is_asked(NULL), TETHER__OUTCOME__OUTCOME_NONE);
	agent_is_heard();
	agent_hangs_up();
	agent_welcomes();
	request = agent_is_asked(NULL);
	agent_answers(request, TETHER__OUTCOME__OUTCOME_NONE);
	agent_is_heard();
	time_passes(LONG_S);
	assert_true(is_waiting(&a));
	close(listener);
	unlink(socket_path);
	agent_hangs_up();
	assert_true(is_waiting(&a));
	agent = -1;
	time_passes(LONG_S);
	end(&a);
	assert_int_equal(a.remote.real_qpn, QPN);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_question_is_packed_before_its_asker_can_be_gone),
	        TEST(an_agent_that_says_nothing_is_not_waited_for_longer_than_a_migration),
	        TEST(a_migration_that_holds_a_question_is_waited_for_to_its_end),
	        TEST(what_is_held_no_longer_is_waited_for_as_if_it_never_was),
	        TEST(only_the_first_handle_to_an_address_asks),
	        TEST(a_connection_to_an_address_does_not_answer_for_handles),
	        TEST(after_another_link_numbers_are_asked_for_by_nobody),
	        TEST(what_nobody_has_used_for_long_is_dropped),
	        TEST(a_sender_is_of_interest_from_its_first_datagram_on),
	        TEST(who_was_asked_for_anew_is_not_a_sender_yet),
	        TEST(who_hears_a_stranger_waits_for_the_answer),
	        TEST(who_waits_is_not_cancelled_there),
	        TEST(who_hears_a_stranger_does_not_wait_for_a_migration),
	        TEST(an_agent_that_says_nothing_is_waited_for_once),
	        TEST(no_sender_is_forgotten),
	        TEST(what_was_held_is_not_without_a_link),
	};

	return cmocka_run_group_tests_name("shim_agent_link", tests, group_setup, group_teardown);
}
