/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/driver/driver.h"

#include <errno.h>
#include <string.h>

#include "notifier/base/cleanup.h"

static const struct driver_ops *const backends[] = {&driver_exec_ops, &driver_qmp_ops};

static const char *const verbs[] = {
        [TETHER__HOST_ACTION__HOST_NOTHING] = "inventory",
        [TETHER__HOST_ACTION__HOST_CHECK] = "check",
        [TETHER__HOST_ACTION__HOST_DETACH] = "detach",
        [TETHER__HOST_ACTION__HOST_MOVE] = "move",
        [TETHER__HOST_ACTION__HOST_SET_GUIDS] = "set-guids",
        [TETHER__HOST_ACTION__HOST_ATTACH] = "attach",
        [TETHER__HOST_ACTION__HOST_GIVE_BACK] = "give-back",
};

const char *driver_verb(Tether__HostAction action)
{
	return action < ARRAY_SIZE(verbs) && verbs[action] ? verbs[action] : "unknown";
}

int driver_open(struct event_base *base, const char *address, const char *host, int lock,
        struct driver **driver)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		size_t length = strlen(backends[i]->scheme);

		if (strncmp(address, backends[i]->scheme, length) || address[length] != ':' ||
		        !address[length + 1])
			continue;
		*driver = backends[i]->create(base, address + length + 1, host, lock);
		return *driver ? 0 : -ENOMEM;
	}
	return -EPROTONOSUPPORT;
}

void driver_close(struct driver *driver)
{
	if (driver)
		driver->ops->destroy(driver);
}
