/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_noted_verbs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "preload/agent_link.h"
#include "preload/objects.h"
#include "preload/real_verbs.h"

enum { CALLS = 64, OBJECTS = 32 };

static struct {
	const char *name;
	uintptr_t first;
} calls[CALLS];
static unsigned call_count;

static union {
	struct ibv_context *context; /* where every object has it */
	struct ibv_cq cq;
	unsigned char bytes[1024];
} objects[OBJECTS];
static unsigned object_count;

struct ibv_device real_device;
struct ibv_device *real_devices[] = {&real_device, NULL};
struct ibv_context real_context;

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

static uintptr_t answer_to(const char *name)
{
	if (begins(name, "ibv_get_device_list"))
		return (uintptr_t)real_devices;
	if (begins(name, "ibv_open_device"))
		return (uintptr_t)&real_context;
	if (!begins(name, "ibv_create_") && !begins(name, "ibv_alloc_") &&
	        !begins(name, "ibv_reg_"))
		return 0;
	assert_in_range(object_count, 0, OBJECTS - 1);
	objects[object_count].context = &real_context;
	return (uintptr_t)&objects[object_count++];
}

static uintptr_t noted(const char *name, uintptr_t first)
{
	assert_in_range(call_count, 0, CALLS - 1);
	calls[call_count].name = name;
	calls[call_count++].first = first;
	return answer_to(name);
}

/* What is given with a real queue, and comes back with its event. */
static void *back;
static int has_happened; /* a descriptor with an event */

#define FIRST_OF(first, ...) first
#define FIRST(...)           FIRST_OF(__VA_ARGS__ __VA_OPT__(, ) 0)
#define SYMBOL(ret, name, version, params, args, test)                                             \
	static ret below_##name params                                                             \
	{                                                                                          \
		return (ret)noted(#name, (uintptr_t)(FIRST args));                                 \
	}
#include "preload/wrapped_symbols.def"

static struct ibv_cq *create_cq(struct ibv_context *context, int cqe, void *cq_context,
        struct ibv_comp_channel *channel, int vector)
{
	back = cq_context;
	return below_ibv_create_cq(context, cqe, cq_context, channel, vector);
}

static int get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **cq_context)
{
	*cq = &objects[0].cq;
	*cq_context = back;
	return below_ibv_get_cq_event(channel, cq, cq_context);
}

static int get_async_event(struct ibv_context *context, struct ibv_async_event *event)
{
	*event = (struct ibv_async_event){.event_type = IBV_EVENT_PORT_ACTIVE};
	return below_ibv_get_async_event(context, event);
}

static struct ibv_comp_channel *create_comp_channel(struct ibv_context *context)
{
	struct ibv_comp_channel *channel = below_ibv_create_comp_channel(context);

	channel->fd = has_happened;
	return channel;
}

static int query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	*attr = (struct ibv_device_attr){.max_qp = NOTED_MAX_QP, .phys_port_cnt = 1};
	return below_ibv_query_device(context, attr);
}

static struct real_verbs verbs = {
#define SYMBOL(ret, name, version, params, args, test) .name = below_##name,
#include "preload/wrapped_symbols.def"
};

const struct real_verbs *real_verbs(void)
{
	verbs.ibv_query_device = query_device;
	verbs.ibv_create_cq = create_cq;
	verbs.ibv_get_cq_event = get_cq_event;
	verbs.ibv_get_async_event = get_async_event;
	verbs.ibv_create_comp_channel = create_comp_channel;
	return &verbs;
}

static int below_req_notify_cq(struct ibv_cq *cq, int solicited_only)
{
	return (int)noted("req_notify_cq", (uintptr_t)cq);
}

/* What is there to be polled, once. */
struct ibv_wc completed;
bool has_completed;

static int below_poll_cq(struct ibv_cq *cq, int count, struct ibv_wc *wc)
{
	int got = has_completed;

	has_completed = false;
	if (got)
		*wc = completed;
	return got;
}

struct ibv_send_wr posted;

static int below_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	posted = *wr;
	return 0;
}

uint64_t received_as;

static int below_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	received_as = wr->wr_id;
	return 0;
}

void noted_begin(void)
{
	memset(objects, 0, sizeof(objects));
	object_count = call_count = 0;
	real_context.device = &real_device;
	strcpy(real_device.name, "real0");
	has_happened = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	real_context.async_fd = has_happened;
	real_context.ops.req_notify_cq = below_req_notify_cq;
	real_context.ops.poll_cq = below_poll_cq;
	real_context.ops.post_send = below_post_send;
	real_context.ops.post_recv = below_post_recv;
}

void noted_end(void)
{
	close(has_happened);
}

void noted_forget(void)
{
	call_count = 0;
}

unsigned noted_calls(void)
{
	return call_count;
}

bool was_called(const char *name, uintptr_t first)
{
	for (unsigned i = 0; i < call_count; i++) {
		if (!strcmp(calls[i].name, name) && calls[i].first == first)
			return true;
	}
	return false;
}

bool was_named(const char *name)
{
	for (unsigned i = 0; i < call_count; i++) {
		if (!strcmp(calls[i].name, name))
			return true;
	}
	return false;
}

/* ---- no agent ---- */

void agent_link_start(void)
{
}

void agent_link_register(struct remote *remote)
{
}

void agent_link_register_datagrams(struct remote *remote)
{
}

void agent_link_wake(void)
{
}

bool agent_link_is_there(void)
{
	return false;
}

void agent_link_await_sender(const struct remote *sender, uint64_t since_ms)
{
}

void agent_link_forget(const struct remote *remote)
{
}

void agent_link_took_numbers(uint32_t lid, const union ibv_gid *gid)
{
}

void agent_link_sender_has_left(uint32_t lid, const union ibv_gid *gid)
{
}

int agent_link_announce(const struct announcement *what)
{
	return 0;
}

int agent_link_announce_unasked(const struct announcement *what)
{
	return 0;
}

int agent_link_await_announced(uint32_t context)
{
	return 0;
}

void agent_link_part(const struct pair_names *names)
{
}

void agent_link_withdraw(const struct announcement *what)
{
}
