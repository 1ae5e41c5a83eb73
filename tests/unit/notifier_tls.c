/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Links over TLS: who may have one, and what goes over it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/certificates/certificate.h"
#include "tests/unit/tls_link.h"

enum { MEGABYTE_NEARLY = (1 << 20) - 100 };

/* ---- what goes over it ---- */

static void each_end_knows_who_the_other_is(void **state)
{
	struct tls_scene scene;

	tls_scene_of(&scene, "host/hyp1");
	tls_open(&scene);
	tls_run(&scene, &scene.connecting.opened, 1);
	assert_int_equal(scene.accepting.peer.role, PEER_HOST);
	assert_string_equal(scene.accepting.peer.name, "hyp1");
	assert_int_equal(scene.connecting.peer.role, PEER_SM);
	assert_string_equal(scene.connecting.peer.name, "smd");
	assert_int_equal(credentials_handshakes(scene.accepting.credentials), 0);
	tls_scene_clear(&scene);
}

/* Larger than a record of TLS, and several in one. */
static void frames_of_every_size_arrive_whole(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 16000, 16384, 17000, 100000, MEGABYTE_NEARLY};
	struct tls_scene scene;

	tls_scene_of(&scene, "relay/rack1");
	tls_open(&scene);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		tls_say(&scene.accepting, sizes[i]);
		tls_run(&scene, &scene.connecting.frames, i + 1);
		assert_int_equal(scene.connecting.last_bytes, sizes[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		tls_say(&scene.connecting, sizes[i]);
	tls_run(&scene, &scene.accepting.frames, ARRAY_SIZE(sizes));
	assert_int_equal(scene.accepting.last_bytes, MEGABYTE_NEARLY);
	for (unsigned i = 0; i < 1000; i++)
		tls_say(&scene.connecting, 10);
	tls_run(&scene, &scene.accepting.frames, ARRAY_SIZE(sizes) + 1000);
	tls_scene_clear(&scene);
}

/* ---- who may not have one ---- */

struct refused_case {
	const char *what;
	const char *accepting, *connecting;
	long from_s, until_s; /* of the connecting end's certificate, from now */
	bool revoked, foreign;
	bool by_connecting; /* it is the one that refuses */
	const char *parent; /* that it has been told; NULL: none */
	enum tls_refusal kind;
	const char *text;
};

enum { HOUR_S = 3600 };

static const struct refused_case refused_cases[] = {
        {"expired", "sm/smd", "host/hyp1", -2 * HOUR_S, -HOUR_S, .kind = TLS_REFUSAL_EXPIRED,
                .text = "its certificate has expired (host/hyp1)"},
        {"not yet valid", "sm/smd", "host/hyp1", HOUR_S, 2 * HOUR_S,
                .kind = TLS_REFUSAL_NOT_YET_VALID,
                .text = "its certificate is not valid yet (host/hyp1)"},
        {"revoked", "sm/smd", "host/hyp1", -HOUR_S, HOUR_S, .revoked = true,
                .kind = TLS_REFUSAL_REVOKED, .text = "its certificate is revoked (host/hyp1)"},
        {"of another CA", "sm/smd", "host/hyp1", -HOUR_S, HOUR_S, .foreign = true,
                .by_connecting = true, .kind = TLS_REFUSAL_FOREIGN_CA,
                .text = "its certificate is of another CA (sm/smd)"},
        {"a root that comes as a host", "sm/smd", "sm/other", -HOUR_S, HOUR_S,
                .kind = TLS_REFUSAL_WRONG_ROLE,
                .text = "its certificate is of a role that has no business here (sm/other)"},
        {"a host that poses as the root", "host/hyp2", "host/hyp1", -HOUR_S, HOUR_S,
                .by_connecting = true, .kind = TLS_REFUSAL_WRONG_ROLE,
                .text = "its certificate is of a role that has no business here (host/hyp2)"},
        {"an agent between that poses as the root", "relay/rack1", "host/hyp1", -HOUR_S, HOUR_S,
                .by_connecting = true, .parent = "sm/smd", .kind = TLS_REFUSAL_WRONG_PARENT,
                .text = "its certificate is of somebody else than parent_name says (relay/rack1)"},
        {"another root", "sm/other", "host/hyp1", -HOUR_S, HOUR_S, .by_connecting = true,
                .parent = "sm/smd", .kind = TLS_REFUSAL_WRONG_PARENT,
                .text = "its certificate is of somebody else than parent_name says (sm/other)"},
};

static void refused_as_it_should_be(const struct refused_case *row)
{
	struct peer_identity parent;
	struct tls_place other;
	struct tls_scene scene;
	struct tls_end *refusing;
	struct holder *accepting = &scene.accepting.holder, *connecting = &scene.connecting.holder;

	tls_scene_make(&scene);
	tls_place_make(&other);
	refusing = row->by_connecting ? &scene.connecting : &scene.accepting;
	holder_make(&scene.place, accepting, row->accepting);
	holder_make_dated(row->foreign ? &other : &scene.place, connecting, row->connecting,
	        row->from_s, row->until_s);
	if (row->revoked)
		tls_place_revoke(&scene.place, connecting);
	holder_looks_at_crl(&scene.place, accepting);
	tls_end_reads(&scene.accepting);
	tls_end_reads(&scene.connecting);
	if (row->parent) {
		assert_int_equal(
		        peer_identity_parse_short(row->parent, strlen(row->parent), &parent), 0);
		credentials_parent_set(scene.connecting.credentials, &parent);
	}
	tls_connect(&scene);
	tls_run(&scene, row->by_connecting ? &refusing->failed : &refusing->closed, 1);
	if (strcmp(refusing->text, row->text) != 0)
		fail_msg("%s: %s", row->what, refusing->text);
	assert_true(credentials_counts(refusing->credentials)->refused[row->kind] >= 1);
	assert_int_equal(refusing->opened, 0);
	/* The other end hears that it is refused, though not always why. */
	if (!row->by_connecting)
		tls_run(&scene, &scene.connecting.closed, 1);
	tls_place_remove(&other);
	tls_scene_clear(&scene);
}

static void whoever_may_not_is_refused_with_the_reason(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused_cases); i++)
		refused_as_it_should_be(&refused_cases[i]);
}

