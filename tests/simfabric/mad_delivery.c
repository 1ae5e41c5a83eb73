/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/mad_delivery.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "simfabric/event_heap.h"
#include "simfabric/mailbox.h"
#include "simfabric/topology.h"
#include "simfabric/traps.h"

enum { WELL_KNOWN_QKEY = 0x80010000 };

int mad_send(struct fabric *fabric, const struct mad_packet *packet, bool *is_answered)
{
	*is_answered = false;
	return mad_is_smp(packet->mad) ? smi_send(fabric, packet, is_answered)
	                               : gsi_send(fabric, packet, is_answered);
}

bool mad_deliver(struct fabric *fabric, const struct mad_origin *to, const struct ib_mad_addr *from,
        const uint8_t *mad, size_t bytes, bool is_answered)
{
	const struct mailbox *mailbox;
	struct message *message;
	uint32_t index;

	if (to->mailbox == NO_INDEX)
		return false;
	mailbox = mailbox_at(fabric, to->mailbox);
	if (!mailbox->is_used || mailbox->generation != to->generation)
		return false;
	index = message_create(fabric, mad, bytes);
	if (index == NO_INDEX)
		return false;
	message = message_at(fabric, index);
	message->address = *from;
	message->agent = to->agent;
	message->is_answered = is_answered;
	return mailbox_post(fabric, to->mailbox, index);
}

struct ib_mad_addr mad_address_of(
        const struct fabric *fabric, uint32_t port, const struct ib_mad_addr *to)
{
	const struct port *p = &fabric->ports[port];
	struct ib_mad_addr from = {
	        .qpn = to->qpn,
	        .qkey = to->qpn ? htobe32(WELL_KNOWN_QKEY) : 0,
	        .lid = htobe16(port_lid(p)),
	        .sl = to->sl,
	        .grh_present = to->grh_present,
	};

	if (to->grh_present) {
		from.ib_gid.global.subnet_prefix = htobe64(port_gid_prefix(p));
		from.ib_gid.global.interface_id = htobe64(p->guid);
		from.flow_label = to->flow_label;
		from.hop_limit = to->hop_limit;
		from.traffic_class = to->traffic_class;
	}
	return from;
}

static struct mad_fault_case fault_case(
        const uint8_t *mad, uint32_t node, enum mad_direction direction)
{
	return (struct mad_fault_case){
	        .direction = direction,
	        .node = node,
	        .attribute = mad_get16(mad, MAD_ATTRIBUTE),
	        .mgmt_class = mad[MAD_CLASS],
	        .method = mad[MAD_METHOD],
	        .tid = mad_get64(mad, MAD_TID),
	};
}

bool mad_is_dropped(
        struct fabric *fabric, const uint8_t *request, uint32_t node, enum mad_direction direction)
{
	struct mad_fault_case c = fault_case(request, node, direction);

	return mad_fault_drops(fabric, &c);
}

/* False: there is no room for it. */
static bool arrives_later(struct fabric *fabric, const struct mad_packet *packet, uint64_t delay_ns)
{
	struct event event = {
	        .due_ns = now_ns() + delay_ns,
	        .kind = EVENT_MAD_ARRIVES,
	        .port = packet->origin.port,
	        .mailbox = packet->origin.mailbox,
	        .generation = packet->origin.generation,
	};

	event.message = message_create(fabric, packet->mad, packet->bytes);
	if (event.message == NO_INDEX)
		return false;
	message_at(fabric, event.message)->address = packet->to;
	message_at(fabric, event.message)->agent = packet->origin.agent;
	message_at(fabric, event.message)->is_rmpp = packet->is_rmpp;
	if (!event_add(fabric, &event))
		return true;
	message_free(fabric, event.message);
	return false;
}

bool mad_is_delayed(
        struct fabric *fabric, const struct mad_packet *packet, uint32_t node, unsigned hops)
{
	struct mad_fault_case c = fault_case(packet->mad, node, MAD_REQUEST);
	uint64_t delay_ns = mad_fault_delay_ns(fabric, &c, hops);

	return delay_ns && arrives_later(fabric, packet, delay_ns);
}

bool mad_is_duplicated(
        struct fabric *fabric, const struct mad_packet *packet, uint32_t node, unsigned hops)
{
	struct mad_fault_case c = fault_case(packet->mad, node, MAD_REQUEST);
	uint64_t delay_ns;

	return mad_fault_duplicates(fabric, &c, hops, &delay_ns) &&
	       arrives_later(fabric, packet, delay_ns);
}

static void mad_arrives(struct fabric *fabric, const struct event *event)
{
	uint8_t plain[MAD_BYTES] = {0};
	const struct message *message;
	CLEANUP_FREE uint8_t *large = NULL;
	struct mad_packet packet = {
	        .origin = {event->port, event->mailbox, event->generation, 0},
	        .mad = plain,
	        .is_late = true,
	};

	if (event->message == NO_INDEX)
		return;
	message = message_at(fabric, event->message);
	if (message->length > sizeof(plain))
		packet.mad = large = malloc(message->length);
	if (packet.mad) {
		packet.bytes = message->length;
		packet.to = message->address;
		packet.origin.agent = message->agent;
		packet.is_rmpp = message->is_rmpp;
		message_read(fabric, event->message, (uint8_t *)packet.mad, packet.bytes);
	}
	message_free(fabric, event->message);
	if (packet.mad && mad_is_smp(packet.mad))
		smi_arrive(fabric, &packet);
	else if (packet.mad)
		gsi_arrive(fabric, &packet);
}

void mad_run_due(struct fabric *fabric)
{
	struct event event;

	if (event_next_ns(fabric) == UINT64_MAX)
		return;
	while (event_take_due(fabric, now_ns(), &event)) {
		if (event.kind == EVENT_MAD_ARRIVES)
			mad_arrives(fabric, &event);
		else
			trap_repeat(fabric, event.trap, event.generation);
	}
}
