/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the service manager is told (sd_notify(3)), over the socket that $NOTIFY_SOCKET names:
 * without one nothing is said. Nothing here waits or fails. The daemon's thread.
 */
#ifndef TETHER_SERVICE_H
#define TETHER_SERVICE_H

#include <stdint.h>

/* It is at work: what depends on it may begin. Once is enough, more does no harm. */
void service_ready(void);
/* One line for whoever asks how it is. */
void service_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Settings are being read again; service_ready says when that is over. */
void service_reloading(void);
void service_stopping(void);
/* Its loop goes round. How often the manager wants to hear that, twice as often as it gives it up
 * ($WATCHDOG_USEC); 0: it does not. */
void service_alive(void);
uint64_t service_alive_us(void);

#endif
