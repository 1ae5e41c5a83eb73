/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Any text is a topology or an error; a topology's cables lead both ways. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/net_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char error[256] = "";
	struct net *net = NULL;

	if (net_parse("fuzz", (const char *)bytes, size, &net, error, sizeof(error))) {
		if (net || !error[0])
			abort();
		return 0;
	}
	for (uint32_t i = 0; i < net->port_count; i++) {
		uint32_t peer = net->ports[i].peer;

		if (peer != NO_INDEX && (peer >= net->port_count || net->ports[peer].peer != i))
			abort();
	}
	for (uint32_t i = 0; i < net->hypervisor_count; i++) {
		const struct net_hypervisor *h = &net->hypervisors[i];
		bool is_shared = h->vswitch == NO_INDEX;

		if (net->nodes[h->pf].kind != NODE_CA || is_shared != !!h->shared_vfs ||
		        (!is_shared && net->nodes[h->vswitch].kind != NODE_SWITCH))
			abort();
	}
	net_destroy(net);
	return 0;
}
