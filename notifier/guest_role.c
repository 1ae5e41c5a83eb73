/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/guest_role.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/agent_relay.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/name.h"
#include "notifier/link/vm_links.h"

/* The host's end may come back at any moment, and the VM waits for it: look often. */
enum { RECONNECT_MAX_MS = 100 };

struct guest_role {
	const struct agent_settings *settings;
	struct agent_relay agent;
	struct vm_links *links;
	char *vm;              /* NULL: the host has not said it yet */
	unsigned heartbeat_ms; /* that the host wants; 0: it has not said it yet */
};

static void child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct guest_role *role = owner;

	vm_links_send(role->links, child, frame);
}

static void child_close(void *owner, uint32_t child, const char *why)
{
	struct guest_role *role = owner;

	vm_links_end(role->links, child, why);
}

static void vm_leave(struct guest_role *role)
{
	if (!role->vm)
		return;
	vm_links_close(role->links, role->vm);
	relay_vm_left(role->agent.relay, role->vm, monotonic_ms());
	free(role->vm);
	role->vm = NULL;
}

/* A copy of a VM is another VM from then on. */
static int vm_become(struct guest_role *role, const char *vm)
{
	int err;

	if (role->vm && !strcmp(role->vm, vm))
		return 0;
	if (!name_is_fit(vm))
		return -EINVAL;
	vm_leave(role);
	role->vm = strdup(vm);
	if (!role->vm)
		return -ENOMEM;
	log_info("guest", "this is %s", vm);
	err = vm_links_open_at(role->links, vm, role->settings->listen + strlen("unix:"));
	if (!err)
		err = relay_vm_here(role->agent.relay, vm);
	if (err)
		vm_leave(role);
	return err;
}

static void parent_settings(void *owner, struct connection_settings *settings)
{
	const struct guest_role *role = owner;

	settings->reconnect_max_ms = RECONNECT_MAX_MS;
	settings->ask_ms = role->settings->deadlines.ask_ms;
	settings->heartbeat_ms *= GUEST_BEATS;
	if (role->heartbeat_ms)
		settings->heartbeat_ms = role->heartbeat_ms;
}

/* Processes find this agent from now on and not before, though it may know what the VM is called: a
 * host says in its HelloAnswer whether the VM has its device. */
static int welcomed(void *owner, const Tether__HelloAnswer *answer)
{
	struct guest_role *role = owner;
	const char *vm = *answer->vm ? answer->vm : role->settings->name;

	role->heartbeat_ms = answer->heartbeat_ms;
	agent_relay_reload(&role->agent);
	return *vm ? vm_become(role, vm) : 0;
}

static const struct agent_role agent_role = {
        .role = TETHER__ROLE__ROLE_GUEST,
        .forgets = true,
        .child_send = child_send,
        .child_close = child_close,
        .welcomed = welcomed,
        .parent_settings = parent_settings,
};

static void guest_destroy(void *made)
{
	struct guest_role *role = made;

	if (!role)
		return;
	vm_links_destroy(role->links);
	agent_relay_close(&role->agent);
	free(role->vm);
	free(role);
}

static int parts_make(struct guest_role *role)
{
	struct vm_links_settings sockets = {
	        .directory = "", .mode = role->settings->socket_mode, .names_processes = true};
	struct connection_settings connections = agent_relay_links(&role->agent);

	role->links = vm_links_create(role->agent.base, &sockets, &connections, role->agent.relay,
	        agent_relay_fed, &role->agent);
	return role->links ? 0 : -ENOMEM;
}

static int guest_create(struct event_base *base, const struct agent_settings *settings, void **made)
{
	struct guest_role *role = calloc(1, sizeof(*role));
	int err;

	if (!role)
		return -ENOMEM;
	role->settings = settings;
	err = agent_relay_open(&role->agent, base, settings, &agent_role, role);
	if (err) {
		free(role);
		return err;
	}
	err = parts_make(role);
	if (err) {
		log_error("guest", "%s: %s", settings->listen, strerror(-err));
		guest_destroy(role);
		return err;
	}
	agent_relay_tell(&role->agent);
	*made = role;
	return 0;
}

static void guest_reload(void *made)
{
	struct guest_role *role = made;

	agent_relay_reload(&role->agent);
}

const struct role guest_role = {
        .name = "guest",
        .create = guest_create,
        .reload = guest_reload,
        .destroy = guest_destroy,
};
