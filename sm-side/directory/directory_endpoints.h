/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * By what the SM knows each VM's port, and what its answer (locate_all) says of the VM. Pure;
 * belongs to the locator and its thread.
 */
#ifndef TETHER_DIRECTORY_ENDPOINTS_H
#define TETHER_DIRECTORY_ENDPOINTS_H

#include <json-c/json.h>

#include "sm-side/migration/admission.h"
#include "sm-side/directory/directory.h"

/* Of one VF; those of a VM come one after the other. */
struct endpoint {
	char *vm;
	uint64_t port;      /* what the VM's place is of: other ports, another answer */
	bool goes_on;       /* of the VM that the one before it is of */
	uint64_t port_guid; /* 0: by its LID */
	uint16_t lid;
	uint64_t switch_guid; /* 0: it is at no place */
	unsigned switch_port;
	bool shared_port;
	bool moves; /* wherever it is */
};

struct endpoints {
	struct endpoint *at;
	size_t count, room;
};

void endpoints_clear(struct endpoints *endpoints);

/*
 * Of each VM with slots whose host is here, and of each that moves: that one is known by the
 * GUIDs that move along, wherever they are. Under Shared Port the first slot of a VM counts. What
 * the directory has of a VM whose port is another now, or that has none, does not count any more.
 * @open: only those that are not located, or nowhere. -ENOMEM
 */
int endpoints_fill(struct endpoints *endpoints, struct directory *directory,
        const struct inventory *inventory, const struct under_way *under_way, bool open);

/* So many from @first on, at most @most, that no VM is cut in two. */
size_t endpoints_batch(const struct endpoints *endpoints, size_t first, size_t most);
/* "ports" of a request for @count of them from @first on; the caller puts it. */
struct json_object *endpoints_wanted(const struct endpoints *endpoints, size_t first, size_t count);
/* The same of its answer, into the directory; a VM whose port is another by now is left as it is.
 * Where the SM has the port elsewhere than the host, or the LID of a shared port is another host's,
 * the VM is nowhere. -EBADMSG; -ENOMEM */
int endpoints_take(const struct endpoints *endpoints, size_t first, size_t count,
        struct json_object *answer, struct directory *directory);

#endif
