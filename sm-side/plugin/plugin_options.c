/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/plan/endpoint.h"
#include "sm-side/plugin/plugin_options.h"

#define SEPARATORS " \t,"

enum { SL_MAX = 15 };

/* The value of @name; NULL: it is not there, or there is no memory. */
static char *value_of(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = text; at && *at; at += strcspn(at, SEPARATORS)) {
		at += strspn(at, SEPARATORS);
		if (!strncmp(at, name, length) && at[length] == '=')
			return strndup(at + length + 1, strcspn(at + length + 1, SEPARATORS));
	}
	return NULL;
}

static const char *read_socket(const char *text, const char *socket, struct plugin_options *options)
{
	options->socket = value_of(text, "socket");
	if (!options->socket && socket)
		options->socket = strdup(socket);
	return options->socket && *options->socket
	               ? NULL
	               : "no socket: set event_plugin_options socket=PATH or TETHER_SM_SOCKET";
}

static const char *read_model(const char *text, struct plugin_options *options)
{
	static const struct endpoint_model *const models[] = {
	        &endpoint_vswitch, &endpoint_plain_ca};
	CLEANUP_FREE char *name = value_of(text, "endpoints");

	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		if (name && strcmp(models[i]->name, name))
			continue;
		options->model = models[i];
		return NULL;
	}
	return "endpoints= names no model: vswitch or plain-ca";
}

static const char *read_sl(const char *text, struct plugin_options *options)
{
	CLEANUP_FREE char *value = value_of(text, "sl");
	unsigned long sl;
	char *end;

	if (!value)
		return NULL;
	errno = 0;
	sl = strtoul(value, &end, 10);
	if (errno || end == value || *end || *value == '-' || sl > SL_MAX)
		return "sl= is no service level: 0 to 15";
	options->has_sl = true;
	options->sl = (uint8_t)sl;
	return NULL;
}

const char *plugin_options_read(
        const char *text, const char *socket, struct plugin_options *options)
{
	const char *wrong;

	*options = (struct plugin_options){0};
	wrong = read_socket(text, socket, options);
	if (!wrong)
		wrong = read_model(text, options);
	if (!wrong)
		wrong = read_sl(text, options);
	if (wrong)
		plugin_options_clear(options);
	return wrong;
}

void plugin_options_clear(struct plugin_options *options)
{
	free(options->socket);
	*options = (struct plugin_options){0};
}
