/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the environment asks of this library; read once, then constant. See libtether.7. */
#ifndef TETHER_SETTINGS_H
#define TETHER_SETTINGS_H

#include <stdbool.h>

struct settings {
	const char
	        *agent_path; /* of a unix socket; NULL: transparent, no thread, nobody to talk to */
	const char *vm;      /* TETHER_VM, else the agent's socket says it: VM.sock */
	unsigned unplanned_ms; /* TETHER_UNPLANNED=reconnect: so long a loss is not told; 0: at once
	                        */
	/* For tests that have to fail: */
	bool settlement; /* TETHER_SETTLEMENT=off: replay blindly */
	bool rebinding;  /* TETHER_REBINDING=off: memory windows stay unbound */
};

const struct settings *settings(void);

#endif
