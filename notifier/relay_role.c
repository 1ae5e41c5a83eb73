/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay_role.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/link/agent_links.h"
#include "notifier/agent_relay.h"

struct relay_role {
	struct agent_relay agent;
	struct agent_links *links;
	bool listens;
};

static void child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct relay_role *role = owner;

	agent_links_send(role->links, child, frame);
}

static void child_close(void *owner, uint32_t child, const char *why)
{
	struct relay_role *role = owner;

	agent_links_end(role->links, child, why);
}

/* Where it cannot listen it is no use above either; it comes again. */
static int welcomed(void *owner, const Tether__HelloAnswer *answer)
{
	struct relay_role *role = owner;
	int err = 0;

	if (!role->listens)
		err = agent_links_listen(role->links, role->agent.settings->listen);
	role->listens = !err;
	return err;
}

static const struct agent_role agent_role = {
        .role = TETHER__ROLE__ROLE_RELAY,
        .child_send = child_send,
        .child_close = child_close,
        .welcomed = welcomed,
};

static const struct agent_links_calls links_calls = {.fed = agent_relay_fed};

static void relay_role_destroy(void *made)
{
	struct relay_role *role = made;

	if (!role)
		return;
	agent_links_destroy(role->links);
	agent_relay_close(&role->agent);
	free(role);
}

static int links_make(struct relay_role *role)
{
	struct connection_settings connections = agent_relay_links(&role->agent);

	role->links = agent_links_create(role->agent.base, role->agent.relay, &connections, "relay",
	        &links_calls, &role->agent);
	return role->links ? 0 : -ENOMEM;
}

static int relay_role_create(
        struct event_base *base, const struct agent_settings *settings, void **made)
{
	struct relay_role *role = calloc(1, sizeof(*role));
	int err =
	        role ? agent_relay_open(&role->agent, base, settings, &agent_role, role) : -ENOMEM;

	if (!err)
		err = links_make(role);
	if (err) {
		relay_role_destroy(role);
		return err;
	}
	agent_relay_tell(&role->agent);
	*made = role;
	return 0;
}

static void relay_role_reload(void *made)
{
	struct relay_role *role = made;
	struct connection_settings connections = agent_relay_links(&role->agent);

	agent_relay_reload(&role->agent);
	agent_links_settings_set(role->links, &connections);
	agent_links_recheck(role->links);
}

const struct role relay_role = {
        .name = "relay",
        .create = relay_role_create,
        .reload = relay_role_reload,
        .destroy = relay_role_destroy,
};
