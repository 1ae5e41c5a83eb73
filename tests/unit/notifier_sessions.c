/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is kept of those who have shaken hands in full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "notifier/certificates/sessions.h"

static struct peer_identity host(unsigned number)
{
	struct peer_identity identity = {.role = PEER_HOST};

	snprintf(identity.name, sizeof(identity.name), "hyp%u", number);
	return identity;
}

static SSL_SESSION *session_make(uint32_t id)
{
	SSL_SESSION *session = SSL_SESSION_new();

	assert_int_equal(SSL_SESSION_set1_id(session, (unsigned char *)&id, sizeof(id)), 1);
	return session;
}

static void keep(struct sessions *sessions, const struct peer_identity *peer, uint32_t id)
{
	assert_int_equal(sessions_keep(sessions, peer, session_make(id)), 0);
}

static SSL_SESSION *find(const struct sessions *sessions, uint32_t id)
{
	return sessions_find(sessions, (unsigned char *)&id, sizeof(id));
}

static void each_is_found_by_its_number(void **state)
{
	struct sessions sessions = {0};

	for (uint32_t i = 0; i < 100; i++) {
		struct peer_identity peer = host(i);

		keep(&sessions, &peer, 7 * i);
	}
	for (uint32_t i = 0; i < 700; i++)
		assert_int_equal(!!find(&sessions, i), i % 7 == 0);
	assert_null(sessions_find(&sessions, (const unsigned char *)"", 0));
	assert_null(sessions_find(&sessions, (const unsigned char *)"\0\0\0\0\0", 5));
	sessions_clear(&sessions);
	assert_null(find(&sessions, 7));
}

/* However often it comes. */
static void of_each_holder_the_last_is_kept(void **state)
{
	struct peer_identity a = host(1), b = host(2), relay = a;
	struct sessions sessions = {0};

	relay.role = PEER_RELAY;
	keep(&sessions, &b, 1000);
	keep(&sessions, &relay, 1001);
	for (uint32_t i = 0; i < 100; i++)
		keep(&sessions, &a, i);
	assert_int_equal(sessions.count, 3);
	assert_null(find(&sessions, 98));
	assert_non_null(find(&sessions, 99));
	assert_non_null(find(&sessions, 1000));
	assert_non_null(find(&sessions, 1001));
	sessions_clear(&sessions);
}

static void nobody_takes_anothers_number(void **state)
{
	struct peer_identity a = host(1), b = host(2);
	SSL_SESSION *second = session_make(5);
	struct sessions sessions = {0};

	keep(&sessions, &a, 5);
	assert_int_not_equal(sessions_keep(&sessions, &b, second), 0);
	assert_ptr_not_equal(find(&sessions, 5), second);
	assert_int_equal(sessions.count, 1);
	SSL_SESSION_free(second);
	sessions_clear(&sessions);
}

static void one_whose_time_is_over_is_not_found(void **state)
{
	struct peer_identity a = host(1);
	struct sessions sessions = {0};
	SSL_SESSION *session;

	keep(&sessions, &a, 5);
	session = find(&sessions, 5);
	SSL_SESSION_set_timeout(session, 1000);
	SSL_SESSION_set_time(session, time(NULL) - 500);
	assert_non_null(find(&sessions, 5));
	SSL_SESSION_set_time(session, time(NULL) - 1001);
	assert_null(find(&sessions, 5));
	keep(&sessions, &a, 6);
	assert_non_null(find(&sessions, 6));
	sessions_clear(&sessions);
}

static void there_is_an_end_to_what_is_kept(void **state)
{
	struct sessions sessions = {0};

	for (uint32_t i = 0; i <= SESSIONS_MOST; i++) {
		struct peer_identity peer = host(i);

		keep(&sessions, &peer, i);
	}
	assert_int_equal(sessions.count, 1);
	assert_non_null(find(&sessions, SESSIONS_MOST));
	sessions_clear(&sessions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_is_found_by_its_number),
	        cmocka_unit_test(of_each_holder_the_last_is_kept),
	        cmocka_unit_test(nobody_takes_anothers_number),
	        cmocka_unit_test(one_whose_time_is_over_is_not_found),
	        cmocka_unit_test(there_is_an_end_to_what_is_kept),
	};

	return cmocka_run_group_tests_name("notifier_sessions", tests, NULL, NULL);
}
