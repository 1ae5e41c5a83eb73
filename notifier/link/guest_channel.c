/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/guest_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Those up to 2 are the hypervisor's, this machine's and the host's, the last one is nobody's. */
enum { CID_FIRST = 3 };

static int cid_parse(const char *text, uint32_t *cid)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value < CID_FIRST || value >= UINT32_MAX)
		return -EINVAL;
	*cid = (uint32_t)value;
	return 0;
}

int guest_channel_parse(const char *text, struct guest_channel *channel)
{
	static const char virtio[] = "virtio:/", vsock[] = "vsock:";
	struct guest_channel parsed = {0};

	if (!strcmp(text, "unix"))
		parsed.kind = GUEST_CHANNEL_UNIX;
	else if (!strncmp(text, virtio, strlen(virtio)))
		parsed.kind = GUEST_CHANNEL_VIRTIO;
	else if (!strncmp(text, vsock, strlen(vsock)))
		parsed.kind = GUEST_CHANNEL_VSOCK;
	else if (strcmp(text, "none") != 0)
		return -EINVAL;
	if (parsed.kind == GUEST_CHANNEL_VSOCK && cid_parse(text + strlen(vsock), &parsed.cid))
		return -EINVAL;
	*channel = parsed;
	return 0;
}
