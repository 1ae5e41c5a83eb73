/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* /v1/vms: what there is, and VMs that get a VF or give it up. */
#include "sm-side/api/api_state.h"

#include <stdlib.h>
#include <string.h>

#include <event2/http.h>

#include "sm-side/api/directory_json.h"
#include "sm-side/json_read.h"
#include "sm-side/api/vm_change_json.h"
#include "sm-side/vm_change/vm_changer.h"

static void refuse_unknown_vm(struct evhttp_request *request)
{
	api_refuse(request, HTTP_NOTFOUND, "unknown-vm",
	        "no host has a VM of that name, and none was created or destroyed; see tether vms");
}

/* Without memory for the list of those that move they are told as those that stay. */
static struct under_way under_way_of(const struct api *api)
{
	struct under_way under_way;

	if (conductor_under_way(api->conductor, &under_way))
		return under_way;
	return (struct under_way){.changes = vm_changer_changes(conductor_vms(api->conductor))};
}

void api_vms_get(struct api *api, struct evhttp_request *request, uint64_t unused)
{
	struct under_way under_way = under_way_of(api);
	struct json_object *told = vms_tell(conductor_inventory(api->conductor), &under_way);
	struct json_object *list = json_object_object_get(told, "vms");

	struct json_object *gids = directory_json_gids(conductor_gids(api->conductor), NULL);

	for (size_t i = 0; i < json_object_array_length(list); i++)
		directory_json_vm(json_object_array_get_idx(list, i),
		        conductor_directory(api->conductor), gids);
	json_object_put(gids);
	api_reply(request, HTTP_OK, told);
	free(under_way.migrations);
}

void api_vms_post(struct api *api, struct evhttp_request *request, uint64_t unused)
{
	size_t length;
	const char *body = api_body(request, &length);
	struct vm_wish wish;
	const char *wrong = vm_wish_read(body, length, &wish);
	struct admission admission;
	uint64_t id = 0;

	if (wrong) {
		api_refuse_malformed(request, wrong);
		return;
	}
	admission = vm_changer_begin_create(conductor_vms(api->conductor), &wish, &id);
	api_reply_begun(request, &admission, id);
}

void api_vm_delete(struct api *api, struct evhttp_request *request, const char *name)
{
	struct admission admission;
	uint64_t id = 0;

	admission = vm_changer_begin_destroy(conductor_vms(api->conductor), name, &id);
	api_reply_begun(request, &admission, id);
}

/* Nothing, or {"force": BOOL}. NULL, or what is wrong. */
static const char *release_read(struct evhttp_request *request, bool *force)
{
	size_t length;
	const char *body = api_body(request, &length);
	struct json_object *wish;
	bool is_wrong;

	*force = false;
	if (!length)
		return NULL;
	wish = json_read_whole(body, length);
	is_wrong = !json_object_is_type(wish, json_type_object) ||
	           json_read_bool(wish, "force", force) || json_object_object_length(wish) != 1;
	json_object_put(wish);
	return is_wrong ? "force, true or false, is the only member" : NULL;
}

void api_vm_release(struct api *api, struct evhttp_request *request, const char *name)
{
	const char *host = "";
	struct admission admission;
	bool force;
	const char *wrong = release_read(request, &force);

	if (wrong) {
		api_refuse_malformed(request, wrong);
		return;
	}
	admission = conductor_release(api->conductor, name, force, &host);
	if (!admission.reason)
		api_reply(request, HTTP_OK, directory_json_released(name, host));
	else if (!strcmp(admission.reason, "unknown-vm"))
		api_refuse(request, HTTP_NOTFOUND, admission.reason, admission.text);
	else
		api_refuse(request, API_CONFLICT, admission.reason, admission.text);
}

static void vm_reply(struct api *api, struct evhttp_request *request, const char *name)
{
	struct under_way under_way = under_way_of(api);
	struct json_object *vm = vm_tell(conductor_inventory(api->conductor), &under_way, name);

	free(under_way.migrations);
	if (vm) {
		struct json_object *gids =
		        directory_json_gids(conductor_gids(api->conductor), name);

		directory_json_vm(vm, conductor_directory(api->conductor), gids);
		json_object_put(gids);
		api_reply(request, HTTP_OK, vm);
	} else {
		refuse_unknown_vm(request);
	}
}

static const struct vm_change *change_of(const struct api *api, uint64_t id)
{
	return vm_changes_find(vm_changer_changes(conductor_vms(api->conductor)), id);
}

bool api_vm_is_news(const struct api *api, uint64_t id, unsigned seen)
{
	const struct vm_change *change = change_of(api, id);

	return !change || vm_change_ended(change) || change->changes > seen;
}

void api_vm_change_tell(struct api *api, struct evhttp_request *request, uint64_t id)
{
	const struct vm_change *change = change_of(api, id);

	if (change)
		vm_reply(api, request, change->intent.vm);
	else
		refuse_unknown_vm(request);
}

void api_vm_get(struct api *api, struct evhttp_request *request, const char *name)
{
	const struct vm_change *latest =
	        vm_changes_latest(vm_changer_changes(conductor_vms(api->conductor)), name);
	struct waiter asked = {.id = latest ? latest->intent.id : 0, .of = WAITS_FOR_VM};
	bool waits = false;
	const char *wrong = api_query_parse(request, &asked, &waits);

	if (wrong)
		api_refuse_malformed(request, wrong);
	else if (!waits || api_vm_is_news(api, asked.id, asked.seen) ||
	         !api_wait(api, request, &asked))
		vm_reply(api, request, name);
}
