/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_log.h"

#include "notifier/link/refusal_log.h"

/* Names of slots are their host's, and need not be printable. */
static void refused(void *owner, const struct directory_claim *claim)
{
	switch (claim->thing) {
	case DIRECTORY_VM:
		if (!*claim->holder) {
			refusal_say(owner, LOG_LEVEL_WARN, "directory", claim->host,
			        "host %s says that it has VM %s, which the operator has taken from "
			        "it: not believed",
			        claim->host, claim->name);
			break;
		}
		refusal_say(owner, LOG_LEVEL_WARN, "directory", claim->host,
		        "host %s says that it has VM %s, which is host %s's: not believed. Where "
		        "that one is wrong or gone: tether release %s",
		        claim->host, claim->name, claim->holder, claim->name);
		break;
	case DIRECTORY_PLACE:
		refusal_say(owner, LOG_LEVEL_WARN, "directory", claim->host,
		        "host %s says that a slot of its is at a switch and port where host %s has "
		        "one: not believed; tether agents names it",
		        claim->host, claim->holder);
		break;
	case DIRECTORY_GUID:
		refusal_say(owner, LOG_LEVEL_WARN, "directory", claim->host,
		        "host %s says that a slot of its shows a GUID which a slot of host %s "
		        "shows: not believed; tether agents names it",
		        claim->host, claim->holder);
		break;
	}
}

const struct directory_outputs directory_log = {.refused = refused};
