/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/mkey.h"

#include "simfabric/topology.h"

enum { VIOLATIONS_MAX = 0xffff, PROTECT_HIDE = 1 };

/* o14: a lease that runs out opens the port to everybody's Get, so that a new SM can take over. */
static void end_lease(struct port *port, uint64_t now)
{
	if (!port->mkey_lease_ends_ns || now < port->mkey_lease_ends_ns)
		return;
	port->mkey_lease_ends_ns = 0;
	port_info_set_mkey_protect(port->info, 0);
}

static void start_lease(struct port *port, uint64_t now)
{
	uint64_t seconds = port_info_mkey_lease_s(port->info);

	if (seconds && !port->mkey_lease_ends_ns)
		port->mkey_lease_ends_ns = now + seconds * 1000000000;
}

enum mkey_verdict mkey_check(
        struct fabric *fabric, uint32_t port, bool is_get, uint64_t mkey, uint64_t now)
{
	struct port *p = &fabric->ports[port];
	uint64_t own = port_info_mkey(p->info);
	uint16_t violations = port_info_mkey_violations(p->info);

	end_lease(p, now);
	if (!own)
		return MKEY_PASS;
	if (own == mkey) {
		p->mkey_lease_ends_ns = 0;
		return MKEY_PASS;
	}
	if (is_get && !port_info_mkey_protect(p->info))
		return MKEY_PASS;
	if (is_get && port_info_mkey_protect(p->info) == PROTECT_HIDE)
		return MKEY_PASS_HIDDEN;
	if (violations < VIOLATIONS_MAX)
		port_info_set_mkey_violations(p->info, violations + 1);
	start_lease(p, now);
	return MKEY_REFUSE;
}
