/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/smd_credentials.h"

#include <errno.h>
#include <stdio.h>

#include "notifier/link/listener.h"

int smd_credentials_make(const struct smd_settings *settings, struct credentials **made,
        char *error, size_t error_size)
{
	char who[PEER_TEXT_BYTES];

	*made = NULL;
	if (!listener_wants_credentials(settings->listen))
		return 0;
	*made = credentials_create(&settings->tls, error, error_size);
	if (!*made)
		return -EINVAL;
	if (credentials_identity(*made)->role == PEER_SM)
		return 0;
	peer_identity_write(credentials_identity(*made), who);
	snprintf(error, error_size, "%s: it is of %s, tether-smd is sm/NAME",
	        settings->tls.certificate, who);
	credentials_destroy(*made);
	*made = NULL;
	return -EINVAL;
}
