/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory_log.h"

#include "notifier/base/log.h"

static void refused(void *owner, const struct directory_claim *claim)
{
	switch (claim->thing) {
	case DIRECTORY_VM:
		log_warn("directory",
		        "host %s says that it has VM %s, which is host %s's: not believed. Where "
		        "that one is wrong or gone: tether release %s",
		        claim->host, claim->name, claim->holder, claim->name);
		break;
	case DIRECTORY_PLACE:
		log_warn("directory",
		        "host %s says that its slot %s is at a switch and port where host %s has "
		        "one: not believed",
		        claim->host, claim->name, claim->holder);
		break;
	case DIRECTORY_GUID:
		log_warn("directory",
		        "host %s says that its slot %s shows a GUID which a slot of host %s shows: "
		        "not believed",
		        claim->host, claim->name, claim->holder);
		break;
	}
}

static void more(void *owner, const char *host, size_t count)
{
	log_warn("directory", "host %s says %zu more such things; see tether agents", host, count);
}

const struct directory_outputs directory_log = {.refused = refused, .more = more};
