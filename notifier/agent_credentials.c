/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/agent_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Whoever is above would refuse it at HELLO; here the log says which file it is. */
static bool is_own(const struct agent_settings *settings, const struct peer_identity *identity)
{
	return !strcmp(settings->role, peer_identity_role_name(identity->role)) &&
	       !strcmp(settings->name, identity->name);
}

int agent_credentials_make(const struct agent_settings *settings, struct credentials **made,
        char *error, size_t error_size)
{
	struct peer_identity parent;
	char who[PEER_TEXT_BYTES];

	*made = NULL;
	if (!agent_settings_want_credentials(settings))
		return 0;
	*made = credentials_create(&settings->tls, error, error_size);
	if (!*made)
		return -EINVAL;
	if (agent_settings_parent(settings, &parent))
		credentials_parent_set(*made, &parent);
	if (is_own(settings, credentials_identity(*made)))
		return 0;
	peer_identity_write(credentials_identity(*made), who);
	snprintf(error, error_size, "%s: it is of %s, this is %s/%s", settings->tls.certificate,
	        who, settings->role, settings->name);
	credentials_destroy(*made);
	*made = NULL;
	return -EINVAL;
}
