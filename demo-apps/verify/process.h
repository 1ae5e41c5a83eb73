/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The process that a verify program is: it says what failed, can be told to stop, and knows the
 * time. One thread.
 */
#ifndef VERIFY_PROCESS_H
#define VERIFY_PROCESS_H

#include <signal.h>
#include <stdint.h>
#include <time.h>

/* "PROGRAM: WHAT: strerror" on stderr; returns -error. */
int failed(const char *what, int error);

/* Raised by SIGTERM and SIGINT from then on: finish in good order. */
extern volatile sig_atomic_t stop_asked;
void stop_signals_catch(void);

uint64_t clock_us(clockid_t clock);

#endif
