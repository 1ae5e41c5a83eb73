/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Links over TLS when what they were looked at with is read anew. */
#include <string.h>

#include "tests/unit/tls_link.h"

/* An accepting and a connecting end that look at the list of revoked certificates. */
struct ends {
	struct holder smd, host;
	struct tls_scene scene;
};

static void ends_make(struct ends *ends)
{
	struct tls_scene *scene = &ends->scene;

	tls_scene_make(scene);
	holder_make(&scene->place, &ends->smd, "sm/smd");
	holder_make(&scene->place, &ends->host, "host/hyp1");
	holder_looks_at_crl(&scene->place, &ends->smd);
	holder_looks_at_crl(&scene->place, &ends->host);
	tls_end_becomes(&scene->accepting, &ends->smd);
	tls_end_becomes(&scene->connecting, &ends->host);
}

static void ends_clear(struct ends *ends)
{
	holder_clear(&ends->smd);
	holder_clear(&ends->host);
	tls_scene_clear(&ends->scene);
}

/* ---- a handshake that is under way ---- */

static void who_is_revoked_within_its_handshake_does_not_come_in(void **state)
{
	struct ends ends;
	struct tls_scene *scene = &ends.scene;
	struct tls_end *end = &scene->accepting;

	ends_make(&ends);
	tls_connect(scene);
	tls_run(scene, &scene->accepted, 1);
	tls_place_revoke(&scene->place, &ends.host);
	tls_end_reload(end);
	tls_run(scene, &end->closed, 1);
	assert_string_equal(end->text, "its certificate is revoked (host/hyp1)");
	assert_int_equal(end->opened, 0);
	assert_int_equal(credentials_counts(end->credentials)->full, 0);
	assert_int_equal(credentials_counts(end->credentials)->refused[TLS_REFUSAL_REVOKED], 1);
	ends_clear(&ends);
}

static void nor_does_who_has_a_session_to_resume(void **state)
{
	struct ends ends;
	struct tls_scene *scene = &ends.scene;
	struct tls_end *end = &scene->accepting;

	ends_make(&ends);
	tls_connect(scene);
	tls_run(scene, &end->opened, 1);
	tls_hear(scene);
	connection_drop(scene->connecting.connection, "to come again");
	tls_run(scene, &scene->accepted, 2);
	tls_place_revoke(&scene->place, &ends.host);
	tls_end_reload(end);
	do /* the end of the link before may come first */
		tls_run(scene, &end->closed, end->closed + 1);
	while (!strcmp(end->text, "end of stream"));
	assert_string_equal(end->text, "its certificate is revoked (host/hyp1)");
	assert_int_equal(end->opened, 1);
	assert_int_equal(credentials_counts(end->credentials)->resumed, 0);
	ends_clear(&ends);
}

static void nor_is_a_parent_taken_that_is_revoked_meanwhile(void **state)
{
	struct ends ends;
	struct tls_scene *scene = &ends.scene;
	struct tls_end *end = &scene->connecting;

	ends_make(&ends);
	tls_connect(scene);
	tls_run(scene, &scene->accepted, 1);
	tls_place_revoke(&scene->place, &ends.smd);
	tls_end_reload(end);
	tls_run(scene, &end->failed, 1);
	assert_string_equal(end->text, "its certificate is revoked (sm/smd)");
	assert_int_equal(end->opened, 0);
	ends_clear(&ends);
}

static void whoever_else_comes_in_all_the_same(void **state)
{
	struct ends ends;
	struct tls_scene *scene = &ends.scene;

	ends_make(&ends);
	tls_connect(scene);
	tls_run(scene, &scene->accepted, 1);
	tls_end_reload(&scene->accepting);
	tls_end_reload(&scene->connecting);
	tls_run(scene, &scene->accepting.opened, 1);
	tls_run(scene, &scene->connecting.opened, 1);
	assert_int_equal(scene->accepting.closed, 0);
	ends_clear(&ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_is_revoked_within_its_handshake_does_not_come_in),
	        cmocka_unit_test(nor_does_who_has_a_session_to_resume),
	        cmocka_unit_test(nor_is_a_parent_taken_that_is_revoked_meanwhile),
	        cmocka_unit_test(whoever_else_comes_in_all_the_same),
	};

	return cmocka_run_group_tests_name("notifier_tls_reload", tests, NULL, NULL);
}
