/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who holds the device that an event is about: where its nodes are, and which of them are its. */
#ifndef TETHER_AGENT_HOLDERS_H
#define TETHER_AGENT_HOLDERS_H

#include <stdint.h>

#include "tether.pb-c.h"

struct agent_settings;

/* As `holders` of struct relay_outputs. */
void agent_holders_each(const struct agent_settings *settings, Tether__Role role,
        const Tether__Event *event,
        void (*each)(void *context, uint32_t pid, uint32_t forked_by, const char *program),
        void *context);

#endif
