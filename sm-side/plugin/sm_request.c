/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/versions.h"
#include "sm-side/guid_text.h"
#include "sm-side/json_read.h"
#include "sm-side/plan/words.h"
#include "sm-side/plugin/sm_request.h"

enum { SL_MAX = 15 };

/* Members of a request: which op needs them, which may have them. */
enum {
	NEEDS_PORT = 1 << 0,
	NEEDS_MOVES = 1 << 1,
	NEEDS_HASH = 1 << 2,
	MAY_HAVE_HASH = 1 << 3,
	NEEDS_MIGRATION = 1 << 4,
	NEEDS_MS = 1 << 5,
	NEEDS_ALIAS = 1 << 6,
	MAY_ASK_FOR_SWEEP = 1 << 7,
	NEEDS_NOTICES = 1 << 8,
	NEEDS_PORTS = 1 << 9,
};

static const struct {
	const char *name;
	enum sm_op op;
	unsigned members;
} ops[] = {
        {"hello", SM_HELLO, 0},
        {"status", SM_STATUS, 0},
        {"locate", SM_LOCATE, NEEDS_PORT},
        {"locate_all", SM_LOCATE_ALL, NEEDS_PORTS},
        {"plan", SM_PLAN, NEEDS_MOVES},
        {"lease", SM_LEASE, NEEDS_MIGRATION | NEEDS_MS | MAY_HAVE_HASH},
        {"release_lease", SM_RELEASE_LEASE, NEEDS_MIGRATION | MAY_ASK_FOR_SWEEP},
        {"apply", SM_APPLY, NEEDS_HASH | NEEDS_MIGRATION},
        {"verify", SM_VERIFY, NEEDS_HASH},
        {"undo", SM_UNDO, NEEDS_MOVES | MAY_HAVE_HASH | NEEDS_MIGRATION},
        {"move_alias", SM_MOVE_ALIAS, NEEDS_ALIAS},
        {"report", SM_REPORT, NEEDS_NOTICES},
};

const char *sm_op_name(enum sm_op op)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		if (ops[i].op == op)
			return ops[i].name;
	return "?";
}

/* One of @names, by its index; 0 where the member is not there. -EINVAL. */
static int read_name(struct json_object *from, const char *member, const char *const *names,
        unsigned count, unsigned *value)
{
	const char *text = json_read_string(from, member);

	*value = 0;
	if (!text)
		return json_object_object_get_ex(from, member, NULL) ? -EINVAL : 0;
	for (; *value < count; ++*value)
		if (!strcmp(text, names[*value]))
			return 0;
	return -EINVAL;
}

static const char *read_place(struct json_object *from, struct view_place *place)
{
	uint64_t port;

	if (json_read_guid(from, "to_switch_guid", &place->switch_guid))
		return "to_switch_guid is not a GUID";
	if (json_read_number(from, "to_switch_port", UINT8_MAX, &port))
		return "to_switch_port is not a port number";
	place->port = (uint8_t)port;
	return NULL;
}

static const char *read_port(struct json_object *from, struct plan_move_request *move)
{
	if (json_read_guid(from, "vm_port_guid", &move->vm_port_guid))
		return "vm_port_guid is not a GUID";
	if (json_read_guid(from, "vm_node_guid", &move->vm_node_guid) == -EINVAL)
		return "vm_node_guid is not a GUID";
	return NULL;
}

static const char *read_move(struct json_object *from, struct plan_move_request *move)
{
	const char *wrong;
	unsigned kind;
	uint64_t lid = 0;

	if (read_name(from, "kind", plan_kind_words, ARRAY_SIZE(plan_kind_words), &kind))
		return "kind is none of swap, copy, create, destroy";
	move->kind = (enum plan_move_kind)kind;
	if (json_read_number(from, "lid", LID_UNICAST_MAX, &lid) == -EINVAL)
		return "lid is not a unicast LID";
	move->lid = (uint16_t)lid;
	if (json_read_bool(from, "other_in_use", &move->other_in_use) == -EINVAL)
		return "other_in_use is neither true nor false";
	wrong = read_port(from, move);
	if (wrong || move->kind == VM_DESTROY)
		return wrong;
	return read_place(from, &move->to);
}

