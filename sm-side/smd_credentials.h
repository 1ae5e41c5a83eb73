/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The credentials of tether-smd: read where its settings say that they are, and of a tether-smd. */
#ifndef TETHER_SMD_CREDENTIALS_H
#define TETHER_SMD_CREDENTIALS_H

#include "notifier/certificates/credentials.h"
#include "sm-side/smd_settings.h"

/* 0 with *@made (NULL: it listens at no address of TLS), else -errno with one line in @error. */
int smd_credentials_make(const struct smd_settings *settings, struct credentials **made,
        char *error, size_t error_size);

#endif
