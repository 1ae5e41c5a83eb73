/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A device as the application is shown it, wherever the real one is now. Included by objects.h. */
#ifndef TETHER_DEVICE_OBJECT_H
#define TETHER_DEVICE_OBJECT_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "preload/known_gids.h"

/* Direct verbs read their own struct beyond ibv_device; zeros there mean "not mine". */
enum { DEVICE_BEYOND_BYTES = 2048, PORTS_MAX = 4 };

/* What the application was told of a port, and goes on being told. */
struct port {
	struct ibv_port_attr attr;
	union ibv_gid gid;      /* the first in its table */
	bool known;             /* the LID was assigned */
	uint32_t real_lid;      /* of the device that is there now; 0: not learned */
	struct known_gids gids; /* of an Ethernet port, which has no LID */
};

static inline bool port_is_ethernet(const struct port *port)
{
	return port->attr.link_layer == IBV_LINK_LAYER_ETHERNET;
}

/* A place that a device has been at, as librdmacm is shown it (connection_devices.h). */
struct device_place {
	struct ibv_device shown;
	unsigned char beyond[DEVICE_BEYOND_BYTES];
	__be64 guid;
	int index;
	TAILQ_ENTRY(device_place) link;
};

/* One that was there when another went. */
struct device_seen {
	char name[IBV_SYSFS_NAME_MAX];
	__be64 guid;
};

struct device {
	struct ibv_device shown;
	unsigned char beyond[DEVICE_BEYOND_BYTES];
	struct ibv_device *real; /* as listed last; NULL: away */
	char real_name[IBV_SYSFS_NAME_MAX];
	__be64 guid;
	struct port ports[PORTS_MAX]; /* as learned when it was open */
	unsigned contexts;            /* of the application */
	unsigned opened;              /* of them those that have it open: they keep @real valid */
	struct device_seen *others;   /* of Ethernet, while it is away: none of them will be it */
	unsigned other_count;
	TAILQ_HEAD(, device_place) places; /* others than the one that @shown stands for */
	bool has_index;                    /* librdmacm has been shown it, as: */
	int index;
	struct context *of_connections; /* librdmacm's */
	TAILQ_ENTRY(device) link;
};

#endif
