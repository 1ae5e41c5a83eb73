/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "notifier/wire/gid_name.h"
#include "preload/agent_link.h"
#include "preload/async_events.h"
#include "preload/completion_channel.h"
#include "preload/connection_devices.h"
#include "preload/completion_moderation.h"
#include "preload/control.h"
#include "preload/data_path.h"
#include "preload/data_path_cq_ex.h"
#include "preload/device_clock.h"
#include "preload/device_list.h"
#include "preload/kept_errors.h"
#include "preload/lost_devices.h"
#include "preload/lock_limit.h"
#include "preload/memory.h"
#include "preload/memory_windows.h"
#include "preload/move.h"
#include "preload/places.h"
#include "preload/sq_psns.h"
#include "preload/window_work.h"
#include "preload/xrc.h"

struct context_list contexts = TAILQ_HEAD_INITIALIZER(contexts);
pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
bool device_was_imported, verbs_are_elsewhere;

/* What this library cannot make again elsewhere is not offered. */
static void attr_restrict(struct ibv_device_attr_ex *attr)
{
	const unsigned hidden =
	        IBV_DEVICE_MANAGED_FLOW_STEERING | IBV_DEVICE_AUTO_PATH_MIG | IBV_DEVICE_SRQ_RESIZE;

	attr->orig_attr.device_cap_flags &= ~hidden;
	if (attr->orig_attr.phys_port_cnt > PORTS_MAX)
		attr->orig_attr.phys_port_cnt = PORTS_MAX;
	attr->device_cap_flags_ex &= ~(uint64_t)hidden;
	memset(&attr->tso_caps, 0, sizeof(attr->tso_caps));
	memset(&attr->rss_caps, 0, sizeof(attr->rss_caps));
	memset(&attr->packet_pacing_caps, 0, sizeof(attr->packet_pacing_caps));
	memset(&attr->tm_caps, 0, sizeof(attr->tm_caps));
	attr->max_wq_type_rq = 0;
	attr->raw_packet_caps = 0;
	attr->max_dm_size = 0;
}

/* The first that stands in the table. */
static void learn_gid(struct context *context, uint8_t number, struct port *port)
{
	union ibv_gid gid;

	for (int i = 0; i < port->attr.gid_tbl_len; i++) {
		if (below.ibv_query_gid(context->real, number, i, &gid) || !gid.global.interface_id)
			continue;
		port->gid = gid;
		return;
	}
}

void context_learn_ports(struct context *context)
{
	for (unsigned i = 0; i < context->attr.orig_attr.phys_port_cnt; i++) {
		struct port *port = &context->ports[i];
		struct ibv_port_attr attr;

		if (port->known || ___ibv_query_port(context->real, (uint8_t)(i + 1), &attr))
			continue;
		port->attr = attr;
		learn_gid(context, (uint8_t)(i + 1), port);
		port->known = attr.lid || port_is_ethernet(port);
		if (port->known)
			device_learn_port(context->device, i, port);
	}
}

void context_learn_real_lids(struct context *context)
{
	for (unsigned i = 0; i < context->attr.orig_attr.phys_port_cnt; i++) {
		struct ibv_port_attr attr;

		if (!___ibv_query_port(context->real, (uint8_t)(i + 1), &attr))
			context->ports[i].real_lid = attr.lid;
	}
}

bool ports_have_lid(const struct port *ports, uint32_t lid)
{
	for (unsigned i = 0; lid && i < PORTS_MAX; i++) {
		const struct ibv_port_attr *attr = &ports[i].attr;

		if (is_gid_name(lid) && known_gids_have_name(&ports[i].gids, lid))
			return true;
		if (!port_is_ethernet(&ports[i]) && ports[i].known && lid >= attr->lid &&
		        lid < attr->lid + (1u << attr->lmc))
			return true;
	}
	return false;
}

bool ports_have_gid(const struct port *ports, const union ibv_gid *gid)
{
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		if (ports[i].known && !memcmp(&ports[i].gid, gid, sizeof(*gid)))
			return true;
	}
	return false;
}

static int shown_query_port(
        struct ibv_context *shown, uint8_t number, struct ibv_port_attr *attr, size_t size)
{
	struct context *context = context_of(shown);
	struct ibv_port_attr now;
	struct port *port;
	int err = 0;

	if (number < 1 || number > PORTS_MAX)
		return EINVAL;
	port = &context->ports[number - 1];
	control_enter(context, NEEDS_NOTHING);
	if (context->phase == PHASE_LOST)
		err = ENODEV;
	if (context->phase == PHASE_RUNNING) {
		err = ___ibv_query_port(context->real, number, &now);
		if (!err && port->known) {
			now.lid = port->attr.lid;
			now.lmc = port->attr.lmc;
			now.gid_tbl_len = port->attr.gid_tbl_len;
			now.pkey_tbl_len = port->attr.pkey_tbl_len;
		}
		if (!err)
			port->attr = now;
	}
	if (!err)
		memcpy(attr, &port->attr, size < sizeof(port->attr) ? size : sizeof(port->attr));
	if (context->phase == PHASE_RUNNING && !port->known)
		context_learn_ports(context);
	control_leave();
	return err;
}

