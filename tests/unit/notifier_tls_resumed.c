/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Links over TLS that come again. */
#include <string.h>
#include <unistd.h>

#include "tests/unit/tls_link.h"

enum { HOUR_S = 3600 };

static void counted(const struct tls_scene *scene, uint64_t full, uint64_t resumed)
{
	const struct credentials_counts *counts = credentials_counts(scene->accepting.credentials);

	assert_int_equal(counts->full, full);
	assert_int_equal(counts->resumed, resumed);
	counts = credentials_counts(scene->connecting.credentials);
	assert_int_equal(counts->full, full);
	assert_int_equal(counts->resumed, resumed);
}

static void a_session_is_resumed_each_time(void **state)
{
	struct tls_scene scene;

	tls_scene_of(&scene, "host/hyp1");
	tls_open(&scene);
	counted(&scene, 1, 0);
	for (unsigned i = 1; i <= 5; i++) {
		tls_reconnect(&scene);
		assert_int_equal(scene.accepting.peer.role, PEER_HOST);
		assert_string_equal(scene.accepting.peer.name, "hyp1");
		counted(&scene, 1, i);
	}
	/* Neither end resumes what began before its last reload. */
	tls_end_reload(&scene.accepting);
	tls_reconnect(&scene);
	counted(&scene, 2, 5);
	tls_end_reload(&scene.connecting); /* what can be resumed is still to be read */
	tls_reconnect(&scene);
	counted(&scene, 3, 5);
	tls_hear(&scene);
	tls_end_reload(&scene.connecting); /* it has been read */
	tls_reconnect(&scene);
	counted(&scene, 4, 5);
	tls_reconnect(&scene);
	counted(&scene, 4, 6);
	tls_scene_clear(&scene);
}

/* As where a thousand come at once, and links end before anything is said. */
static void nor_has_it_to_be_told_of_another(void **state)
{
	struct tls_scene scene;

	tls_scene_of(&scene, "host/hyp1");
	tls_open(&scene);
	tls_hear(&scene);
	for (unsigned i = 1; i <= 5; i++) {
		unsigned opened = scene.accepting.opened;

		tls_run(&scene, &scene.connecting.opened, i);
		connection_drop(scene.connecting.connection, "to come again");
		tls_run(&scene, &scene.accepting.opened, opened + 1);
	}
	assert_int_equal(credentials_counts(scene.accepting.credentials)->full, 1);
	assert_int_equal(credentials_counts(scene.accepting.credentials)->resumed, 5);
	tls_scene_clear(&scene);
}

/* Its certificate was looked at when the session began, and was good then. */
static void a_session_is_not_resumed_with_what_has_expired(void **state)
{
	struct tls_scene scene;
	struct holder *host = &scene.connecting.holder;

	tls_scene_make(&scene);
	tls_end_becomes(&scene.accepting, "sm/smd");
	holder_make_dated(&scene.place, host, "host/hyp1", -HOUR_S, 10);
	tls_end_reads(&scene.connecting);
	tls_open(&scene);
	tls_reconnect(&scene);
	counted(&scene, 1, 1);
	while (X509_cmp_current_time(X509_get0_notAfter(host->certificate)) >= 0)
		usleep(10000);
	tls_hear(&scene);
	connection_drop(scene.connecting.connection, "to come again");
	do /* the end of the link before may come first */
		tls_run(&scene, &scene.accepting.closed, scene.accepting.closed + 1);
	while (!strcmp(scene.accepting.text, "end of stream"));
	assert_string_equal(scene.accepting.text, "its certificate has expired (host/hyp1)");
	assert_int_equal(scene.accepting.opened, 2);
	tls_scene_clear(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_session_is_resumed_each_time),
	        cmocka_unit_test(nor_has_it_to_be_told_of_another),
	        cmocka_unit_test(a_session_is_not_resumed_with_what_has_expired),
	};

	return cmocka_run_group_tests_name("notifier_tls_resumed", tests, NULL, NULL);
}
