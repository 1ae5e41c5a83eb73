/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_played_agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
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

#include "notifier/wire/gid_name.h"
#include "notifier/wire/rows.h"
#include "preload/datagram_numbers.h"

enum { DEADLOCK_S = 20 };

/* What the process heard of connections that have ended at their other ends. */
static struct pair_names parted_from;
static atomic_uint partings;

bool connection_parted(const struct pair_names *names)
{
	parted_from = *names;
	partings++;
	return true;
}

int64_t connection_listeners_tick(uint64_t now_ms)
{
	return -1;
}

_Static_assert((int)LIBRARY_ABSENT_MS == (int)ABSENT_MS, "as agent_link.c has it");

/* Seconds that the library's clock is ahead. */
static atomic_int ahead_s;
/* How often somebody who waits has looked at the clock. */
static atomic_uint looks;
static atomic_uint events;
static atomic_bool packed_without_lock;
static atomic_bool is_kept_busy;

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

bool was_packed_without_lock(void)
{
	return packed_without_lock;
}

unsigned looks_at_clock(void)
{
	return looks;
}

uint64_t library_ms(void)
{
	return monotonic_ms();
}

void time_passes(int seconds)
{
	ahead_s += seconds;
}

/* ---- what the link leads to ---- */

void steps_event(Tether__Event *event, uint64_t now, steps_send *send, void *owner)
{
	tether__event__free_unpacked(event, NULL);
	events++;
	while (is_kept_busy)
		sched_yield();
}

int64_t steps_tick(uint64_t now, steps_send *send, void *owner)
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

int lost_devices_begin(void)
{
	return 0;
}

int lost_devices_fd(void)
{
	return -1;
}

void lost_devices_forget(void)
{
}

int64_t lost_devices_tick(uint64_t now_ms)
{
	return -1;
}

void address_routes_turn(void)
{
}

void datagram_questions_turn(void)
{
}

int datagram_questions_are_open(void)
{
	return 0;
}

void datagram_questions_forget(void)
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

uint32_t agent_version;
static int listener, agent = -1;
static struct frame_reader from_process;

Tether__Frame *agent_reads(void)
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

Tether__Frame *agent_reads_hello(void)
{
	Tether__Frame *hello;

	agent = accept(listener, NULL, NULL);
	assert_true(agent >= 0);
	hello = agent_reads();
	assert_int_equal(hello->body_case, TETHER__FRAME__BODY_HELLO);
	return hello;
}

void agent_hears_hello(void)
{
	Tether__Frame *hello = agent_reads_hello();

	assert_int_equal(hello->hello->version, TETHER__PROTOCOL__PROTOCOL_OLDEST);
	assert_int_equal(hello->hello->newest, TETHER__PROTOCOL__PROTOCOL_VERSION);
	frame_free(hello);
}

void agent_answers_hello(Tether__Outcome outcome)
{
	Tether__HelloAnswer answer = TETHER__HELLO_ANSWER__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	answer.outcome = outcome;
	answer.version = agent_version;
	frame.body_case = TETHER__FRAME__BODY_HELLO_ANSWER;
	frame.hello_answer = &answer;
	agent_says(&frame);
}

void agent_welcomes(void)
{
	agent_hears_hello();
	agent_answers_hello(TETHER__OUTCOME__OUTCOME_DONE);
}

uint64_t agent_is_away_since(void)
{
	LOCK_GUARD(&agent_link.lock);
	return agent_link.absent_since_ms;
}

void agent_hangs_up(void)
{
	close(agent);
	frame_reader_clear(&from_process);
}

void agent_goes_for_good(void)
{
	close(listener);
	unlink(socket_path);
	agent_hangs_up();
	agent = -1;
}

uint32_t agent_is_asked(uint8_t *gid)
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

void agent_hears_parting(const struct pair_names *names)
{
	Tether__Frame *frame = agent_reads();

	assert_int_equal(frame->body_case, TETHER__FRAME__BODY_PARTING);
	assert_int_equal(frame->parting->local_lid, names->local_lid);
	assert_int_equal(frame->parting->local_qpn, names->local_qpn);
	assert_int_equal(frame->parting->remote_lid, names->remote_lid);
	assert_int_equal(frame->parting->remote_qpn, names->remote_qpn);
	frame_free(frame);
}

void agent_tells_parting(const struct pair_names *names)
{
	Tether__Parting parting = TETHER__PARTING__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	parting.local_lid = names->local_lid;
	parting.local_qpn = names->local_qpn;
	parting.remote_lid = names->remote_lid;
	parting.remote_qpn = names->remote_qpn;
	frame.body_case = TETHER__FRAME__BODY_PARTING;
	frame.parting = &parting;
	agent_says(&frame);
}

unsigned partings_heard(struct pair_names *last)
{
	*last = parted_from;
	return partings;
}

static bool vm_moves, last_has_heard;

static void answer_interest(uint32_t request, Tether__Outcome outcome, uint32_t lid, uint32_t real)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	struct qp_row row = {.local_lid = lid, .local_qpn = QPN, .real_qpn = real};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	answer.request = request;
	answer.outcome = outcome;
	if (outcome == TETHER__OUTCOME__OUTCOME_DONE) {
		assert_int_equal(qp_rows_append(&rows, &row), 0);
		answer.qps = &rows;
		answer.moving = vm_moves;
	}
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	agent_says(&frame);
	rows_clear(&rows.base);
}

