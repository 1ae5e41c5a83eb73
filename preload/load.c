/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the loader calls, in programs that use no verbs, too: it has to cost nothing. */
#include <pthread.h>

#include "preload/agent_link.h"
#include "preload/connection_manager.h"
#include "preload/control.h"
#include "preload/datagram_numbers.h"
#include "preload/device.h"
#include "preload/device_list.h"
#include "preload/fork_watch.h"
#include "preload/heard_senders.h"
#include "preload/reserved_numbers.h"
#include "preload/settings.h"
#include "preload/translation.h"

/*
 * The child has neither the service thread nor a use for the parent's objects; what it opens itself
 * it opens afresh. If it goes on with the parent's, its agent hears of it (control.c) and that it
 * cannot move.
 */
static void in_child(void)
{
	fork_watch_in_child();
	connection_manager_forget();
	contexts_forget();
	device_list_forget();
	reserved_numbers_in_child();
	remote_keys_in_child();
	datagram_numbers_in_child();
	datagram_records_in_child();
	heard_senders_in_child();
	port_tables_in_child();
	known_gids_in_child();
	control_forget();
	agent_link_forget_parent();
}

__attribute__((constructor)) static void load(void)
{
	settings();
	pthread_atfork(fork_watch_before_fork, fork_watch_in_parent, in_child);
}
