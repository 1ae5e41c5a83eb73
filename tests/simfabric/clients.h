/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who has the fabric open: one row for each handle that joined. A row's owner holds a lock on one
 * byte of the file for as long as it lives (an open-file-description lock: it ends with the process
 * and can be seen from any pid namespace), so that anybody can tell the dead and give back what
 * they held.
 */
#ifndef SIMFABRIC_CLIENTS_H
#define SIMFABRIC_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/shared_file.h"

enum { CLIENTS_MAX = 4096 };

struct client {
	uint64_t is_used;
	int32_t pid; /* in the client's own pid namespace: to be shown, not to be trusted */
	char program[16];
	char place[76]; /* SIMFABRIC_NODE or SIMFABRIC_VM, as it was when the client joined */
};

/* Take a row; nothing to do if the handle has one. -EUSERS: all taken by the living. */
int client_join(struct fabric *fabric);
/* Give it back with all that it holds; by fabric_close. */
void client_leave(struct fabric *fabric);

/* Under the lock: give back what dead clients held. Returns how many there were. */
unsigned clients_reap(struct fabric *fabric);

/* Row @index, NULL: beyond the rows that were ever used. */
const struct client *client_row(const struct fabric *fabric, uint32_t index);

/* Under the lock: was a client that is still here on @node when it joined? */
bool client_is_on_node(const struct fabric *fabric, const char *node);

size_t clients_size(const struct net *net);

#endif
