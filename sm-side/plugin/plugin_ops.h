/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What tether-smd may ask of the plugin: one function for each op of the socket, behind one entry.
 * Called by the connections' threads, without any lock.
 */
#ifndef TETHER_PLUGIN_OPS_H
#define TETHER_PLUGIN_OPS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "sm-side/plugin/plugin_options.h"

struct osm_opensm;

enum { ENGINE_NAME_BYTES = 32 };

/* What is known of the routing engine. OpenSM frees its engines before it ends its plugins, so the
 * connections' threads must not look at them. */
struct engine_note {
	pthread_mutex_t lock;
	char name[ENGINE_NAME_BYTES];
	bool chooses_sl; /* a service level for each path */
};

/* The plugin's rooms; owned by osm_plugin.c. */
struct plugin {
	struct osm_opensm *osm;
	struct plugin_options options;
	struct sweep_lease *lease;
	struct smp_sender *sender;
	struct move_turns *turns;
	struct plan_store *plans;
	struct osm_lids *lids;
	struct sm_server *server;
	struct engine_note engine;
};

/* On OpenSM's sweeper thread, when it has computed routes. */
void plugin_note_engine(struct plugin *plugin);

/* Does it choose a service level for each path? */
bool plugin_engine_chooses_sl(struct plugin *plugin);
/* "" before routes were computed. */
void plugin_engine_name(struct plugin *plugin, char name[ENGINE_NAME_BYTES]);

/* The answer to one line, as struct sm_server_callbacks has it. @owner: a struct plugin. */
char *plugin_answer(void *owner, unsigned connection, const char *line, size_t bytes);

#endif
