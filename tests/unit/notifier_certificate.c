/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who a certificate says somebody is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/x509v3.h>

#include "notifier/base/cleanup.h"
#include "notifier/certificates/certificate.h"
#include "sm-side/cli/authority.h"

#define NAME_64 "0123456789012345678901234567890123456789012345678901234567890123"

/* ---- as text ---- */

static const struct {
	const char *text;
	int err;
	enum peer_role role;
	const char *name;
} texts[] = {
        {"tether:sm/smd", 0, PEER_SM, "smd"},
        {"tether:host/hyp1", 0, PEER_HOST, "hyp1"},
        {"tether:relay/rack-1.a_b:c@d", 0, PEER_RELAY, "rack-1.a_b:c@d"},
        {"tether:host/" NAME_64, 0, PEER_HOST, NAME_64},
        {"tether:host/" NAME_64 "5", .err = -EINVAL},
        {"tether:host/", .err = -EINVAL},
        {"tether:host", .err = -EINVAL},
        {"tether:", .err = -EINVAL},
        {"", .err = -EINVAL},
        {"tether:/hyp1", .err = -EINVAL},
        {"tether:guest/vm1", .err = -EINVAL},
        {"tether:hosts/hyp1", .err = -EINVAL},
        {"tether:HOST/hyp1", .err = -EINVAL},
        {"TETHER:host/hyp1", .err = -EINVAL},
        {"tether://host/hyp1", .err = -EINVAL},
        {"tether:host//hyp1", .err = -EINVAL},
        {"tether:host/hyp1/x", .err = -EINVAL},
        {"tether:host/..", .err = -EINVAL},
        {"tether:host/hyp 1", .err = -EINVAL},
        {"tether:host/hyp1\n", .err = -EINVAL},
        {" tether:host/hyp1", .err = -EINVAL},
};

static void an_identity_is_read_strictly(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct peer_identity identity = {.name = "untouched"};
		int err = peer_identity_parse(texts[i].text, strlen(texts[i].text), &identity);

		if (err != texts[i].err)
			fail_msg("%s: %d", texts[i].text, err);
		if (err) {
			assert_string_equal(identity.name, "untouched");
			continue;
		}
		assert_int_equal(identity.role, texts[i].role);
		assert_string_equal(identity.name, texts[i].name);
	}
}

static void what_is_written_is_read_again(void **state)
{
	char text[PEER_TEXT_BYTES];
	struct peer_identity identity = {PEER_RELAY, NAME_64}, again;

	peer_identity_write(&identity, text);
	assert_string_equal(text, "relay/" NAME_64);
	assert_int_equal(peer_identity_parse_short(text, strlen(text), &again), 0);
	assert_int_equal(again.role, PEER_RELAY);
	assert_string_equal(again.name, NAME_64);
}

/* ---- in a certificate ---- */

struct name {
	int type; /* GEN_URI, ...; 0: no more */
	const char *text;
	int length;
};

#define URI(text)                                                                                  \
	{                                                                                          \
		GEN_URI, text, sizeof(text) - 1                                                    \
	}
#define DNS(text)                                                                                  \
	{                                                                                          \
		GEN_DNS, text, sizeof(text) - 1                                                    \
	}

static void name_add(GENERAL_NAMES *names, const struct name *row)
{
	ASN1_STRING *text = ASN1_STRING_type_new(V_ASN1_IA5STRING);
	GENERAL_NAME *name = GENERAL_NAME_new();

	ASN1_STRING_set(text, row->text, row->length);
	GENERAL_NAME_set0_value(name, row->type, text);
	sk_GENERAL_NAME_push(names, name);
}

static int identity_of(const struct name *rows, struct peer_identity *identity)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	X509 *certificate = X509_new();
	int err;

	for (; rows->type; rows++)
		name_add(names, rows);
	assert_true(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0));
	GENERAL_NAMES_free(names);
	err = certificate_identity(certificate, identity);
	X509_free(certificate);
	return err;
}

static const struct {
	const char *what;
	struct name names[4];
	int err;
} certificates[] = {
        {"one name", {URI("tether:host/hyp1")}, 0},
        {"others beside it", {DNS("hyp1.example"), URI("spiffe://x"), URI("tether:host/hyp1")}, 0},
        {"none of ours", {DNS("tether:host/hyp1"), URI("http://hyp1")}, -ENOENT},
        {"two", {URI("tether:host/hyp1"), URI("tether:sm/smd")}, -EEXIST},
        {"the same twice", {URI("tether:host/hyp1"), URI("tether:host/hyp1")}, -EEXIST},
        {"one that is wrong", {URI("tether:root/hyp1")}, -EINVAL},
        {"a wrong one behind a right one", {URI("tether:host/hyp1"), URI("Tether:host/hyp2")},
                -EEXIST},
        {"an end within the name", {URI("tether:host/hyp1\0.evil")}, -EINVAL},
        {"an end within the role", {URI("tether:host\0/hyp1")}, -EINVAL},
};

static void one_uri_says_who_it_is(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(certificates); i++) {
		struct peer_identity identity = {.name = "untouched"};
		int err = identity_of(certificates[i].names, &identity);

		if (err != certificates[i].err)
			fail_msg("%s: %d", certificates[i].what, err);
		assert_string_equal(identity.name, err ? "untouched" : "hyp1");
	}
}

static void a_certificate_without_names_is_nobodys(void **state)
{
	struct peer_identity identity;
	X509 *certificate = X509_new();

	assert_int_equal(certificate_identity(certificate, &identity), -ENOENT);
	X509_free(certificate);
}

/* ---- what our CA makes ---- */

static void what_the_ca_makes_is_read_again(void **state)
{
	struct validity validity = {time(NULL) - 10, time(NULL) + 10};
	struct peer_identity made = {PEER_RELAY, NAME_64}, read;
	EVP_PKEY *ca_key = authority_key_make(), *key = authority_key_make();
	X509 *ca = authority_ca_make(ca_key, "test", &validity);
	X509 *certificate = authority_certificate_make(ca, ca_key, key, &made, &validity);
	char serial[SERIAL_TEXT_BYTES];

	assert_non_null(certificate);
	assert_int_equal(certificate_identity(certificate, &read), 0);
	assert_int_equal(read.role, PEER_RELAY);
	assert_string_equal(read.name, NAME_64);
	assert_int_equal(X509_verify(certificate, ca_key), 1);
	assert_int_equal(X509_verify(certificate, key), 0);
	assert_int_equal(X509_check_ca(ca), 1);
	assert_int_equal(X509_check_ca(certificate), 0);
	authority_serial(certificate, serial);
	assert_int_equal(strlen(serial), 2 * SERIAL_BYTES);
	X509_free(certificate);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_identity_is_read_strictly),
	        cmocka_unit_test(what_is_written_is_read_again),
	        cmocka_unit_test(one_uri_says_who_it_is),
	        cmocka_unit_test(a_certificate_without_names_is_nobodys),
	        cmocka_unit_test(what_the_ca_makes_is_read_again),
	};

	return cmocka_run_group_tests_name("notifier_certificate", tests, NULL, NULL);
}
