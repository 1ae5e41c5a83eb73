/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The settings of tether-smd: its file (tether-smd(8)) and what stands where the file is silent. */
#ifndef TETHER_SMD_SETTINGS_H
#define TETHER_SMD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/certificates/credentials_files.h"

struct smd_settings {
	const char *file; /* as it was named; the caller's */
	char *listen;     /* addresses for agents, separated by blanks */
	bool listen_is_said;
	struct credentials_files tls;
	char *api;
	char *journal;
	unsigned long journal_keep; /* so many migrations that have ended */
	char *sm_socket;
	char *log;
	char *metrics; /* where Prometheus asks (metrics_address.h); "none" */
	enum log_level log_level;
	unsigned migrations_max;      /* at a time */
	unsigned long protocol_least; /* that all who take part have to speak; 0: any */
	bool fabric;                  /* there is an OpenSM with the plugin */
	bool signal_mad;              /* which tells the agents of events */
	struct deadlines deadlines;
};

/* Defaults, then the file. -errno with one line in @error. */
int smd_settings_read(
        struct smd_settings *settings, const char *path, char *error, size_t error_size);
/* What they name can be used by this user; for --check-config, since it may change before the
 * start. -errno with one line in @error that names the line of the file. */
int smd_settings_check(const struct smd_settings *settings, char *error, size_t error_size);
/* Settings that work and are hardly meant so: true, with one sentence in @text. */
bool smd_settings_doubt(const struct smd_settings *settings, char *text, size_t size);
void smd_settings_clear(struct smd_settings *settings);

#endif
