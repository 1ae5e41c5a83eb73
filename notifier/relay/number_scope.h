/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What has to be one's own within a VM: the number of a QP, and the number under which a context's
 * rkeys go. Two processes with the same one cannot be told apart by those who connect to them.
 * Pure.
 */
#ifndef TETHER_NUMBER_SCOPE_H
#define TETHER_NUMBER_SCOPE_H

#include "tether.pb-c.h"

/*
 * The reason (and *@text) why rows of two children do not go together; NULL: they do. Rows without
 * a LID are not compared: it takes the LID to say of which VM they are.
 */
const char *number_scope_collision(
        const Tether__QpRows *rows, const Tether__QpRows *others, const char **text);

#endif
