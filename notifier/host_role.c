/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/host_role_state.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/name.h"

enum { INVENTORY_AGAIN_MS = 1000 };

static const char *step_name(Tether__Step step)
{
	const ProtobufCEnumValue *value =
	        protobuf_c_enum_descriptor_get_value(&tether__step__descriptor, step);

	return value ? value->name + strlen("STEP_") : "?";
}

static const char *outcome_name(Tether__Outcome outcome)
{
	const ProtobufCEnumValue *value =
	        protobuf_c_enum_descriptor_get_value(&tether__outcome__descriptor, outcome);

	return value ? value->name + strlen("OUTCOME_") : "?";
}

void host_role_fed(void *context)
{
	struct host_role *role = context;
	int64_t ms = relay_next_ms(role->relay, monotonic_ms());
	struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	if (ms < 0)
		evtimer_del(role->tick);
	else
		evtimer_add(role->tick, &wait);
}

static void on_tick(evutil_socket_t fd, short what, void *at)
{
	struct host_role *role = at;

	relay_tick(role->relay, monotonic_ms());
	host_role_fed(role);
}

static void child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct host_role *role = owner;

	vm_links_send(role->links, child, frame);
}

static void child_close(void *owner, uint32_t child, const char *why)
{
	struct host_role *role = owner;

	vm_links_end(role->links, child, why);
}

static void answer_log(const Tether__Answer *answer)
{
	log_info("host",
	        "migration %" PRIu64 " epoch %" PRIu64 ": %s.%u %s, %zu answered, %zu missing",
	        answer->migration, answer->epoch, step_name(answer->step), answer->sequence,
	        outcome_name(answer->outcome), answer->n_answered, answer->n_missing);
	for (size_t i = 0; i < answer->n_missing; i++)
		log_warn("host", "migration %" PRIu64 " epoch %" PRIu64 ": no answer from %s",
		        answer->migration, answer->epoch, answer->missing[i]);
	for (size_t i = 0; i < answer->n_refusals; i++)
		log_warn("host", "migration %" PRIu64 " epoch %" PRIu64 ": %s: %s: %s",
		        answer->migration, answer->epoch, answer->refusals[i]->who,
		        answer->refusals[i]->reason, answer->refusals[i]->text);
}

static void parent_send(void *owner, const Tether__Frame *frame)
{
	struct host_role *role = owner;
	int err;

	if (frame->body_case == TETHER__FRAME__BODY_ANSWER) {
		die_point(DIE_RELAY_ANSWER, step_name(frame->answer->step));
		answer_log(frame->answer);
	}
	err = role->root ? connection_send(role->root, frame) : -ENOTCONN;
	if (err && err != -ENOTCONN)
		log_error("host", "the root does not get a frame: %s", strerror(-err));
}

static void order(void *owner, const Tether__Event *event)
{
	host_order(owner, event);
}

static int epoch_save(void *owner, uint64_t epoch)
{
	struct host_role *role = owner;
	int err = epoch_file_save(&role->epoch_file, epoch);

	if (err)
		log_error("host", "epoch %" PRIu64 " cannot be stored: %s", epoch, strerror(-err));
	return err;
}

static const struct relay_outputs relay_outputs = {
        .child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .order = order,
        .epoch_save = epoch_save,
};

static void root_opened(struct connection *connection, void *owner)
{
	struct host_role *role = owner;
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;

	hello.version = TETHER__PROTOCOL__PROTOCOL_VERSION;
	hello.role = TETHER__ROLE__ROLE_HOST;
	hello.name = role->settings->name;
	hello.vms = role->inventory.vms;
	hello.n_vms = role->inventory.vms_count;
	hello.slots = role->inventory.slots;
	hello.n_slots = role->inventory.slots_count;
	if (relay_hello_fill(role->relay, &hello)) {
		connection_drop(connection, "no memory");
		return;
	}
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	connection_send(connection, &frame);
	relay_hello_clear(&hello);
}