/* ---- what is no TLS 1.3 ---- */

static void bytes_are_refused(const void *bytes, size_t length, enum tls_refusal kind)
{
	struct tls_scene scene;
	int fd;

	tls_scene_make(&scene);
	if (kind == TLS_REFUSAL_TOO_SLOW)
		scene.handshake_ms = 50;
	tls_end_becomes(&scene.accepting, "sm/smd");
	fd = tls_connect_bare(&scene);
	assert_int_equal(write(fd, bytes, length), length);
	tls_run(&scene, &scene.accepting.closed, 1);
	if (strcmp(scene.accepting.text, tls_refusal_text(kind)) != 0)
		fail_msg("%s: %s", tls_refusal_name(kind), scene.accepting.text);
	assert_int_equal(credentials_counts(scene.accepting.credentials)->refused[kind], 1);
	assert_int_equal(credentials_handshakes(scene.accepting.credentials), 0);
	assert_int_equal(scene.accepting.opened, 0);
	close(fd);
	tls_scene_clear(&scene);
}

static void plain_text_is_refused(void **state)
{
	static const char http[] = "GET / HTTP/1.0\r\n\r\n";
	static const char frame[] = "\0\0\0\10\12\6\10\1\22\2hi";

	bytes_are_refused(http, strlen(http), TLS_REFUSAL_PLAIN_TEXT);
	bytes_are_refused(frame, sizeof(frame) - 1, TLS_REFUSAL_PLAIN_TEXT);
}

