/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * An open umad port: a mailbox in the fabric, and here the requests that wait for an answer and the
 * descriptor that a program may poll. It stands for the kernel's ib_umad file. Any thread; the
 * fabric's lock guards what is in here too.
 */
#ifndef SIMFABRIC_UMAD_PORT_H
#define SIMFABRIC_UMAD_PORT_H

#include <stddef.h>
#include <stdint.h>

#include <infiniband/umad.h>

#include "simfabric/attach.h"
#include "simfabric/mailbox.h"
#include "simfabric/shared_file.h"

struct umad_open_port;

/* On end port @port of the HCA at @place. Returns the descriptor, or -errno. */
int umad_port_open(struct fabric *fabric, const struct hca_place *place, uint32_t port);
void umad_port_close(struct umad_open_port *port);
/* NULL: not an open umad port of this process. */
struct umad_open_port *umad_port_find(int fd);

int umad_port_register(struct umad_open_port *port, const struct agent *agent);
int umad_port_unregister(struct umad_open_port *port, unsigned id);

/*
 * Send @bytes of MAD behind @umad, whose header says agent, address, timeout and retries. -EINVAL:
 * no such agent, too long without RMPP, a duplicate of a waiting request, a wrong directed route.
 */
int umad_port_send(struct umad_open_port *port, const struct ib_user_mad *umad, size_t bytes);

/*
 * Take the next MAD into @umad with room for *@bytes behind it. 0, and *@bytes is its length; or
 * -EAGAIN: there is none; -ENOSPC: longer than the room, *@bytes says how long, the first 256 bytes
 * are copied and it stays; -EIO: the HCA is gone.
 */
int umad_port_receive(struct umad_open_port *port, struct ib_user_mad *umad, size_t *bytes);
/* Wait until there is something to receive; a cancellation point. -ETIMEDOUT; below 0: for ever. */
int umad_port_wait(struct umad_open_port *port, int timeout_ms);

#endif