static void hello_answer_log(const Tether__HelloAnswer *answer)
{
	if (answer->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		log_info("host", "the root is here, epoch %" PRIu64, answer->epoch);
	for (size_t i = 0; i < answer->n_refusals; i++)
		log_error("host", "the root refuses this host: %s: %s", answer->refusals[i]->reason,
		        answer->refusals[i]->text);
}

/*
 * An order that lay in the link while this agent was stopped: its root has given it up and may have
 * gone another way since. One that it still wants it gives again at the next HELLO.
 */
static bool is_left_behind(const struct connection *root, const Tether__Frame *frame)
{
	if (frame->body_case != TETHER__FRAME__BODY_EVENT || !frame->event->order ||
	        !connection_peer_hung_up(root))
		return false;
	log_warn("host", "migration %" PRIu64 " epoch %" PRIu64 ": %s.%u has a dead link's order",
	        frame->event->migration, frame->event->epoch, step_name(frame->event->step),
	        frame->event->sequence);
	return true;
}

static void root_frame(struct connection *connection, Tether__Frame *frame, void *owner)
{
	struct host_role *role = owner;
	int err;

	if (is_left_behind(connection, frame))
		return;
	if (frame->body_case == TETHER__FRAME__BODY_HELLO_ANSWER) {
		hello_answer_log(frame->hello_answer);
	} else if (frame->body_case == TETHER__FRAME__BODY_EVENT) {
		log_info("host", "migration %" PRIu64 " epoch %" PRIu64 ": %s.%u",
		        frame->event->migration, frame->event->epoch, step_name(frame->event->step),
		        frame->event->sequence);
		die_point(DIE_RELAY, step_name(frame->event->step));
	}
	err = relay_parent_frame(role->relay, frame, monotonic_ms());
	if (err == -ESTALE)
		log_error("host", "this root is older than one seen before, it is not obeyed");
	if (err)
		connection_drop(connection, strerror(-err));
	host_role_fed(role);
}

static void root_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	struct host_role *role = owner;

	log_warn("host", "the root is away: %s", text);
	relay_parent_lost(role->relay);
}

static const struct connection_callbacks root_callbacks = {
        .opened = root_opened,
        .frame = root_frame,
        .closed = root_closed,
};

static struct connection_settings connection_settings(const struct host_role *role)
{
	struct connection_settings settings = connection_settings_default;

	settings.heartbeat_ms = role->settings->deadlines.heartbeat_ms;
	settings.reconnect_ms = role->settings->deadlines.reconnect_link_ms;
	return settings;
}

/* To the root for the first time, or again with another HELLO. */
static void root_tell(struct host_role *role)
{
	struct connection_settings settings = connection_settings(role);

	if (role->root) {
		connection_drop(role->root, "the host has changed");
		return;
	}
	role->root = connection_connect(
	        role->base, role->settings->root, &settings, &root_callbacks, role);
	if (!role->root)
		log_error("host", "no link to %s: %s", role->settings->root, strerror(errno));
}

int host_role_vm_open(struct host_role *role, const char *vm)
{
	int err;

	if (!name_is_fit(vm))
		return -EINVAL;
	err = vm_links_open(role->links, vm);
	if (!err)
		err = host_inventory_vm_add(&role->inventory, vm, vm_links_path(role->links, vm));
	return err ? err : relay_vm_here(role->relay, vm);
}

void host_role_vm_close(struct host_role *role, const char *vm)
{
	vm_links_close(role->links, vm);
	relay_vm_left(role->relay, vm, monotonic_ms());
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
	host_role_fed(role);
}

static void stock_again(struct host_role *role)
{
	struct timeval again = {INVENTORY_AGAIN_MS / 1000, INVENTORY_AGAIN_MS % 1000 * 1000};

	evtimer_add(role->inventory_again, &again);
}

/* To compare two of them. Without memory they are taken for the same. */
static uint8_t *inventory_pack(const struct host_inventory *inventory, size_t *size)
{
	Tether__Hello hello = TETHER__HELLO__INIT;
	uint8_t *packed;

	hello.vms = inventory->vms;
	hello.n_vms = inventory->vms_count;
	hello.slots = inventory->slots;
	hello.n_slots = inventory->slots_count;
	*size = tether__hello__get_packed_size(&hello);
	packed = malloc(*size + 1);
	if (packed)
		tether__hello__pack(&hello, packed);
	else
		*size = 0;
	return packed;
}