/* A ClientHello that knows nothing newer than TLS 1.2. */
static void an_older_tls_is_refused(void **state)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	BIO *out = BIO_new(BIO_s_mem()), *in = BIO_new(BIO_s_mem());
	char *bytes;
	long length;
	SSL *ssl;

	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	ssl = SSL_new(context);
	SSL_set_bio(ssl, in, out);
	SSL_connect(ssl);
	length = BIO_get_mem_data(out, &bytes);
	bytes_are_refused(bytes, length, TLS_REFUSAL_OLD_VERSION);
	SSL_free(ssl);
	SSL_CTX_free(context);
}

/* Else all that it has time for are handshakes with an end that has given up. */
static void who_accepts_late_is_given_more_time_each_time(void **state)
{
	struct tls_scene scene;

	tls_scene_of(&scene, "host/hyp1");
	scene.patience_ms = 100;
	scene.late_ms = 3 * scene.patience_ms;
	tls_connect(&scene);
	tls_run(&scene, &scene.connecting.opened, 1);
	assert_true(scene.connecting.failed > 0);
	tls_scene_clear(&scene);
}

static void silence_ends_at_the_deadline(void **state)
{
	bytes_are_refused("", 0, TLS_REFUSAL_TOO_SLOW);
	bytes_are_refused("\26\3\1", 3, TLS_REFUSAL_TOO_SLOW);
}

