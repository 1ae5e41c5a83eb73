/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What an operator may want to know or do next when a migration has ended, on the terminal and in
 * the log. Pure. */
#ifndef TETHER_ADVICE_H
#define TETHER_ADVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "sm-side/migration/migration_table.h"

/* Of a finding: a connection whose other end has no libtether, which --force leaves behind. */
bool advice_is_unpaired(const char *reason);
/* @findings: so many reasons were found, @unpaired of them such. NULL: nothing is to be done. */
const char *advice(enum migration_state end, size_t findings, size_t unpaired);

#endif