static void stock_taken(void *context, const struct driver_result *result)
{
	struct host_role *role = context;
	CLEANUP_FREE uint8_t *before = NULL, *after = NULL;
	size_t before_size, after_size;

	role->stocktaking = false;
	if (result->err) {
		log_error("host", "the driver does not say what this host has: %s", result->text);
		stock_again(role);
		return;
	}
	if (role->runs || role->inventory_wanted || role->begun != role->begun_at_stock) {
		host_role_take_stock(role);
		return;
	}
	before = inventory_pack(&role->inventory, &before_size);
	host_role_inventory(role, result->inventory);
	after = inventory_pack(&role->inventory, &after_size);
	log_info("host", "%zu VMs, %zu slots", role->inventory.vms_count,
	        role->inventory.slots_count);
	/* A link that stands is not broken for nothing. */
	if (!role->root || before_size != after_size ||
	        (after_size && memcmp(before, after, after_size) != 0))
		root_tell(role);
}

void host_role_take_stock(struct host_role *role)
{
	Tether__HostOrder nothing = TETHER__HOST_ORDER__INIT;
	struct driver_request request = {.order = &nothing,
	        .socket_dir = role->settings->socket_dir,
	        .deadline_ms = role->settings->deadlines.inventory_ms};

	if (role->runs || role->stocktaking) {
		role->inventory_wanted = true;
		return;
	}
	role->inventory_wanted = false;
	role->begun_at_stock = role->begun;
	role->stocktaking = role->driver->ops->start(role->driver, &request, stock_taken, role);
	if (role->stocktaking)
		return;
	log_error("host", "the driver cannot be started: %s", strerror(errno));
	stock_again(role);
}

static void on_inventory_again(evutil_socket_t fd, short what, void *at)
{
	host_role_take_stock(at);
}

static int relay_make(struct host_role *role, uint64_t epoch)
{
	struct relay_settings settings = {
	        .name = role->settings->name,
	        .role = TETHER__ROLE__ROLE_HOST,
	        .epoch = epoch,
	        .heartbeat_ms = role->settings->deadlines.heartbeat_ms,
	        .away_ms = role->settings->deadlines.away_ms,
	};
	struct vm_links_settings links = {
	        .directory = role->settings->socket_dir, .mode = role->settings->socket_mode};
	struct connection_settings connections = connection_settings(role);

	role->relay = relay_create(&settings, &relay_outputs, role);
	if (!role->relay)
		return -ENOMEM;
	role->links =
	        vm_links_create(role->base, &links, &connections, role->relay, host_role_fed, role);
	return role->links ? 0 : -ENOMEM;
}

static int parts_make(struct host_role *role, uint64_t epoch)
{
	int err = driver_open(role->base, role->settings->driver, role->settings->name,
	        role->epoch_file.lock, &role->driver);

	if (!err)
		err = relay_make(role, epoch);
	role->tick = evtimer_new(role->base, on_tick, role);
	role->inventory_again = evtimer_new(role->base, on_inventory_again, role);
	if (!err && (!role->tick || !role->inventory_again))
		err = -ENOMEM;
	return err;
}

int host_role_create(
        struct event_base *base, const struct agent_settings *settings, struct host_role **made)
{
	struct host_role *role = calloc(1, sizeof(*role));
	uint64_t epoch;
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
	err = epoch_file_open(&role->epoch_file, settings->state_dir, &epoch);
	if (err) {
		log_error("host", "%s: %s", settings->state_dir,
		        err == -EBUSY ? "another agent is at work here" : strerror(-err));
		free(role);
		return err;
	}
	err = parts_make(role, epoch);
	if (err) {
		log_error("host", "%s", strerror(-err));
		host_role_destroy(role);
		return err;
	}
	host_role_take_stock(role);
	*made = role;
	return 0;
}

void host_role_reload(struct host_role *role)
{
	struct connection_settings settings = connection_settings(role);

	if (role->root)
		connection_settings_set(role->root, &settings);
	host_role_take_stock(role);
}

void host_role_destroy(struct host_role *role)
{
	if (!role)
		return;
	driver_close(role->driver);
	host_orders_clear(role);
	connection_destroy(role->root);
	vm_links_destroy(role->links);
	relay_destroy(role->relay);
	if (role->tick)
		event_free(role->tick);
	if (role->inventory_again)
		event_free(role->inventory_again);
	host_inventory_clear(&role->inventory);
	epoch_file_close(&role->epoch_file);
	free(role);
}
