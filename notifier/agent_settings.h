/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What tether.conf(5) may say for an agent. Belongs to agent_main.c and the role that it starts. */
#ifndef TETHER_AGENT_SETTINGS_H
#define TETHER_AGENT_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/certificates/credentials_files.h"
#include "notifier/certificates/peer_identity.h"

struct agent_settings {
	char *role; /* "host", "relay", "guest" */
	char *name; /* of a guest "": its host says it */
	char *root; /* unix:/run/tether/agents.sock, tls:10.0.0.1:4710; of a guest its host */
	char *parent_name; /* whose certificate that has to be, "sm/smd"; "any" */
	struct credentials_files tls;
	char *driver; /* exec:/usr/lib/tether/driver */
	char *listen; /* guest: unix:/run/tether/agent.sock; relay: with tls:0.0.0.0:4711, too */
	char *guest_channel;   /* host, of VMs of which the driver says none (guest_channel.h) */
	uint32_t vm_processes; /* links that are taken of the processes of one VM */
	uint32_t vsock_port;   /* host: where guests connect; 0: nowhere */
	char *state_dir;
	char *socket_dir;
	char *devices;  /* the folder of the device nodes; a host: of folders of VMs; "none" */
	char *mad_port; /* at which notices are heard, "mlx5_0:1", or "none" */
	mode_t socket_mode;
	char *log;
	char *metrics; /* where Prometheus asks (metrics_address.h); "none" */
	enum log_level log_level;
	struct deadlines deadlines;
};

/* Defaults, then @path, then what must be there and fit together. -errno with one line in @error.
 */
int agent_settings_read(
        struct agent_settings *settings, const char *path, char *error, size_t error_size);
/* What they name is there and can be used by this user; for --check-config, since it may change
 * before the start. -errno with one line in @error that names the line of the file. */
int agent_settings_check(
        const struct agent_settings *settings, const char *path, char *error, size_t error_size);
/* Is any of its links over TLS? */
bool agent_settings_want_credentials(const struct agent_settings *settings);
/* Who its parent has to be. False: any that may be one. */
bool agent_settings_parent(const struct agent_settings *settings, struct peer_identity *parent);
void agent_settings_clear(struct agent_settings *settings);

#endif
