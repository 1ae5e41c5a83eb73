/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Links over TLS when what they were looked at with is read anew. */
#include <string.h>

#include "tests/unit/tls_link.h"

/* Both ends look at the list of revoked certificates. */
static void holders_make(struct tls_scene *scene)
{
	struct holder *smd = &scene->accepting.holder, *host = &scene->connecting.holder;

	holder_make(&scene->place, smd, "sm/smd");
	holder_make(&scene->place, host, "host/hyp1");
	holder_looks_at_crl(&scene->place, smd);
	holder_looks_at_crl(&scene->place, host);
}

static void ends_read(struct tls_scene *scene)
{
	tls_end_reads(&scene->accepting);
	tls_end_reads(&scene->connecting);
}

static void ends_make(struct tls_scene *scene)
{
	tls_scene_make(scene);
	holders_make(scene);
	ends_read(scene);
}

/* The CA of their certificates is below the one that both look at. */
static void ends_make_below(struct tls_scene *scene)
{
	tls_scene_make(scene);
	tls_place_put_below(&scene->place);
	holders_make(scene);
}

/* ---- a handshake that is under way ---- */

static void who_is_revoked_within_its_handshake_does_not_come_in(void **state)
{
	struct tls_scene scene;
	struct tls_end *end = &scene.accepting;

	ends_make(&scene);
	tls_connect(&scene);
	tls_run(&scene, &scene.accepted, 1);
	tls_place_revoke(&scene.place, &scene.connecting.holder);
	tls_end_reload(end);
	tls_run(&scene, &end->closed, 1);
	assert_string_equal(end->text, "its certificate is revoked (host/hyp1)");
	assert_int_equal(end->opened, 0);
	assert_int_equal(credentials_counts(end->credentials)->full, 0);
	assert_int_equal(credentials_counts(end->credentials)->refused[TLS_REFUSAL_REVOKED], 1);
	tls_scene_clear(&scene);
}

static void nor_does_who_has_a_session_to_resume(void **state)
{
	struct tls_scene scene;
	struct tls_end *end = &scene.accepting;

	ends_make(&scene);
	tls_open(&scene);
	tls_hear(&scene);
	connection_drop(scene.connecting.connection, "to come again");
	tls_run(&scene, &scene.accepted, 2);
	tls_place_revoke(&scene.place, &scene.connecting.holder);
	tls_end_reload(end);
	do /* the end of the link before may come first */
		tls_run(&scene, &end->closed, end->closed + 1);
	while (!strcmp(end->text, "end of stream"));
	assert_string_equal(end->text, "its certificate is revoked (host/hyp1)");
	assert_int_equal(end->opened, 1);
	assert_int_equal(credentials_counts(end->credentials)->resumed, 0);
	tls_scene_clear(&scene);
}

static void nor_is_a_parent_taken_that_is_revoked_meanwhile(void **state)
{
	struct tls_scene scene;
	struct tls_end *end = &scene.connecting;

	ends_make(&scene);
	tls_connect(&scene);
	tls_run(&scene, &scene.accepted, 1);
	tls_place_revoke(&scene.place, &scene.accepting.holder);
	tls_end_reload(end);
	tls_run(&scene, &end->failed, 1);
	assert_string_equal(end->text, "its certificate is revoked (sm/smd)");
	assert_int_equal(end->opened, 0);
	tls_scene_clear(&scene);
}

static void whoever_else_comes_in_all_the_same(void **state)
{
	struct tls_scene scene;

	ends_make(&scene);
	tls_connect(&scene);
	tls_run(&scene, &scene.accepted, 1);
	tls_end_reload(&scene.accepting);
	tls_end_reload(&scene.connecting);
	tls_run(&scene, &scene.accepting.opened, 1);
	tls_run(&scene, &scene.connecting.opened, 1);
	assert_int_equal(scene.accepting.closed, 0);
	tls_scene_clear(&scene);
}

/* ---- a CA between ---- */

static void reloaded_and_still_open(struct tls_scene *scene)
{
	tls_end_reload(&scene->accepting);
	tls_end_reload(&scene->connecting);
	assert_true(connection_is_open(scene->accepting.connection));
	assert_true(connection_is_open(scene->connecting.connection));
}

static void who_has_shown_a_ca_between_keeps_its_link(void **state)
{
	struct tls_scene scene;

	ends_make_below(&scene);
	ends_read(&scene);
	tls_open(&scene);
	reloaded_and_still_open(&scene);
	tls_reconnect(&scene);
	tls_reconnect(&scene); /* both sessions bring the one between */
	tls_run(&scene, &scene.connecting.opened, 3);
	assert_int_equal(credentials_counts(scene.accepting.credentials)->resumed, 1);
	reloaded_and_still_open(&scene);
	tls_place_revoke(&scene.place, &scene.connecting.holder);
	tls_end_reload(&scene.accepting);
	tls_run(&scene, &scene.accepting.closed, scene.accepting.closed + 1);
	assert_string_equal(scene.accepting.text, "its certificate is revoked (host/hyp1)");
	tls_scene_clear(&scene);
}

/* The connecting end keeps what the other one has shown. */
static void so_does_who_has_resumed_where_that_ca_is_known(void **state)
{
	struct tls_scene scene;

	ends_make_below(&scene);
	holder_looks_at_both(&scene.place, &scene.accepting.holder);
	ends_read(&scene);
	tls_open(&scene);
	tls_reconnect(&scene);
	tls_reconnect(&scene);
	tls_run(&scene, &scene.connecting.opened, 3);
	assert_int_equal(credentials_counts(scene.accepting.credentials)->resumed, 2);
	reloaded_and_still_open(&scene);
	tls_scene_clear(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_is_revoked_within_its_handshake_does_not_come_in),
	        cmocka_unit_test(nor_does_who_has_a_session_to_resume),
	        cmocka_unit_test(nor_is_a_parent_taken_that_is_revoked_meanwhile),
	        cmocka_unit_test(whoever_else_comes_in_all_the_same),
	        cmocka_unit_test(who_has_shown_a_ca_between_keeps_its_link),
	        cmocka_unit_test(so_does_who_has_resumed_where_that_ca_is_known),
	};

	return cmocka_run_group_tests_name("notifier_tls_reload", tests, NULL, NULL);
}
