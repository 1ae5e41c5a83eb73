/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/host_role_state.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/name.h"
#include "notifier/notices/notice_metrics.h"

enum { GUEST_AGAIN_MS = 200 };

/* Of all links of a VM, however many they are. */
enum { VM_FRAMES_PER_S = 20000, VM_FRAMES_AT_ONCE = 200000 };

static void child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct host_role *role = owner;

	vm_links_send(role->links, child, frame);
	guest_links_send(role->guests, child, frame);
}

static void child_close(void *owner, uint32_t child, const char *why)
{
	struct host_role *role = owner;

	vm_links_end(role->links, child, why);
	guest_links_end(role->guests, child, why);
}

static void order(void *owner, const Tether__Event *event)
{
	host_order(owner, event);
}

static void hello(void *owner, Tether__Hello *hello)
{
	struct host_role *role = owner;

	hello->vms = role->inventory.vms;
	hello->n_vms = role->inventory.vms_count;
	hello->slots = role->inventory.slots;
	hello->n_slots = role->inventory.slots_count;
	hello->signal_lid = host_signal_lid(role->signal);
}

static void pull(void *owner, const Tether__Pull *pull)
{
	struct host_role *role = owner;

	host_signal_told(role->signal, pull);
}

static void metrics(void *owner, struct metrics_text *metrics)
{
	struct host_role *role = owner;

	if (role->signal)
		notice_metrics_tell(host_signal_counts(role->signal), metrics);
}

static void parent_lost(void *owner)
{
	struct host_role *role = owner;

	host_signal_root_lost(role->signal);
}

static const struct agent_role agent_role = {
        .role = TETHER__ROLE__ROLE_HOST,
        .child_send = child_send,
        .child_close = child_close,
        .order = order,
        .hello = hello,
        .pull = pull,
        .parent_lost = parent_lost,
        .metrics = metrics,
};

static void signal_send(void *owner, const Tether__Frame *frame)
{
	struct host_role *role = owner;

	agent_relay_send(&role->agent, frame);
}

/* The first HELLO waits for the inventory, and says it then. */
static void signal_moved(void *owner)
{
	struct host_role *role = owner;

	if (role->agent.parent)
		agent_relay_tell(&role->agent);
}

static const struct host_signal_callbacks signal_callbacks = {
        .send = signal_send,
        .moved = signal_moved,
};

/* Its processes do without a guest's agent where there is no channel to one. */
static void guest_open(struct host_role *role, const char *name)
{
	const Tether__HostVm *vm = host_inventory_vm(&role->inventory, name);
	const char *channel = vm && *vm->guest ? vm->guest : role->settings->guest_channel;

	if (!guest_links_open(role->guests, name, channel) && strcmp(channel, "none") != 0)
		relay_guest_due(role->agent.relay, name, monotonic_ms());
}

int host_role_vm_open(struct host_role *role, const char *vm)
{
	int err;

	if (!name_is_fit(vm))
		return -EINVAL;
	err = vm_links_open(role->links, vm);
	if (!err)
		err = host_inventory_vm_add(&role->inventory, vm, vm_links_path(role->links, vm));
	if (!err)
		err = relay_vm_here(role->agent.relay, vm);
	if (!err)
		guest_open(role, vm);
	return err;
}

void host_role_vm_close(struct host_role *role, const char *vm)
{
	vm_links_close(role->links, vm);
	guest_links_close(role->guests, vm);
	relay_vm_left(role->agent.relay, vm, monotonic_ms());
	host_inventory_vm_remove(&role->inventory, vm);
}

void host_role_inventory(struct host_role *role, struct host_inventory *fresh)
{
	struct host_inventory old = role->inventory;

	role->inventory = *fresh;
	*fresh = (struct host_inventory){0};
	for (size_t i = 0; i < old.vms_count; i++)
		if (!host_inventory_vm(&role->inventory, old.vms[i]->name))
			host_role_vm_close(role, old.vms[i]->name);
	for (size_t i = 0; i < role->inventory.vms_count; i++)
		host_role_vm_open(role, role->inventory.vms[i]->name);
	host_inventory_clear(&old);
	agent_relay_fed(&role->agent);
}

