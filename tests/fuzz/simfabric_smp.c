/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Any MADs, sent from H1's port one after the other: afterwards links agree at both ends, tables
 * are in bounds, every chunk of the arena is accounted for and data finds its way or an error.
 */
#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/clients.h"
#include "simfabric/forward.h"
#include "simfabric/mad_delivery.h"
#include "simfabric/mailbox.h"
#include "unit/simfabric_fixture.h"

enum { MADS_MOST = 16, ADDRESS_BYTES = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

static void send_one(struct fabric *fabric, uint32_t box, const uint8_t *bytes, size_t size)
{
	uint8_t mad[MAD_BYTES] = {0};
	struct mad_packet packet = {
	        .origin = {mailbox_at(fabric, box)->port, box, mailbox_at(fabric, box)->generation,
	                0},
	        .mad = mad,
	        .bytes = sizeof(mad),
	};
	bool is_answered;

	packet.to.lid = htobe16((uint16_t)(bytes[0] << 8 | bytes[1]));
	packet.to.qpn = htobe32(bytes[2] & 1);
	memcpy(mad, bytes + ADDRESS_BYTES,
	        size - ADDRESS_BYTES < sizeof(mad) ? size - ADDRESS_BYTES : sizeof(mad));
	fabric_lock(fabric);
	mad_run_due(fabric);
	mad_send(fabric, &packet, &is_answered);
	require(!is_answered || mailbox_peek(fabric, box) != NO_INDEX);
	fabric_unlock(fabric);
}

static void check_links(const struct fabric *fabric)
{
	for (uint32_t i = 0; i < port_count(fabric); i++) {
		const struct port *port = &fabric->ports[i];

		require(port_info_mtu(port->info) <= port_info_mtu_cap(port->info));
		require(port_lid(port) < 0xc000 && port_state(port) <= PORT_ACTIVE);
		if (port->peer == NO_INDEX)
			require(!port->number || !port_is_up(port));
		else
			require(port_is_up(port) == port_is_up(&fabric->ports[port->peer]));
	}
	for (uint32_t i = 0; i < switch_count(fabric); i++)
		require(switch_info_linear_top(fabric->switches[i].info) < LFT_CAPACITY);
}

static void check_delivery(const struct fabric *fabric)
{
	for (uint32_t from = 0; from < port_count(fabric); from++) {
		for (unsigned lid = 0; lid < 32; lid++) {
			uint32_t to = NO_INDEX;

			if (!forward_unicast(fabric, from, (uint16_t)lid, &to, NULL))
				require(port_has_lid(&fabric->ports[to], (uint16_t)lid));
		}
	}
}

static void drain(struct fabric *fabric, uint32_t box)
{
	uint32_t message;

	fabric_lock(fabric);
	while ((message = mailbox_take(fabric, box)) != NO_INDEX)
		message_free(fabric, message);
	require(message_chunks_used(fabric) == 0);
	fabric_unlock(fabric);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct agent sm = {.mgmt_class = CLASS_SUBN_LID,
	        .class_version = 1,
	        .methods = {1 << METHOD_SUBN_TRAP | 1 << METHOD_SUBN_GET}};
	struct fabric *fabric = fixture_open();
	uint32_t box;

	require(fabric && !client_join(fabric));
	fixture_bring_up(fabric);
	require(!mailbox_open(fabric, fixture_port(fabric, "H1", 1), &box));
	agent_register(fabric, box, &sm);
	for (unsigned i = 0; i < MADS_MOST && size > ADDRESS_BYTES; i++) {
		size_t here = size < ADDRESS_BYTES + MAD_BYTES ? size : ADDRESS_BYTES + MAD_BYTES;

		send_one(fabric, box, bytes, here);
		bytes += here;
		size -= here;
	}
	check_links(fabric);
	check_delivery(fabric);
	drain(fabric, box);
	fixture_close(fabric);
	return 0;
}