/* A list of moves; or the members of one in the request itself. */
static const char *read_moves(struct json_object *from, struct sm_request *request)
{
	struct json_object *list = NULL;
	const char *wrong = NULL;
	size_t count = 1;

	if (json_object_object_get_ex(from, "moves", &list)) {
		if (!json_object_is_type(list, json_type_array) ||
		        json_object_array_length(list) == 0)
			return "moves is not a list of moves";
		count = json_object_array_length(list);
	}
	request->moves = calloc(count, sizeof(*request->moves));
	if (!request->moves)
		return "there is no memory for it";
	for (size_t i = 0; i < count && !wrong; i++) {
		struct json_object *move = list ? json_object_array_get_idx(list, i) : from;

		if (!json_object_is_type(move, json_type_object))
			wrong = "a move is not an object";
		else
			wrong = read_move(move, &request->moves[i]);
	}
	request->move_count = (uint32_t)count;
	return wrong;
}

/* How the plan shall be made. */
static const char *read_manner(struct json_object *from, struct sm_request *request)
{
	unsigned order, reach;
	uint64_t sl = 0;
	int error = json_read_number(from, "sl", SL_MAX, &sl);

	if (error == -EINVAL)
		return "sl is not a number from 0 to 15";
	if (read_name(from, "order", plan_order_words, ARRAY_SIZE(plan_order_words), &order))
		return "order is none of fast, consistent, drop-first";
	if (read_name(from, "reach", plan_reach_words, ARRAY_SIZE(plan_reach_words), &reach))
		return "reach is neither deterministic nor minimum";
	request->order = (enum plan_order)order;
	request->reach = (enum plan_reach)reach;
	request->has_sl = !error;
	request->sl = (uint8_t)sl;
	request->wants_changes = true;
	if (json_read_bool(from, "changes", &request->wants_changes) == -EINVAL)
		return "changes is neither true nor false";
	return NULL;
}

static const char *read_peers(struct json_object *from, struct sm_request *request)
{
	struct json_object *list;
	size_t count;

	if (!json_object_object_get_ex(from, "peers", &list))
		return NULL;
	if (!json_object_is_type(list, json_type_array))
		return "peers is not a list of LIDs";
	count = json_object_array_length(list);
	request->peers = calloc(count + 1, sizeof(*request->peers));
	if (!request->peers)
		return "there is no memory for it";
	for (size_t i = 0; i < count; i++) {
		struct json_object *row = json_object_array_get_idx(list, i);
		int64_t lid =
		        json_object_is_type(row, json_type_int) ? json_object_get_int64(row) : 0;

		if (lid < 1 || lid > LID_UNICAST_MAX)
			return "one of peers is not a unicast LID";
		request->peers[request->peer_count++] = (uint16_t)lid;
	}
	return NULL;
}

static const char *read_hash(struct json_object *from, unsigned members, struct sm_request *request)
{
	const char *text = json_read_string(from, "hash");

	if (!text && !(members & NEEDS_HASH))
		return NULL;
	if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		return "hash is not that of a plan";
	request->hash = strtoull(text, NULL, 16);
	request->has_hash = true;
	return NULL;
}

static const char *read_migration(struct json_object *from, char *migration)
{
	uint64_t number;

	if (json_read_number(from, "migration", INT64_MAX, &number) == 0)
		snprintf(migration, SM_MIGRATION_BYTES, "%" PRIu64, number);
	else if (json_read_text(from, "migration", migration, SM_MIGRATION_BYTES) || !*migration)
		return "migration is neither a number nor a short text";
	return NULL;
}

