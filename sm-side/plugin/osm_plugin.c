/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * libosmtether.so as OpenSM sees it: construct, report, destroy.
 *
 * Lock order: OpenSM's lock, then a room's own. Rooms are called without OpenSM's lock unless their
 * header asks for it; nothing waits while holding it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <opensm/osm_config.h>
#include <opensm/osm_event_plugin.h>
#include <opensm/osm_opensm.h>
#include <opensm/osm_version.h>

#include "notifier/wire/versions.h"
#include "sm-side/plugin/move_turns.h"
#include "sm-side/plugin/osm_lids.h"
#include "sm-side/plugin/plan_store.h"
#include "sm-side/plugin/plugin_ops.h"
#include "sm-side/plugin/plugin_options.h"
#include "sm-side/plugin/sm_server.h"
#include "sm-side/identity/smp_sender.h"
#include "sm-side/plugin/sweep_lease.h"

static void connection_closed(void *owner, unsigned connection)
{
	struct plugin *plugin = owner;

	sweep_lease_owner_gone(plugin->lease, connection);
}

static const struct sm_server_callbacks callbacks = {
        .answer = plugin_answer,
        .closed = connection_closed,
};

static void plugin_free(struct plugin *plugin)
{
	plan_store_destroy(plugin->plans);
	move_turns_destroy(plugin->turns);
	osm_lids_destroy(plugin->lids);
	if (plugin->sender)
		plugin->sender->kind->destroy(plugin->sender);
	sweep_lease_destroy(plugin->lease);
	pthread_mutex_destroy(&plugin->engine.lock);
	plugin_options_clear(&plugin->options);
	free(plugin);
}

static int plugin_start(struct plugin *plugin)
{
	plugin->lease = sweep_lease_create(plugin->osm);
	plugin->sender = smp_sender_opensm_create(plugin->osm);
	plugin->turns = move_turns_create();
	plugin->plans = plan_store_create();
	plugin->lids = osm_lids_create(plugin->osm);
	if (!plugin->lease || !plugin->sender || !plugin->turns || !plugin->plans || !plugin->lids)
		return -ENOMEM;
	return sm_server_create(plugin->options.socket, &callbacks, plugin, &plugin->server);
}

static void *construct(osm_opensm_t *osm)
{
	struct plugin_options options;
	const char *wrong = plugin_options_read(
	        osm->subn.opt.event_plugin_options, getenv("TETHER_SM_SOCKET"), &options);
	struct plugin *plugin;
	int error;

	versions_pretend(getenv("TETHER_PROTOCOL"));
	if (wrong) {
		osm_log(&osm->log, OSM_LOG_ERROR, "tether: %s\n", wrong);
		return NULL;
	}
	plugin = calloc(1, sizeof(*plugin));
	if (!plugin) {
		plugin_options_clear(&options);
		return NULL;
	}
	plugin->osm = osm;
	plugin->options = options;
	pthread_mutex_init(&plugin->engine.lock, NULL);
	error = plugin_start(plugin);
	if (error) {
		osm_log(&osm->log, OSM_LOG_ERROR, "tether: cannot serve %s: %s\n", options.socket,
		        strerror(-error));
		plugin_free(plugin);
		return NULL;
	}
	osm_log(&osm->log, OSM_LOG_INFO, "tether: serving %s\n", options.socket);
	return plugin;
}

/* OpenSM has ended its sweeper, its dispatcher and its sending by now, and freed its routing
 * engines. */
static void destroy(void *data)
{
	struct plugin *plugin = data;

	sweep_lease_shut_down(plugin->lease);
	sm_server_destroy(plugin->server);
	plugin_free(plugin);
}

static void report(void *data, osm_epi_event_id_t event, void *detail)
{
	struct plugin *plugin = data;
	const osm_epi_lft_change_event_t *change = detail;

	switch (event) {
	case OSM_EVENT_ID_HEAVY_SWEEP_START:
		sweep_lease_sweep_begins(plugin->lease);
		break;
	case OSM_EVENT_ID_UCAST_ROUTING_DONE:
		plugin_note_engine(plugin);
		break;
	case OSM_EVENT_ID_LFT_CHANGE:
		if (change->flags & LFT_CHANGED_BLOCK)
			smp_sender_opensm_acknowledged(
			        plugin->sender, change->p_sw, change->block_num);
		break;
	default:
		break;
	}
}

__attribute__((visibility("default"))) osm_event_plugin_t osm_event_plugin = {
        .osm_version = OSM_VERSION,
        .create = construct,
        .delete = destroy,
        .report = report,
};
