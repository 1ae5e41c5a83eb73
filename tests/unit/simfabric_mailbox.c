/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "simfabric/clients.h"
#include "simfabric/mad_fields.h"
#include "simfabric/mailbox.h"
#include "simfabric/process.h"
#include "unit/simfabric_fixture.h"

enum { PORT = 3 };

static struct fabric *fabric;
static uint32_t box;

static int open_mailbox(void **state)
{
	fabric = fixture_open();
	if (!fabric || client_join(fabric))
		return -1;
	return mailbox_open(fabric, PORT, &box);
}

static int close_mailbox(void **state)
{
	fixture_close(fabric);
	return 0;
}

static struct agent agent_for(uint8_t mgmt_class, uint8_t version, uint64_t methods)
{
	return (struct agent){
	        .mgmt_class = mgmt_class, .class_version = version, .methods = {methods}};
}

static uint32_t post(const char *text)
{
	uint32_t message = message_create(fabric, text, strlen(text) + 1);

	assert_true(mailbox_post(fabric, box, message));
	return message;
}

static void assert_next(const char *text)
{
	char read[64];
	uint32_t message = mailbox_take(fabric, box);

	assert_int_not_equal(message, NO_INDEX);
	message_read(fabric, message, read, sizeof(read));
	assert_string_equal(read, text);
	message_free(fabric, message);
}

static void messages_come_out_in_their_order(void **state)
{
	post("one");
	post("two");
	assert_next("one");
	post("three");
	assert_next("two");
	assert_next("three");
	assert_int_equal(mailbox_take(fabric, box), NO_INDEX);
	assert_int_equal(message_chunks_used(fabric), 0);
}

static void long_message_is_whole_and_gives_all_chunks_back(void **state)
{
	static const size_t sizes[] = {1, MESSAGE_FIRST_BYTES - 1, MESSAGE_FIRST_BYTES,
	        MESSAGE_FIRST_BYTES + 1, MESSAGE_FIRST_BYTES + 376, MESSAGE_FIRST_BYTES + 377,
	        100000, MESSAGE_MAX_BYTES};
	uint8_t *from = malloc(MESSAGE_MAX_BYTES), *into = malloc(MESSAGE_MAX_BYTES);

	for (size_t i = 0; i < MESSAGE_MAX_BYTES; i++)
		from[i] = (uint8_t)(i * 2654435761u >> 13);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t message = message_create(fabric, from, sizes[i]);

		assert_int_not_equal(message, NO_INDEX);
		memset(into, 0, sizes[i]);
		message_read(fabric, message, into, MESSAGE_MAX_BYTES);
		assert_memory_equal(into, from, sizes[i]);
		message_free(fabric, message);
		assert_int_equal(message_chunks_used(fabric), 0);
	}
	free(from);
	free(into);
}

static void message_beyond_the_largest_or_the_arena_is_refused(void **state)
{
	uint8_t *large = calloc(1, MESSAGE_MAX_BYTES + 1);
	unsigned count = 0;

	assert_int_equal(message_create(fabric, large, MESSAGE_MAX_BYTES + 1), NO_INDEX);
	while (message_create(fabric, large, MESSAGE_MAX_BYTES) != NO_INDEX)
		count++;
	assert_in_range(count, 6, MESSAGES_ARENA_BYTES / MESSAGE_MAX_BYTES);
	free(large);
}