static const char *read_times(struct json_object *from, struct sm_request *request)
{
	uint64_t ms, wait_ms;
	int error;

	if (json_read_number(from, "ms", SM_LEASE_MS_MAX, &ms) || ms == 0)
		return "ms is not a number from 1 to 10000";
	error = json_read_number(from, "wait_ms", SM_LEASE_MS_MAX, &wait_ms);
	if (error == -EINVAL)
		return "wait_ms is not a number from 0 to 10000";
	request->ms = (unsigned)ms;
	request->wait_ms = (unsigned)(error ? ms : wait_ms);
	return NULL;
}

static const char *read_lid(struct json_object *from, const char *member, uint16_t *lid)
{
	uint64_t number;

	if (json_read_number(from, member, LID_UNICAST_MAX, &number) || !number)
		return "from_lid or to_lid is not a unicast LID";
	*lid = (uint16_t)number;
	return NULL;
}

static const char *read_alias(struct json_object *from, struct sm_request *request)
{
	const char *wrong = read_lid(from, "from_lid", &request->from_lid);

	if (!wrong)
		wrong = read_lid(from, "to_lid", &request->to_lid);
	if (!wrong && (json_read_guid(from, "vm_port_guid", &request->alias) ||
	                      json_read_guid(from, "other_port_guid", &request->other_alias)))
		wrong = "vm_port_guid or other_port_guid is not a GUID";
	return wrong;
}

static const char *read_notice(struct json_object *from, struct notice *notice)
{
	uint64_t lid;

	if (!json_object_is_type(from, json_type_object))
		return "one of to is not an object";
	if (json_read_number(from, "lid", LID_UNICAST_MAX, &lid) || !lid)
		return "lid is not a unicast LID";
	if (json_read_number(from, "sequence", INT64_MAX, &notice->sequence))
		return "sequence is not a number";
	notice->lid = (uint16_t)lid;
	return NULL;
}

/* What is said to all of them, and to whom. */
static const char *read_notices(struct json_object *from, struct sm_request *request)
{
	struct notice common = {0};
	struct json_object *list;
	const char *wrong = NULL;
	size_t count;

	if (json_read_number(from, "signal", INT64_MAX, &common.signal) ||
	        json_read_number(from, "migration", INT64_MAX, &common.migration) ||
	        json_read_number(from, "epoch", INT64_MAX, &common.epoch))
		return "signal, migration or epoch is not a number";
	if (!json_object_object_get_ex(from, "to", &list) ||
	        !json_object_is_type(list, json_type_array))
		return "to is not a list of servers";
	count = json_object_array_length(list);
	request->notices = calloc(count + 1, sizeof(*request->notices));
	if (!request->notices)
		return "there is no memory for it";
	for (size_t i = 0; i < count && !wrong; i++) {
		request->notices[i] = common;
		wrong = read_notice(json_object_array_get_idx(list, i), &request->notices[i]);
	}
	request->notice_count = count;
	return wrong;
}

static const char *read_wanted(struct json_object *from, struct sm_wanted_port *wanted)
{
	int64_t lid = json_object_is_type(from, json_type_int) ? json_object_get_int64(from) : 0;

	if (json_object_is_type(from, json_type_string)) {
		if (guid_parse(json_object_get_string(from), &wanted->port_guid) ||
		        !wanted->port_guid)
			return "one of ports is not a GUID";
		return NULL;
	}
	if (lid < 1 || lid > LID_UNICAST_MAX)
		return "one of ports is neither a GUID nor a unicast LID";
	wanted->lid = (uint16_t)lid;
	return NULL;
}

static const char *read_ports(struct json_object *from, struct sm_request *request)
{
	struct json_object *list;
	const char *wrong = NULL;
	size_t count;

	if (!json_object_object_get_ex(from, "ports", &list) ||
	        !json_object_is_type(list, json_type_array))
		return "ports is not a list of GUIDs and LIDs";
	count = json_object_array_length(list);
	request->wanted = calloc(count + 1, sizeof(*request->wanted));
	if (!request->wanted)
		return "there is no memory for it";
	for (size_t i = 0; i < count && !wrong; i++)
		wrong = read_wanted(json_object_array_get_idx(list, i), &request->wanted[i]);
	request->wanted_count = count;
	return wrong;
}

