/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_played_agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notifier/wire/gid_name.h"
#include "notifier/wire/rows.h"
#include "preload/agent_link.h"

enum { DEADLOCK_S = 20 };

static char directory[] = "/tmp/tether-link-XXXXXX";
char played_agent_path[sizeof(directory) + 16];

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

void agent_hangs_up(void)
{
	close(agent);
	frame_reader_clear(&from_process);
}

void agent_goes_for_good(void)
{
	close(listener);
	unlink(played_agent_path);
	agent_hangs_up();
	agent = -1;
}

bool agent_is_played(void)
{
	return agent >= 0;
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
	unsigned before = library_events();

	frame.body_case = TETHER__FRAME__BODY_EVENT;
	frame.event = &event;
	agent_says(&frame);
	while (library_events() == before)
		sched_yield();
}

void service_is_kept_busy(void)
{
	service_keeps_busy(true);
	agent_is_heard();
}

void service_goes_on(void)
{
	service_keeps_busy(false);
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
	snprintf(played_agent_path, sizeof(played_agent_path), "%s/vm1.sock", directory);
	strcpy(address.sun_path, played_agent_path);
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
	unlink(played_agent_path);
	return rmdir(directory);
}