static int shown_query_device_ex(struct ibv_context *shown,
        const struct ibv_query_device_ex_input *input, struct ibv_device_attr_ex *attr, size_t size)
{
	struct context *context = context_of(shown);

	if (input && input->comp_mask)
		return EINVAL;
	memset(attr, 0, size);
	memcpy(attr, &context->attr, size < sizeof(*attr) ? size : sizeof(*attr));
	return 0;
}

static void context_show(struct context *context)
{
	struct verbs_context *verbs = &context->shown;

	verbs->sz = sizeof(*verbs);
#define VERBS_OP(class, slot, function, remark, test) verbs->slot = function;
#include "preload/inline_operations.def"
	verbs->context.abi_compat = __VERBS_ABI_IS_EXTENDED;
	verbs->context.device = &context->device->shown;
	verbs->context.num_comp_vectors = context->real->num_comp_vectors;
	verbs->context.cmd_fd = context->real->cmd_fd;
	verbs->context.async_fd = context->async.fd;
	verbs->context.ops = data_path_ops;
	pthread_mutex_init(&verbs->context.mutex, NULL);
}

static void lists_init(struct context *context)
{
	TAILQ_INIT(&context->pds);
	TAILQ_INIT(&context->mrs);
	TAILQ_INIT(&context->channels);
	TAILQ_INIT(&context->cqs);
	TAILQ_INIT(&context->xrc_domains);
	TAILQ_INIT(&context->srqs);
	TAILQ_INIT(&context->qps);
	TAILQ_INIT(&context->ahs);
	TAILQ_INIT(&context->orphans);
	pthread_mutex_init(&context->lists_lock, NULL);
	pthread_mutex_init(&context->shifted.lock, NULL);
	window_set_init(&context->windows);
}

/*
 * Whoever is asked for one knows nothing of the VM's other processes, which may be of other
 * containers: it is drawn. Two that drew the same are found by their agent, and refused.
 */
static uint32_t number_draw(void)
{
	uint32_t number = 0;

	if (getrandom(&number, sizeof(number), 0) < 0)
		number = (uint32_t)monotonic_us() * 0x9e3779b1u ^ (uint32_t)getpid();
	return number;
}

static bool number_is_taken(uint32_t number)
{
	const struct context *context;
	bool taken = false;

	LOCK_GUARD(&contexts_lock);
	TAILQ_FOREACH(context, &contexts, link)
	taken |= context->number == number;
	return taken;
}

void context_draw_number(struct context *context)
{
	uint32_t number;

	/* Others know its keys by this one, or the root the context itself. */
	if (context->moved || context->announced)
		return;
	do
		number = number_draw();
	while (number_is_taken(number));
	context->number = number;
}

static void context_free(struct context *context)
{
	number_table_clear(&context->lkeys);
	number_table_clear(&context->rkeys);
	number_table_clear(&context->qpns);
	number_table_clear(&context->numbers);
	window_set_fini(&context->windows);
	port_tables_free(context);
	shifted_regions_fini(&context->shifted);
	for (unsigned i = 0; i < PORTS_MAX; i++)
		known_gids_clear(&context->ports[i].gids);
	pthread_mutex_destroy(&context->lists_lock);
	free(context);
}

static struct context *context_create(struct device *device, bool has_moved)
{
	struct context *context = calloc(1, sizeof(*context));
	int err;

	if (!context)
		return NULL;
	errno = has_moved ? -device_open_successor(device, &context->real)
	                  : -device_open(device, &context->real);
	if (!context->real) {
		free(context);
		return NULL;
	}
	context->device = device;
	context_draw_number(context);
	lists_init(context);
	err = async_events_open(context);
	if (err) {
		device_close(device, context->real);
		context_free(context);
		errno = -err;
		return NULL;
	}
	if (ibv_query_device_ex(context->real, NULL, &context->attr))
		memset(&context->attr, 0, sizeof(context->attr));
	attr_restrict(&context->attr);
	sq_psns_arrive(context);
	context_clock_begin(context);
	context_learn_ports(context);
	context_learn_gids(context);
	context_show(context);
	return context;
}

static void context_destroy(struct context *context)
{
	if (context->real)
		context_close_real(context);
	async_events_close(context);
	context_free(context);
}

/* What is opened while its device is about to move moves, too. False: it has been taken away. */
static bool take_place(struct context *context)
{
	LOCK_GUARD(&contexts_lock);
	context->phase = move_phase_of(context);
	if (context->phase == PHASE_AWAY)
		return false;
	/* What it tells from here on finds it in the list. */
	lost_device_opens(context);
	TAILQ_INSERT_TAIL(&contexts, context, link);
	device_is_used(context->device, true);
	return true;
}

WRAPPER struct ibv_context *ibv_open_device(struct ibv_device *shown)
{
	struct device *device = device_of(shown);
	struct context *context;
	bool taken, has_moved = false;

	if (!device)
		return below.ibv_open_device(shown);
	context = connection_context_again(device);
	if (context)
		return &context->shown.context;
	agent_link_start();
	lock_limit_note();
	do {
		has_moved |= control_enter_device(device);
		context = context_create(device, has_moved);
		/* Whose it is was not known before its ports were. */
		taken = context && !take_place(context);
		if (taken)
			context_destroy(context);
		else if (context)
			context_announce_gids(context);
		control_leave();
	} while (taken);
	if (context)
		connection_context_uses(context);
	return context ? &context->shown.context : NULL;
}