void agent_answers_rows(uint32_t request, Tether__QpRows *rows, Tether__GidRows *gids)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	answer.request = request;
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	answer.qps = rows;
	answer.gids = gids;
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	agent_says(&frame);
}

void agent_answers(uint32_t request, Tether__Outcome outcome)
{
	answer_interest(request, outcome, LID, REAL_QPN);
}

void agent_refuses(uint32_t request, const char *reason)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT, *refusals[] = {&refusal};
	Tether__Frame frame = TETHER__FRAME__INIT;

	refusal.reason = (char *)reason;
	answer.request = request;
	answer.outcome = TETHER__OUTCOME__OUTCOME_REFUSED;
	answer.refusals = refusals;
	answer.n_refusals = 1;
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	agent_says(&frame);
}

void agent_has_no_room(uint32_t request)
{
	agent_refuses(request, "too-many-interests");
}

Tether__Frame *agent_hears_interest(void)
{
	Tether__Frame *frame = agent_reads();

	assert_int_equal(frame->body_case, TETHER__FRAME__BODY_INTEREST);
	return frame;
}

uint32_t agent_is_asked_for_datagrams(uint32_t lid)
{
	Tether__Frame *frame = agent_hears_interest();
	uint32_t request = frame->interest->request;

	assert_true(frame->interest->datagrams);
	assert_false(frame->interest->drop);
	assert_int_equal(frame->interest->address->lid, lid);
	last_has_heard = frame->interest->heard;
	frame_free(frame);
	return request;
}

uint32_t agent_is_asked_for_gid(const union ibv_gid *gid)
{
	Tether__Frame *frame = agent_hears_interest();
	const Tether__Address *address = frame->interest->address;
	uint32_t request = frame->interest->request;

	assert_true(frame->interest->datagrams);
	assert_false(frame->interest->drop);
	assert_int_equal(address->gid.len, sizeof(*gid));
	assert_memory_equal(address->gid.data, gid, sizeof(*gid));
	assert_int_equal(address->lid, gid_name(gid->raw));
	last_has_heard = frame->interest->heard;
	frame_free(frame);
	return request;
}

bool who_asked_has_heard(void)
{
	return last_has_heard;
}

void agent_hears_drop(uint32_t lid)
{
	Tether__Frame *frame = agent_hears_interest();

	assert_true(frame->interest->drop);
	assert_int_equal(frame->interest->address->lid, lid);
	frame_free(frame);
}

void agent_hears_nothing_more(void)
{
	Tether__Frame *frame;
	uint8_t byte;

	assert_int_equal(frame_reader_next(&from_process, &frame), 0);
	assert_int_equal(recv(agent, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
}

void agent_answers_datagrams(uint32_t request, uint32_t lid, uint32_t real)
{
	answer_interest(request, TETHER__OUTCOME__OUTCOME_DONE, lid, real);
}

void agent_answers_in_a_move(uint32_t request, uint32_t lid, uint32_t real)
{
	vm_moves = true;
	agent_answers_datagrams(request, lid, real);
	vm_moves = false;
}

void agent_is_heard(void)
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

void service_is_kept_busy(void)
{
	is_kept_busy = true;
	agent_is_heard();
}

void service_goes_on(void)
{
	is_kept_busy = false;
}

static void *start_link(void *unused)
{
	agent_link_start();
	return NULL;
}

int agent_setup(void **state)
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

int agent_teardown(void **state)
{
	unlink(socket_path);
	return rmdir(directory);
}

/* ---- threads of the process ---- */

static void *asker_run(void *at)
{
	struct asker *a = at;

	if (a->is_handle)
		agent_link_register_datagrams(&a->remote);
	else
		agent_link_register(&a->remote);
	a->done = true;
	return NULL;
}

void asker_begin(struct asker *a)
{
	if (!a->remote.qpn)
		a->remote = (struct remote){.lid = LID, .qpn = QPN, .real_qpn = QPN};
	assert_int_equal(pthread_create(&a->thread, NULL, asker_run, a), 0);
}

bool asker_is_waiting(const struct asker *a)
{
	unsigned before = looks;

	while (!a->done && looks - before < 3)
		sched_yield();
	return !a->done;
}

void asker_end(struct asker *a)
{
	pthread_join(a->thread, NULL);
	agent_link_forget(&a->remote);
	if (agent >= 0)
		frame_free(agent_reads()); /* the drop */
}

static struct remote datagrams_at(uint16_t lid)
{
	return (struct remote){.lid = lid, .real_lid = lid};
}

void handle_is_made(uint16_t lid)
{
	struct remote remote = datagrams_at(lid);

	agent_link_register_datagrams(&remote);
}

void handle_is_gone(uint16_t lid)
{
	struct remote remote = datagrams_at(lid);

	agent_link_forget(&remote);
}

void first_handle(uint16_t lid, uint32_t real)
{
	struct asker a = {.remote = {.lid = lid, .qpn = 0}, .is_handle = true};

	assert_int_equal(pthread_create(&a.thread, NULL, asker_run, &a), 0);
	agent_answers_datagrams(agent_is_asked_for_datagrams(lid), lid, real);
	pthread_join(a.thread, NULL);
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(lid), QPN), real);
}
