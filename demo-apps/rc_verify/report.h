/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The verdict as one JSON object on one line of standard output.
 */
#ifndef RC_VERIFY_REPORT_H
#define RC_VERIFY_REPORT_H

#include "demo-apps/rc_verify/run.h"

void report_print(struct run *run);

#endif