/* NULL, or what is wrong. */
static const char *read_members(
        struct json_object *from, unsigned members, struct sm_request *request)
{
	const char *wrong = NULL;

	if (members & NEEDS_PORT && json_read_guid(from, "port_guid", &request->port_guid))
		wrong = "port_guid is not a GUID";
	if (!wrong && members & NEEDS_MOVES)
		wrong = read_manner(from, request);
	if (!wrong && members & NEEDS_MOVES)
		wrong = read_moves(from, request);
	if (!wrong && members & (NEEDS_HASH | MAY_HAVE_HASH))
		wrong = read_hash(from, members, request);
	if (!wrong && members & (NEEDS_MOVES | NEEDS_HASH))
		wrong = read_peers(from, request);
	if (!wrong && members & NEEDS_MIGRATION)
		wrong = read_migration(from, request->migration);
	if (!wrong && members & NEEDS_MS)
		wrong = read_times(from, request);
	if (!wrong && members & NEEDS_ALIAS)
		wrong = read_alias(from, request);
	if (!wrong && members & NEEDS_NOTICES)
		wrong = read_notices(from, request);
	if (!wrong && members & NEEDS_PORTS)
		wrong = read_ports(from, request);
	if (!wrong && members & MAY_ASK_FOR_SWEEP &&
	        json_read_bool(from, "sweep", &request->wants_sweep) == -EINVAL)
		wrong = "sweep is neither true nor false";
	return wrong;
}

static const char *read_request(struct json_object *from, struct sm_request *request)
{
	const char *name = json_read_string(from, "op");

	for (unsigned i = 0; name && i < ARRAY_SIZE(ops); i++) {
		if (strcmp(name, ops[i].name))
			continue;
		request->op = ops[i].op;
		return read_members(from, ops[i].members, request);
	}
	return "op is none of hello, status, locate, locate_all, plan, lease, release_lease, "
	       "apply, verify, undo, move_alias, report";
}

/* Each request says what is spoken; one that does not is of a build that is too old. */
static bool is_spoken(struct json_object *from, struct sm_request *request)
{
	uint64_t version = VERSION_SAID_SINCE - 1;
	char ours[64];

	if (json_read_number(from, "protocol", UINT32_MAX, &version) != -EINVAL &&
	        version >= versions_oldest() && version <= versions_newest())
		return true;
	versions_name(versions_oldest(), versions_newest(), ours, sizeof(ours));
	snprintf(request->wrong, sizeof(request->wrong),
	        "tether-smd speaks version %" PRIu64 " of the protocol, libosmtether.so %s: they "
	        "may be one version apart, so the older has to be replaced",
	        version, ours);
	return false;
}

enum refusal sm_request_read(const char *line, size_t bytes, struct json_object **id,
        struct sm_request *request, const char **text)
{
	struct json_object *from = json_read_whole(line, bytes);
	struct json_object *found = NULL;

	*id = NULL;
	*request = (struct sm_request){0};
	*text = "the line is not one JSON object";
	if (!from)
		return REFUSAL_BAD_REQUEST;
	if (json_object_object_get_ex(from, "id", &found) &&
	        !json_object_is_type(found, json_type_object) &&
	        !json_object_is_type(found, json_type_array))
		*id = json_object_get(found);
	*text = read_request(from, request);
	if (!*text && request->op != SM_HELLO && !is_spoken(from, request)) {
		*text = request->wrong;
		json_object_put(from);
		return REFUSAL_VERSION;
	}
	json_object_put(from);
	return *text ? REFUSAL_BAD_REQUEST : REFUSAL_NONE;
}

void sm_request_clear(struct sm_request *request)
{
	free(request->moves);
	free(request->peers);
	free(request->notices);
	free(request->wanted);
	request->moves = NULL;
	request->peers = NULL;
	request->notices = NULL;
	request->wanted = NULL;
}
