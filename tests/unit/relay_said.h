/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a relay without links says is written down as text, in its test. */
#ifndef TETHER_TESTS_RELAY_SAID_H
#define TETHER_TESTS_RELAY_SAID_H

#include "notifier/relay/relay.h"

/* Their owner is the struct test of relay_harness.h. */
extern const struct relay_outputs relay_said;

#endif
