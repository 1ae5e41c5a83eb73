/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The credentials of an agent: read where its settings say that they are, and of this agent. */
#ifndef TETHER_AGENT_CREDENTIALS_H
#define TETHER_AGENT_CREDENTIALS_H

#include "notifier/agent_settings.h"
#include "notifier/certificates/credentials.h"

/* 0 with *@made (NULL: no link of this agent is over TLS), else -errno with one line in @error. */
int agent_credentials_make(const struct agent_settings *settings, struct credentials **made,
        char *error, size_t error_size);

#endif
