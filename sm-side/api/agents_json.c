/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/agents_json.h"

#include "sm-side/json_read.h"

static const char *role_name(Tether__Role role)
{
	switch (role) {
	case TETHER__ROLE__ROLE_HOST:
		return "host";
	case TETHER__ROLE__ROLE_GUEST:
		return "guest";
	default:
		return "relay";
	}
}

static struct json_object *vms_of(const Tether__Report *said, uint64_t *processes)
{
	struct json_object *list = json_object_new_array();

	*processes = 0;
	for (size_t i = 0; said && i < said->n_vms; i++) {
		struct json_object *vm = json_object_new_object();

		json_put_text(vm, "name", said->vms[i]->name);
		json_put_number(vm, "processes", said->vms[i]->processes);
		if (said->vms[i]->processes)
			json_put_number(vm, "protocol", said->vms[i]->protocol);
		*processes += said->vms[i]->processes;
		json_object_array_add(list, vm);
	}
	return list;
}

static struct json_object *counters_of(const Tether__Report *said)
{
	struct json_object *object = json_object_new_object();

	for (size_t i = 0; i < said->n_counters; i++)
		json_put_number(object, said->counters[i]->name, said->counters[i]->value);
	return object;
}

static void said_put(struct json_object *object, const Tether__Report *said)
{
	json_put_text(object, "version", said->version);
	json_put_number(object, "protocol", said->protocol);
	json_put_number(object, "epoch", said->epoch);
	json_put_number(object, "open", said->open);
	json_put_number(object, "agents", said->agents);
	if (said->processes_max)
		json_put_number(object, "processes_max", said->processes_max);
	json_object_object_add(object, "counters", counters_of(said));
}

static struct json_object *agent_of(const struct agent *agent)
{
	struct json_object *object = json_object_new_object();
	uint64_t processes;

	json_put_text(object, "name", agent->name);
	json_put_text(object, "role", role_name(agent->role));
	if (*agent->behind)
		json_put_text(object, "behind", agent->behind);
	json_put_bool(object, "connected", agent->connected);
	json_put_bool(object, "answered", agent->answered);
	if (agent->answered)
		json_put_number(object, "lag_us", agent->lag_us);
	json_object_object_add(object, "vms", vms_of(agent->said, &processes));
	json_put_number(object, "processes", processes);
	if (agent->said)
		said_put(object, agent->said);
	return object;
}

struct json_object *agents_tell(const struct agents *agents, uint64_t epoch)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (const struct agent *agent = agents->list; agent; agent = agent->next)
		json_object_array_add(list, agent_of(agent));
	json_put_number(object, "epoch", epoch);
	json_object_object_add(object, "agents", list);
	return object;
}
