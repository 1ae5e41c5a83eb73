/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is not believed goes into the log, with both hosts' names; of one host not all of it. */
#ifndef TETHER_DIRECTORY_LOG_H
#define TETHER_DIRECTORY_LOG_H

#include "sm-side/directory/directory.h"

/* Their owner is a struct refusal_log. */
extern const struct directory_outputs directory_log;

#endif
