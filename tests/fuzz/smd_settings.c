/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The whole table of tether-smd's settings: what is taken fits together, can be said again, and is
 * then the same.
 */
#include "sm-side/smd_settings.h"

#include "notifier/link/listener.h"
#include "sm-side/plugin/sm_request.h"
#include "tests/fuzz/settings_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void all_said_again(const struct smd_settings *settings, struct said_again *again)
{
	const struct credentials_files *tls = &settings->tls;

	say_text_again(again, "listen", settings->listen);
	say_text_again(again, "api", settings->api);
	say_text_again(again, "journal", settings->journal);
	say_text_again(again, "sm_socket", settings->sm_socket);
	say_text_again(again, "log", settings->log);
	say_text_again(again, "metrics", settings->metrics);
	say_text_again(again, "tls_ca", tls->ca);
	say_text_again(again, "tls_certificate", tls->certificate);
	say_text_again(again, "tls_key", tls->key);
	say_text_again(again, "tls_crl", tls->crl);
	say_text_again(again, "fabric", settings->fabric ? "opensm" : "none");
	say_text_again(again, "signal", settings->signal_mad ? "mad" : "stream");
	say_again(again, "journal_keep", "%lu", settings->journal_keep);
	say_again(again, "migrations_max", "%u", settings->migrations_max);
#define DEADLINE(name, value, meaning) say_again(again, #name, "%u", settings->deadlines.name);
	TETHER_DEADLINES(DEADLINE)
#undef DEADLINE
}

static void fits_together(const struct smd_settings *settings)
{
	claim(listener_fits(settings->listen));
	claim(!listener_wants_credentials(settings->listen) ||
	        !credentials_setting_missing(&settings->tls));
	claim(settings->deadlines.lease_ms > settings->deadlines.stop_ms);
	claim(!settings->fabric || settings->deadlines.sm_lease_ms <= SM_LEASE_MS_MAX);
	claim(settings->fabric || !settings->signal_mad);
}

/* The text that was said again, read and said once more. */
static void is_the_same(const struct said_again *again)
{
	struct smd_settings settings;
	struct said_again once_more = {.size = 0};
	char error[256];

	settings_file_write((const uint8_t *)again->text, again->size);
	claim(!smd_settings_read(&settings, settings_file_path(), error, sizeof(error)));
	all_said_again(&settings, &once_more);
	claim(once_more.size == again->size && !memcmp(once_more.text, again->text, again->size));
	smd_settings_clear(&settings);
}

static void is_taken(const struct smd_settings *settings, struct said_again *again)
{
	char text[64] = "";
	int err;

	fits_together(settings);
	claim(smd_settings_doubt(settings, text, sizeof(text)) == (*text != 0));
	*text = 0;
	err = smd_settings_check(settings, text, sizeof(text));
	claim(!err == !*text);
	all_said_again(settings, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smd_settings settings;
	struct said_again again = {.too_long = true};
	char error[64] = "";
	int err;

	settings_file_write(data, size);
	err = smd_settings_read(&settings, settings_file_path(), error, sizeof(error));
	claim(!err == !*error);
	if (!err) {
		again.too_long = false;
		is_taken(&settings, &again);
	}
	smd_settings_clear(&settings);
	if (!again.too_long)
		is_the_same(&again);
	return 0;
}
