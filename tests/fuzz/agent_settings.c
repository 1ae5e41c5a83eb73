/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The whole table of an agent's settings: what is taken is complete, can be said again, and is then
 * the same.
 */
#include "notifier/agent_settings.c"

#include "tests/fuzz/settings_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void all_said_again(struct agent_settings *settings, struct said_again *again)
{
	const struct credentials_files *tls = &settings->tls;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		say_text_again(again, texts[i].key, *text_of(settings, &texts[i]));
	say_text_again(again, "tls_ca", tls->ca);
	say_text_again(again, "tls_certificate", tls->certificate);
	say_text_again(again, "tls_key", tls->key);
	say_text_again(again, "tls_crl", tls->crl);
	say_again(again, "socket_mode", "%o", settings->socket_mode);
	say_again(again, "vsock_port", "%u", settings->vsock_port);
	say_again(again, "vm_processes", "%u", settings->vm_processes);
#define DEADLINE(name, value, meaning) say_again(again, #name, "%u", settings->deadlines.name);
	TETHER_DEADLINES(DEADLINE)
#undef DEADLINE
}

static void is_complete(struct agent_settings *settings)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		claim(*text_of(settings, &texts[i]) != NULL);
	claim(is_guest(settings) || is_host(settings) || !strcmp(settings->role, "relay"));
	claim(is_guest(settings) ? !*settings->name || name_is_fit(settings->name)
	                         : name_is_fit(settings->name));
	claim(is_host(settings) == (*settings->driver != 0));
	claim(!agent_settings_want_credentials(settings) ||
	        !credentials_setting_missing(&settings->tls));
	claim(!(settings->socket_mode & ~0777U));
}

/* The text that was said again, read and said once more. */
static void is_the_same(const struct said_again *again)
{
	struct agent_settings settings;
	struct said_again once_more = {.size = 0};
	char error[256];

	settings_file_write((const uint8_t *)again->text, again->size);
	claim(!agent_settings_read(&settings, settings_file_path(), error, sizeof(error)));
	all_said_again(&settings, &once_more);
	claim(once_more.size == again->size && !memcmp(once_more.text, again->text, again->size));
	agent_settings_clear(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_settings settings;
	struct said_again again = {.size = 0};
	char error[64] = "";
	int err;

	settings_file_write(data, size);
	err = agent_settings_read(&settings, settings_file_path(), error, sizeof(error));
	claim(!err == !*error);
	if (err)
		return 0;
	is_complete(&settings);
	err = agent_settings_check(&settings, settings_file_path(), error, sizeof(error));
	claim(!err == !*error);
	all_said_again(&settings, &again);
	agent_settings_clear(&settings);
	if (!again.too_long)
		is_the_same(&again);
	return 0;
}
