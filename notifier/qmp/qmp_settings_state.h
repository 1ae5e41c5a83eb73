/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Settings between their first line and their last; qmp_settings.c and qmp_settings_complete.c. */
#ifndef TETHER_QMP_SETTINGS_STATE_H
#define TETHER_QMP_SETTINGS_STATE_H

#include "notifier/qmp/qmp_settings.h"

/* Empty, held once; NULL: no memory. */
struct qmp_settings *qmp_settings_create(void);
/* All has been taken: what is left out is as elsewhere, and what has to be said is there. -errno
 * with one line in @error. */
int qmp_settings_complete(
        struct qmp_settings *settings, const char *path, char *error, size_t error_size);

#endif
