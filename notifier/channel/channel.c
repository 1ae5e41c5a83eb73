/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/channel/channel.h"

#include <errno.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/channel/channel_tls.h"
#include "notifier/channel/channel_unix.h"
#include "notifier/channel/channel_virtio.h"
#include "notifier/channel/channel_vsock.h"

static const struct channel_ops *const backends[] = {
        &channel_unix_ops, &channel_tls_ops, &channel_virtio_ops, &channel_vsock_ops};

int channel_address(const char *address, const struct channel_ops **ops, const char **rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		size_t length = strlen(backends[i]->scheme);

		if (strncmp(address, backends[i]->scheme, length) || address[length] != ':')
			continue;
		address += length + 1;
		if (!*address || (backends[i]->fits && !backends[i]->fits(address)))
			return -EPROTONOSUPPORT;
		*ops = backends[i];
		*rest = address;
		return 0;
	}
	return -EPROTONOSUPPORT;
}