static void full_queue_drops_and_counts(void **state)
{
	uint8_t *large = calloc(1, MESSAGE_MAX_BYTES);

	for (unsigned i = 0; i < MAILBOX_MAX_QUEUED_BYTES / MESSAGE_MAX_BYTES; i++)
		assert_true(mailbox_post(
		        fabric, box, message_create(fabric, large, MESSAGE_MAX_BYTES)));
	assert_false(mailbox_post(fabric, box, message_create(fabric, large, 1)));
	assert_int_equal(mailbox_at(fabric, box)->dropped, 1);
	message_free(fabric, mailbox_take(fabric, box));
	post("again");
	free(large);
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void fifo_is_readable_while_messages_may_wait(void **state)
{
	char path[PATH_MAX];
	int fifo;

	fabric_side_path(fabric, "wake", box, path, sizeof(path));
	assert_int_equal(mkfifo(path, 0600), 0);
	fifo = open(path, O_RDWR | O_NONBLOCK);
	assert_false(is_readable(fifo));
	post("one");
	assert_true(is_readable(fifo));
	assert_next("one");
	mailbox_sleep(fabric, box, fifo);
	assert_false(is_readable(fifo));
	post("two");
	post("three");
	assert_true(is_readable(fifo));
	close(fifo);
}

static void taken_method_cannot_be_registered_again(void **state)
{
	struct agent sa = agent_for(3, 2, 1 << 1 | 1 << 2), other = agent_for(3, 2, 1 << 2);
	struct agent client = agent_for(3, 2, 0), version = agent_for(3, 1, 1 << 2);

	assert_int_equal(agent_register(fabric, box, &sa), 0);
	assert_int_equal(agent_register(fabric, box, &other), -EINVAL);
	assert_int_equal(agent_register(fabric, box, &client), 1);
	assert_int_equal(agent_register(fabric, box, &version), 2);
	assert_int_equal(agent_unregister(fabric, box, 0), 0);
	assert_int_equal(agent_register(fabric, box, &other), 0);
	assert_int_equal(agent_unregister(fabric, box, 31), -EINVAL);
	assert_int_equal(agent_unregister(fabric, box, 32), -EINVAL);
}

static void vendors_share_a_class_by_their_oui(void **state)
{
	struct agent a = agent_for(0x32, 1, 1 << 1), b = a;
	uint8_t mad[256] = {1, 0x32, 1, METHOD_SUBN_GET};
	uint32_t mailbox;
	unsigned id;

	a.oui[2] = 7;
	b.oui[2] = 8;
	assert_int_equal(agent_register(fabric, box, &a), 0);
	assert_int_equal(agent_register(fabric, box, &b), 1);
	mad[39] = 8;
	assert_true(agent_of_request(fabric, PORT, mad, sizeof(mad), &mailbox, &id));
	assert_int_equal(id, 1);
	mad[39] = 9;
	assert_false(agent_of_request(fabric, PORT, mad, sizeof(mad), &mailbox, &id));
	assert_false(agent_of_request(fabric, PORT, mad, 30, &mailbox, &id));
}

static void response_finds_its_agent_until_that_is_gone(void **state)
{
	struct agent client = agent_for(3, 2, 0);
	uint64_t tid;
	uint32_t mailbox;
	unsigned id;

	agent_register(fabric, box, &client);
	agent_register(fabric, box, &client);
	tid = (uint64_t)agent_tid_high(fabric, box, 1) << 32 | 5;
	assert_true(agent_of_response(fabric, PORT, tid, &mailbox, &id));
	assert_int_equal(mailbox, box);
	assert_int_equal(id, 1);
	assert_false(agent_of_response(fabric, PORT + 1, tid, &mailbox, &id));
	mailbox_close(fabric, box);
	assert_int_equal(mailbox_open(fabric, PORT, &mailbox), 0);
	assert_int_equal(mailbox, box);
	agent_register(fabric, box, &client);
	agent_register(fabric, box, &client);
	assert_false(agent_of_response(fabric, PORT, tid, &mailbox, &id));
	for (unsigned bit = 0; bit < 64; bit++)
		agent_of_response(fabric, PORT, 1ull << bit, &mailbox, &id);
}

static void thirty_two_agents_and_no_more(void **state)
{
	struct agent client = agent_for(3, 2, 0);

	for (int i = 0; i < MAILBOX_AGENTS; i++)
		assert_int_equal(agent_register(fabric, box, &client), i);
	assert_int_equal(agent_register(fabric, box, &client), -ENOMEM);
}

static void recovery_cuts_what_does_not_hold_together(void **state)
{
	uint32_t first = post("one");

	post("two");
	message_create(fabric, "lost", 5);
	message_at(fabric, first)->next = 0x7fffffff;
	mailboxes_recover(fabric);
	assert_int_equal(message_chunks_used(fabric), 1);
	assert_next("one");
	assert_int_equal(mailbox_take(fabric, box), NO_INDEX);
	post("three");
	assert_next("three");
}

static void recovered_queue_goes_on_at_its_end(void **state)
{
	post("one");
	post("two");
	mailbox_at(fabric, box)->tail = 0;
	mailboxes_recover(fabric);
	post("three");
	assert_next("one");
	assert_next("two");
	assert_next("three");
	assert_int_equal(mailbox_at(fabric, box)->queued_bytes, 0);
}

static void recovery_breaks_a_ring(void **state)
{
	uint32_t first = post("one"), second = post("two");

	message_at(fabric, second)->next = first + 1;
	mailboxes_recover(fabric);
	assert_next("one");
	assert_next("two");
	assert_int_equal(mailbox_take(fabric, box), NO_INDEX);
}

static void dead_clients_mailbox_is_given_back(void **state)
{
	struct fabric *other;
	uint32_t theirs, message;

	assert_int_equal(fabric_open(fabric->path, &other), 0);
	assert_int_equal(client_join(other), 0);
	assert_int_equal(mailbox_open(other, PORT, &theirs), 0);
	message = message_create(other, "x", 2);
	mailbox_post(other, theirs, message);
	assert_int_equal(clients_reap(fabric), 0);
	close(other->fd); /* all that remains of a killed process */
	other->fd = -1;
	assert_int_equal(clients_reap(fabric), 1);
	assert_false(mailbox_at(fabric, theirs)->is_used);
	assert_int_equal(message_chunks_used(fabric), 0);
	assert_int_equal(mailbox_first(fabric, PORT), box + 1);
	other->client = NO_INDEX;
	fabric_close(other);
}

/* Joins the fabric, then has a child of its own that says it is there and waits for the end. */
static void be_a_parent_that_dies(const char *path, int from_test, int to_test)
{
	struct fabric *own;
	char byte;

	setenv("SIMFABRIC", path, 1);
	if (process_fabric(&own) || client_join(own))
		_exit(1);
	if (fork())
		kill(getpid(), SIGKILL);
	if (write(to_test, "", 1) == 1)
		while (read(from_test, &byte, 1) < 0)
			;
	_exit(0);
}

static void child_does_not_keep_its_dead_parents_row(void **state)
{
	int down[2], up[2], status;
	pid_t parent;
	char byte;

	assert_int_equal(pipe(down), 0);
	assert_int_equal(pipe(up), 0);
	parent = fork();
	if (!parent) {
		close(down[1]);
		be_a_parent_that_dies(fabric->path, down[0], up[1]);
	}
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(read(up[0], &byte, 1), 1);
	assert_int_equal(clients_reap(fabric), 1);
	close(down[0]);
	close(down[1]); /* the grandchild ends */
	close(up[0]);
	close(up[1]);
}

#define on_mailbox(test) cmocka_unit_test_setup_teardown(test, open_mailbox, close_mailbox)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_mailbox(messages_come_out_in_their_order),
	        on_mailbox(long_message_is_whole_and_gives_all_chunks_back),
	        on_mailbox(message_beyond_the_largest_or_the_arena_is_refused),
	        on_mailbox(full_queue_drops_and_counts),
	        on_mailbox(fifo_is_readable_while_messages_may_wait),
	        on_mailbox(taken_method_cannot_be_registered_again),
	        on_mailbox(vendors_share_a_class_by_their_oui),
	        on_mailbox(response_finds_its_agent_until_that_is_gone),
	        on_mailbox(thirty_two_agents_and_no_more),
	        on_mailbox(recovery_cuts_what_does_not_hold_together),
	        on_mailbox(recovered_queue_goes_on_at_its_end),
	        on_mailbox(recovery_breaks_a_ring),
	        on_mailbox(dead_clients_mailbox_is_given_back),
	        on_mailbox(child_does_not_keep_its_dead_parents_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
