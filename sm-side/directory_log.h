/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is not believed goes into the log, with both hosts' names. */
#ifndef TETHER_DIRECTORY_LOG_H
#define TETHER_DIRECTORY_LOG_H

#include "sm-side/directory.h"

extern const struct directory_outputs directory_log;

#endif
