/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The API: HTTP with JSON bodies on a unix socket, for the command line and for orchestrators
 * (DESIGN.md "API"). Only root and the daemon's own user are served. Lives in the thread of its
 * event_base.
 */
#ifndef TETHER_API_H
#define TETHER_API_H

#include "sm-side/conductor/conductor.h"

struct api;
struct dry_run;
struct evacuator;

/* NULL with errno. Conductor and evacuator are set before the loop runs. */
struct api *api_create(struct event_base *base, const char *path);
void api_conductor_set(struct api *api, struct conductor *conductor);
void api_evacuator_set(struct api *api, struct evacuator *evacuator);
/* Where there is a fabric: who asks for plans that are not to be carried out. */
void api_dry_run_set(struct api *api, struct dry_run *dry_run);
/* Something is new in a migration or an evacuation: whoever waits for it is answered. */
void api_changed(struct api *api);
/* Somebody follows a migration, or did until a moment ago, and has not been sent its end yet. */
bool api_owes_an_end(const struct api *api);
void api_destroy(struct api *api);

#endif