/* Neither a record that is none, nor one that nobody but the peer could have sealed. */
static void what_is_not_sealed_by_the_peer_ends_the_link(void **state)
{
	static const struct {
		const char *what, *bytes;
		size_t length;
		const char *text;
	} rows[] = {
	        {"no record", "\0\0\0\4hello", 9, "plain text, not TLS"},
	        {"a record of noise", "\27\3\3\0\24twenty bytes of noise", 26, "TLS failed: "},
	        {"a handshake in the clear", "\26\3\3\0\4\1\0\0\0", 9, "TLS failed: "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tls_scene scene;
		int fd;

		tls_scene_of(&scene, "host/hyp1");
		tls_open(&scene);
		tls_say(&scene.connecting, 100);
		tls_run(&scene, &scene.accepting.frames, 1);
		fd = connection_channel(scene.connecting.connection)->fd;
		assert_int_equal(write(fd, rows[i].bytes, rows[i].length), rows[i].length);
		tls_run(&scene, &scene.accepting.closed, 1);
		assert_int_equal(scene.accepting.frames, 1);
		if (strncmp(scene.accepting.text, rows[i].text, strlen(rows[i].text)) != 0)
			fail_msg("%s: %s instead of %s", rows[i].what, scene.accepting.text,
			        rows[i].text);
		tls_scene_clear(&scene);
	}
}

/* ---- what is read anew ---- */

static void who_is_revoked_loses_its_link_at_the_reload(void **state)
{
	struct tls_scene scene;
	struct holder other;

	tls_scene_make(&scene);
	holder_make(&scene.place, &scene.accepting.holder, "sm/smd");
	holder_looks_at_crl(&scene.place, &scene.accepting.holder);
	tls_end_reads(&scene.accepting);
	tls_end_becomes(&scene.connecting, "host/hyp1");
	holder_make(&scene.place, &other, "host/hyp2");
	tls_open(&scene);
	tls_place_revoke(&scene.place, &other);
	tls_end_reload(&scene.accepting);
	assert_true(connection_is_open(scene.accepting.connection));
	tls_place_revoke(&scene.place, &scene.connecting.holder);
	connection_recheck(scene.accepting.connection);
	assert_true(connection_is_open(scene.accepting.connection)); /* not read yet */
	tls_end_reload(&scene.accepting);
	tls_run(&scene, &scene.accepting.closed, 1);
	assert_string_equal(scene.accepting.text, "its certificate is revoked (host/hyp1)");
	/* It comes again and is refused, though it had a session to resume. */
	tls_run(&scene, &scene.accepting.closed, 2);
	assert_string_equal(scene.accepting.text, "its certificate is revoked (host/hyp1)");
	assert_int_equal(scene.accepting.opened, 1);
	holder_clear(&other);
	tls_scene_clear(&scene);
}

static void what_cannot_be_read_changes_nothing(void **state)
{
	struct tls_scene scene;
	char error[256] = "";
	const char *key;

	tls_scene_of(&scene, "host/hyp1");
	key = scene.accepting.holder.files.key;
	assert_int_equal(truncate(key, 0), 0);
	assert_int_equal(
	        credentials_reload(scene.accepting.credentials, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, key));
	tls_open(&scene);
	tls_scene_clear(&scene);
}

static void it_is_known_when_the_first_expires(void **state)
{
	struct credentials *credentials;
	struct tls_place place;
	struct holder smd;
	char text[256] = "";
	time_t own, now = time(NULL);

	tls_place_make(&place);
	holder_make_dated(&place, &smd, "sm/smd", -HOUR_S, 100 * 24 * HOUR_S);
	own = certificate_time(X509_get0_notAfter(smd.certificate));
	holder_looks_at_crl(&place, &smd); /* as long as the CA */
	credentials = credentials_create(&smd.files, text, sizeof(text));
	assert_non_null(credentials);
	assert_int_equal(credentials_expire(credentials), own);
	assert_false(credentials_doubt(credentials, now, text, sizeof(text)));
	assert_true(credentials_doubt(credentials, own - 10 * HOUR_S, text, sizeof(text)));
	assert_non_null(strstr(text, ".crt expires within 1 days"));
	assert_true(credentials_doubt(credentials, own + 50 * HOUR_S, text, sizeof(text)));
	assert_non_null(strstr(text, ".crt has expired, since 2 days"));
	credentials_destroy(credentials);
	holder_clear(&smd);
	/* A certificate that outlives the CA's list. */
	holder_make_dated(&place, &smd, "sm/smd", -HOUR_S, 1000L * 24 * HOUR_S);
	holder_looks_at_crl(&place, &smd);
	credentials = credentials_create(&smd.files, text, sizeof(text));
	own = certificate_time(X509_get0_notAfter(place.ca));
	assert_int_equal(credentials_expire(credentials), own);
	assert_true(credentials_doubt(credentials, own - 1, text, sizeof(text)));
	assert_non_null(strstr(text, ".crl expires within"));
	credentials_destroy(credentials);
	holder_clear(&smd);
	tls_place_remove(&place);
}

static void an_address_of_tls_has_a_number_and_a_port(void **state)
{
	static const char *const good[] = {"10.0.0.5:4710", "[::1]:4710", "0.0.0.0:1"};
	static const char *const bad[] = {"", "10.0.0.5", "10.0.0.5:", ":4710", "smd:4710",
	        "::1:4710", "[::1]", "10.0.0.5:port", "10.0.0.5:70000"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(channel_tls_ops.fits(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (channel_tls_ops.fits(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_end_knows_who_the_other_is),
	        cmocka_unit_test(frames_of_every_size_arrive_whole),
	        cmocka_unit_test(whoever_may_not_is_refused_with_the_reason),
	        cmocka_unit_test(plain_text_is_refused),
	        cmocka_unit_test(an_older_tls_is_refused),
	        cmocka_unit_test(who_accepts_late_is_given_more_time_each_time),
	        cmocka_unit_test(silence_ends_at_the_deadline),
	        cmocka_unit_test(what_is_not_sealed_by_the_peer_ends_the_link),
	        cmocka_unit_test(who_is_revoked_loses_its_link_at_the_reload),
	        cmocka_unit_test(what_cannot_be_read_changes_nothing),
	        cmocka_unit_test(it_is_known_when_the_first_expires),
	        cmocka_unit_test(an_address_of_tls_has_a_number_and_a_port),
	};

	return cmocka_run_group_tests_name("notifier_tls", tests, NULL, NULL);
}