/* The host's end of a VM that arrives looks often for the other, since the move waits for it. */
static struct connection_settings guest_connections(const struct host_role *role)
{
	struct connection_settings settings = agent_relay_links(&role->agent);

	settings.heartbeat_ms *= GUEST_BEATS;
	settings.reconnect_max_ms = GUEST_AGAIN_MS;
	return settings;
}

static int guests_make(struct host_role *role)
{
	struct guest_links_settings guests = {.directory = role->settings->socket_dir,
	        .mode = role->settings->socket_mode,
	        .vsock_port = role->settings->vsock_port,
	        .rates = role->rates};
	struct connection_settings connections = guest_connections(role);

	role->guests = guest_links_create(role->base, &guests, &connections, role->agent.relay,
	        agent_relay_fed, &role->agent);
	return role->guests ? 0 : -errno;
}

static int signal_make(struct host_role *role)
{
	if (!strcmp(role->settings->mad_port, "none"))
		return 0;
	role->signal =
	        host_signal_create(role->base, role->settings->mad_port, &signal_callbacks, role);
	return role->signal ? 0 : -errno;
}

static int links_make(struct host_role *role)
{
	struct vm_links_settings links = {.directory = role->settings->socket_dir,
	        .mode = role->settings->socket_mode,
	        .rates = role->rates};
	struct connection_settings connections = agent_relay_links(&role->agent);

	role->links = vm_links_create(
	        role->base, &links, &connections, role->agent.relay, agent_relay_fed, &role->agent);
	return role->links ? guests_make(role) : -ENOMEM;
}

static int parts_make(struct host_role *role)
{
	int err = driver_open(role->base, role->settings->driver, role->settings->name,
	        role->agent.epoch_file.lock, &role->driver);

	if (err)
		return err;
	role->rates = shared_rates_create(VM_FRAMES_PER_S, VM_FRAMES_AT_ONCE);
	if (!role->rates)
		return -ENOMEM;
	err = host_stock_create(role);
	if (!err)
		err = links_make(role);
	return err ? err : signal_make(role);
}

static void host_destroy(void *made)
{
	struct host_role *role = made;

	if (!role)
		return;
	driver_close(role->driver);
	host_orders_clear(role);
	host_signal_destroy(role->signal);
	vm_links_destroy(role->links);
	guest_links_destroy(role->guests);
	shared_rates_destroy(role->rates);
	agent_relay_close(&role->agent);
	host_stock_clear(role);
	host_inventory_clear(&role->inventory);
	free(role);
}

static int host_create(struct event_base *base, const struct agent_settings *settings, void **made)
{
	struct host_role *role = calloc(1, sizeof(*role));
	int err;

	if (!role)
		return -ENOMEM;
	role->base = base;
	role->settings = settings;
	if (access(settings->socket_dir, W_OK | X_OK)) {
		err = -errno;
		log_error("host", "%s: %s", settings->socket_dir, strerror(errno));
		free(role);
		return err;
	}
	err = agent_relay_open(&role->agent, base, settings, &agent_role, role);
	if (err) {
		free(role);
		return err;
	}
	err = parts_make(role);
	if (err) {
		log_error("host", "%s", strerror(-err));
		host_destroy(role);
		return err;
	}
	host_role_take_stock(role);
	*made = role;
	return 0;
}

static void host_reload(void *made)
{
	struct host_role *role = made;
	struct connection_settings guests = guest_connections(role);

	agent_relay_reload(&role->agent);
	guest_links_settings_set(role->guests, &guests);
	host_role_take_stock(role);
}

const struct role host_role = {
        .name = "host",
        .create = host_create,
        .reload = host_reload,
        .destroy = host_destroy,
};