WRAPPER int ibv_close_device(struct ibv_context *shown)
{
	struct context *context = context_of(shown);

	if (!context)
		return below.ibv_close_device(shown);
	if (connection_context_parts(context))
		return 0;
	control_enter(context, NEEDS_NOTHING);
	if (!context->inherited) {
		pthread_mutex_lock(&contexts_lock);
		TAILQ_REMOVE(&contexts, context, link);
		pthread_mutex_unlock(&contexts_lock);
		device_is_used(context->device, false);
		if (context->announced)
			context_withdraw(context, 0);
	}
	context_destroy(context);
	control_leave();
	return 0;
}

WRAPPER struct ibv_context *ibv_import_device(int fd)
{
	device_was_imported = true;
	return below.ibv_import_device(fd);
}

void context_close_real(struct context *context)
{
	async_events_detach(context);
	lost_device_closes(context);
	if (context->inherited)
		below.ibv_close_device(context->real);
	else
		device_close(context->device, context->real);
	context->real = NULL;
}

/* Its events are not the application's before the move is over: async_events_attach. */
int context_open_real(struct context *context)
{
	int err = device_open_successor(context->device, &context->real);

	if (err)
		return err;
	err = inner_fd_prepare(context->real->async_fd);
	if (err) {
		context_close_real(context);
		return err;
	}
	lost_device_opens(context);
	sq_psns_arrive(context);
	return 0;
}

/* The parent's threads may be in any of its queues, and its moves have no end here. */
static void queues_inherit(struct context *context)
{
	struct shared_receive_queue *srq;
	struct completion_queue *cq;
	struct xrc_domain *domain;
	struct queue_pair *qp;

	TAILQ_FOREACH(cq, &context->cqs, link)
	{
		gate_init(&cq->gate);
		gate_inherit(&cq->poll_gate);
	}
	TAILQ_FOREACH(domain, &context->xrc_domains, link)
	xrc_domain_inherit(domain);
	TAILQ_FOREACH(srq, &context->srqs, link)
	{
		gate_init(&srq->gate);
		pthread_mutex_init(&srq->log.lock, NULL);
	}
	TAILQ_FOREACH(qp, &context->qps, link)
	{
		gate_init(&qp->send_gate);
		gate_init(&qp->receive_gate);
		gate_inherit(&qp->build_gate);
		qp->migration.move = NULL;
		/* Without a device it stays held, and flushes what is posted. */
		if (context->phase == PHASE_LOST)
			qp->application_error = true;
		else
			qp->held = qp->receives_held = false;
	}
}

/* What is without its device will not get one again here. */
static void context_inherit(struct context *context)
{
	bool is_away = context->phase == PHASE_AWAY || context->phase == PHASE_LOST;

	context->inherited = true;
	context->phase = is_away ? PHASE_LOST : PHASE_RUNNING;
	pthread_mutex_init(&context->lists_lock, NULL);
	pthread_mutex_init(&context->shifted.lock, NULL);
	pthread_mutex_init(&context->windows.lock, NULL);
	queues_inherit(context);
	completion_channels_inherit(context);
	async_events_inherit(context);
	kept_errors_inherit(context);
}

void contexts_forget(void)
{
	struct context *context;

	TAILQ_FOREACH(context, &contexts, link)
	context_inherit(context);
	TAILQ_INIT(&contexts);
	pthread_mutex_init(&contexts_lock, NULL);
}

/* ---- questions ---- */

WRAPPER int ibv_query_device(struct ibv_context *shown, struct ibv_device_attr *attr)
{
	struct context *context = context_of(shown);

	if (!context)
		return below.ibv_query_device(shown, attr);
	*attr = context->attr.orig_attr;
	return 0;
}

/* Of programs built before query_port had a slot; they read the fields up to link_layer. */
WRAPPER int ibv_query_port(
        struct ibv_context *shown, uint8_t port, struct _compat_ibv_port_attr *attr)
{
	if (!context_of(shown))
		return below.ibv_query_port(shown, port, attr);
	return shown_query_port(
	        shown, port, (struct ibv_port_attr *)attr, offsetof(struct ibv_port_attr, flags));
}

/* Only the device can answer; asked in the middle of a move it waits for its end. */
WRAPPER int ibv_resolve_eth_l2_from_gid(
        struct ibv_context *shown, struct ibv_ah_attr *attr, uint8_t mac[6], uint16_t *vid)
{
	struct context *context = context_of(shown);
	int err;

	if (!context)
		return below.ibv_resolve_eth_l2_from_gid(shown, attr, mac, vid);
	err = control_enter(context, NEEDS_DEVICE);
	if (err)
		return err;
	err = below.ibv_resolve_eth_l2_from_gid(context->real, attr, mac, vid);
	control_leave();
	return err;
}
