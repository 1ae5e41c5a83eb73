/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What an end of a link over TLS shows of itself. */
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/tls_link.h"

enum { FLIGHT_BYTES = 64 << 10 };

static void carry(BIO *from, BIO *to)
{
	CLEANUP_FREE char *bytes = malloc(FLIGHT_BYTES);
	int length = BIO_read(from, bytes, FLIGHT_BYTES);

	assert_true(length > 0 && length < FLIGHT_BYTES);
	assert_int_equal(BIO_write(to, bytes, length), length);
}

static void flights_between(SSL *connecting, SSL *accepting)
{
	SSL_set_bio(connecting, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(accepting, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(connecting);
	SSL_set_accept_state(accepting);
	SSL_do_handshake(connecting);
	carry(SSL_get_wbio(connecting), SSL_get_rbio(accepting));
	SSL_do_handshake(accepting);
	carry(SSL_get_wbio(accepting), SSL_get_rbio(connecting));
	assert_int_equal(SSL_do_handshake(connecting), 1);
}

/* How many certificates @end shows to somebody who connects. */
static int certificates_shown(struct tls_end *end)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *connecting = SSL_new(context), *accepting = credentials_ssl(end->credentials, true);
	int count;

	flights_between(connecting, accepting);
	count = sk_X509_num(SSL_get_peer_cert_chain(connecting));
	SSL_free(accepting);
	SSL_free(connecting);
	SSL_CTX_free(context);
	return count;
}

/* Who does not have it takes none that it has signed. */
static void the_root_is_not_shown(void **state)
{
	struct tls_scene scene;

	tls_scene_of(&scene, "host/hyp1");
	assert_int_equal(certificates_shown(&scene.accepting), 1);
	tls_scene_clear(&scene);
}

/* Whether it is with the certificate, or among those that are looked at. */
static void a_ca_between_is_shown(void **state)
{
	struct tls_scene scene;
	X509 *above;

	tls_scene_make(&scene);
	tls_place_put_below(&scene.place);
	tls_end_becomes(&scene.accepting, "sm/smd");
	assert_int_equal(certificates_shown(&scene.accepting), 2);
	above = scene.place.above;
	scene.place.above = NULL; /* it is made without the one between */
	holder_make(&scene.place, &scene.connecting.holder, "relay/rack1");
	scene.place.above = above;
	holder_looks_at_both(&scene.place, &scene.connecting.holder);
	tls_end_reads(&scene.connecting);
	assert_int_equal(certificates_shown(&scene.connecting), 2);
	tls_scene_clear(&scene);
}

/* What it looks at need not be what it is of: then others do. */
static void who_does_not_know_its_own_ca_shows_itself(void **state)
{
	struct tls_scene scene;
	struct tls_place other;
	struct holder *smd = &scene.accepting.holder;
	struct holder stranger;

	tls_scene_make(&scene);
	tls_place_make(&other);
	holder_make(&scene.place, smd, "sm/smd");
	holder_make(&other, &stranger, "sm/smd");
	free(smd->files.ca);
	smd->files.ca = strdup(stranger.files.ca);
	tls_end_reads(&scene.accepting);
	assert_int_equal(certificates_shown(&scene.accepting), 1);
	holder_clear(&stranger);
	tls_place_remove(&other);
	tls_scene_clear(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_root_is_not_shown),
	        cmocka_unit_test(a_ca_between_is_shown),
	        cmocka_unit_test(who_does_not_know_its_own_ca_shows_itself),
	};

	return cmocka_run_group_tests_name("notifier_tls_shown", tests, NULL, NULL);
}
