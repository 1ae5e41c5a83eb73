/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What opensm.conf says to the plugin: event_plugin_options, "name=value name=value", separated by
 * blanks, tabs or commas. Pure.
 */
#ifndef TETHER_PLUGIN_OPTIONS_H
#define TETHER_PLUGIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct endpoint_model;

struct plugin_options {
	char *socket;
	const struct endpoint_model *model; /* endpoints=; vSwitch where nothing is said */
	bool has_sl; /* sl=: the service level of all paths of VMs that move */
	uint8_t sl;
};

/*
 * @text may be NULL. @socket: the path where @text names none, NULL: neither does. NULL: read;
 * plugin_options_clear them. Else a sentence on what is wrong, and nothing to clear.
 */
const char *plugin_options_read(
        const char *text, const char *socket, struct plugin_options *options);
void plugin_options_clear(struct plugin_options *options);

#endif
