/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Datagrams that come to an Ethernet port. There are no LIDs: who has sent one, and to which of the
 * receiver's GIDs, stands in the header in front of it (grh.h), as the devices have it now. The
 * application is to see there what it knows, so what differs since a move is written anew, before
 * it may look. Nothing but reading where nothing differs.
 *
 * Inside the gate of the completion queue, unless it says otherwise.
 */
#ifndef TETHER_DATAGRAM_HEADERS_H
#define TETHER_DATAGRAM_HEADERS_H

#include "preload/objects.h"

/* In src_qp: of a datagram whose sender is not known yet, and of those one that has a header kept
 * (in vendor_err, which means nothing of a success). A poll that brings one to the application
 * waits until that is known. */
enum { STRANGER = 1 << 24, STRANGER_BY_NAME = 1 << 25 };

/* Headers of strangers, by where they stand; the queue's. Zero-initialised there are none. */
void kept_headers_fini(struct kept_headers *kept);

/* Its receive is in the log still, by the tag in wr_id. */
void datagram_header_received(struct queue_pair *qp, struct ibv_wc *wc);

/* Of a stranger by name: who is to be asked for. */
struct remote datagram_header_sender(const struct completion_queue *cq, const struct ibv_wc *wc);
/* What can be known is: it is none any more. @qp NULL: it is gone. */
void datagram_header_introduce(
        struct completion_queue *cq, struct queue_pair *qp, struct ibv_wc *wc);
/* Nobody will see it. */
void datagram_header_forget(struct completion_queue *cq, const struct ibv_wc *wc);

#endif
