/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/advice.h"

#include <string.h>

bool advice_is_unpaired(const char *reason)
{
	return !strcmp(reason, "peer-without-shim") || !strcmp(reason, "vm-qp-without-shim");
}

static const char *of_refused(size_t findings, size_t unpaired)
{
	if (findings && unpaired == findings)
		return "nothing was changed; remove the reasons above, or move all the same with "
		       "--force: the connections named end with errors";
	return "nothing was changed; remove the reasons above";
}

const char *advice(enum migration_state end, size_t findings, size_t unpaired)
{
	switch (end) {
	case STATE_REFUSED:
		return of_refused(findings, unpaired);
	case STATE_ABORTED:
		return "the VM goes on where it was; it can be asked again";
	case STATE_FAILED_AT_SOURCE:
		return "the VM goes on at the source; see the reasons above before asking again";
	case STATE_LOST:
		return "programs saw verbs errors; see the reasons above, and tether vms for where "
		       "the VM is";
	default:
		return NULL;
	}
}
