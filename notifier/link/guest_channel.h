/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Over what a host reaches the agent in one of its VMs, as inventories and settings say it. Pure.
 *
 *	none           there is none
 *	unix           the socket SOCKET_DIR/VM.guest, where the guest, or what speaks for it,
 *connects virtio:/PATH   the hypervisor's socket of a virtio-serial port; the host connects
 *	vsock:CID      who comes from that CID to the host's port
 */
#ifndef TETHER_GUEST_CHANNEL_H
#define TETHER_GUEST_CHANNEL_H

#include <stdint.h>

enum guest_channel_kind {
	GUEST_CHANNEL_NONE,
	GUEST_CHANNEL_UNIX,
	GUEST_CHANNEL_VIRTIO,
	GUEST_CHANNEL_VSOCK,
};

struct guest_channel {
	enum guest_channel_kind kind;
	uint32_t cid; /* of VSOCK */
};

/* -EINVAL: it is none of the above. */
int guest_channel_parse(const char *text, struct guest_channel *channel);

#endif
