/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/smp_sender_umad.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/raw/fabric_read_umad.h"

struct umad_sender {
	struct smp_sender sender;
	struct umad_window *window;
	struct fabric_read *fabric;
	bool by_lid;
	int error;
	uint32_t culprit; /* index of the node */
};

static struct umad_sender *umad_sender_of(struct smp_sender *sender)
{
	return (struct umad_sender *)(void *)sender;
}

static void fail(struct umad_sender *s, const struct ask *ask, int error)
{
	if (s->error)
		return;
	s->error = error;
	s->culprit = ask->index;
}

/* The Set's answer stands for what the node has now. */
static void believe(struct umad_sender *s, const struct ask *ask, const uint8_t *data)
{
	struct read_node *node = &s->fabric->nodes[ask->index];

	if (ask->request.attribute == SMP_LFT)
		memcpy(node->lft + (size_t)ask->request.modifier * LFT_BLOCK_LIDS, data,
		        LFT_BLOCK_LIDS);
	else if (ask->request.attribute == SMP_PORT_INFO)
		memcpy(node->ports[ask->port].info, data, SMP_DATA_BYTES);
}

/* PortInfo answers with what the port has, of which the LID alone was to change. */
static bool is_what_was_written(const struct ask *ask, const uint8_t *data)
{
	struct smp_port_info wanted, there;

	if (ask->request.attribute != SMP_PORT_INFO)
		return !memcmp(ask->request.data, data, SMP_DATA_BYTES);
	smp_port_info_decode(ask->request.data, &wanted);
	smp_port_info_decode(data, &there);
	return wanted.lid == there.lid;
}

static enum ask_verdict set_done(const struct ask *ask, const struct smp_answer *answer, int error)
{
	struct umad_sender *s = ask->context;

	if (!answer) {
		fail(s, ask, error);
		return ASK_DONE;
	}
	if (answer->status) {
		fail(s, ask, -EREMOTEIO);
		return ASK_DONE;
	}
	if (!is_what_was_written(ask, answer->data))
		return ASK_AGAIN;
	believe(s, ask, answer->data);
	return ASK_DONE;
}

static int post(struct umad_sender *s, const struct read_node *node, enum smp_attribute attribute,
        uint32_t modifier, const uint8_t *data, uint8_t port)
{
	struct ask ask = {
	        .request = {.route = fabric_read_route(node, s->by_lid),
	                .method = SMP_SET,
	                .attribute = attribute,
	                .modifier = modifier},
	        .done = set_done,
	        .context = s,
	        .index = (uint32_t)(node - s->fabric->nodes),
	        .port = port,
	};

	memcpy(ask.request.data, data, SMP_DATA_BYTES);
	return umad_window_post(s->window, &ask);
}

static int block_write(struct umad_sender *s, const struct plan_change *change)
{
	const struct read_node *node = fabric_read_find(s->fabric, change->switch_guid);

	if (!node || node->type != SMP_NODE_SWITCH)
		return -ENOENT;
	if (!node->lft || (change->block + 1u) * LFT_BLOCK_LIDS > node->lft_entries)
		return -ENOSPC;
	if (memcmp(node->lft + (size_t)change->block * LFT_BLOCK_LIDS, change->before,
	            LFT_BLOCK_LIDS))
		return -ESTALE;
	return post(s, node, SMP_LFT, change->block, change->after, 0);
}

static int lft_write(struct smp_sender *sender, const struct plan_change *change)
{
	struct umad_sender *s = umad_sender_of(sender);
	int error = block_write(s, change);

	if (error) {
		umad_window_cancel(s->window);
		s->error = 0;
	}
	return error;
}

static int lid_write(struct smp_sender *sender, uint64_t port_guid, uint16_t lid)
{
	struct umad_sender *s = umad_sender_of(sender);
	uint8_t data[SMP_DATA_BYTES], port;
	const struct read_node *node = fabric_read_end_port(s->fabric, port_guid, &port);

	if (!node)
		return -ENOENT;
	memcpy(data, node->ports[port].info, sizeof(data));
	smp_port_info_for_lid(data, lid);
	return post(s, node, SMP_PORT_INFO, port, data, port);
}

static int pkeys_write(struct smp_sender *sender, uint64_t port_guid, enum pkey_holder holder,
        uint16_t block, const uint8_t *bytes)
{
	struct umad_sender *s = umad_sender_of(sender);
	uint32_t modifier = block;
	uint8_t port;
	const struct read_node *node = fabric_read_end_port(s->fabric, port_guid, &port);

	if (node && holder == PKEYS_OF_SWITCH_PORT) {
		struct view_place place = fabric_read_place_of(s->fabric, node, port);

		node = place.switch_guid ? fabric_read_find(s->fabric, place.switch_guid) : NULL;
		modifier |= (uint32_t)place.port << 16;
	}
	return node ? post(s, node, SMP_PKEY_TABLE, modifier, bytes, 0) : -ENOENT;
}

static int lft_wait(struct smp_sender *sender, uint64_t deadline_ns, uint32_t *resent)
{
	struct umad_sender *s = umad_sender_of(sender);
	uint64_t before = umad_window_counts(s->window).resent;
	int error, failed;

	s->culprit = READ_NOBODY;
	error = umad_window_run(s->window, deadline_ns);
	*resent += (uint32_t)(umad_window_counts(s->window).resent - before);
	failed = s->error;
	s->error = 0;
	return failed ? failed : error;
}

const struct read_node *smp_sender_umad_culprit(const struct smp_sender *sender)
{
	const struct umad_sender *s = (const struct umad_sender *)(const void *)sender;

	return s->culprit == READ_NOBODY ? NULL : &s->fabric->nodes[s->culprit];
}

static void sender_destroy(struct smp_sender *sender)
{
	struct umad_sender *s = umad_sender_of(sender);

	umad_window_cancel(s->window);
	free(s);
}

static const struct smp_sender_kind kind = {
        .name = "umad",
        .lft_write = lft_write,
        .lid_write = lid_write,
        .pkeys_write = pkeys_write,
        .lft_wait = lft_wait,
        .destroy = sender_destroy,
};

struct smp_sender *smp_sender_umad_create(
        struct umad_window *window, struct fabric_read *fabric, bool by_lid)
{
	struct umad_sender *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->sender.kind = &kind;
	s->window = window;
	s->fabric = fabric;
	s->by_lid = by_lid;
	s->culprit = READ_NOBODY;
	return &s->sender;
}
