/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The lines of the socket between tether-smd and the plugin, as the plugin reads them: a request,
 * read strictly into a struct (DESIGN.md "Protocol with the plugin"). Pure.
 */
#ifndef TETHER_SM_REQUEST_H
#define TETHER_SM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "notifier/wire/notice.h"
#include "sm-side/plan/plan.h"

enum {
	SM_REQUEST_BYTES_MAX = 64 << 10,
	SM_LEASE_MS_MAX = 10000,
	SM_MIGRATION_BYTES = 64,
};

enum sm_op {
	SM_HELLO,
	SM_STATUS,
	SM_LOCATE,
	SM_LOCATE_ALL,
	SM_PLAN,
	SM_LEASE,
	SM_RELEASE_LEASE,
	SM_APPLY,
	SM_VERIFY,
	SM_UNDO,
	SM_MOVE_ALIAS,
	SM_REPORT,
};

const char *sm_op_name(enum sm_op op);

struct sm_wanted_port {
	uint64_t port_guid; /* 0: by its LID */
	uint16_t lid;
};

/* What an op does not have is zero. */
struct sm_request {
	enum sm_op op;
	char wrong[240];    /* what is, where the sentence has numbers */
	uint64_t port_guid; /* locate's */
	enum plan_order order;
	enum plan_reach reach;
	bool has_sl; /* whoever asks has chosen a service level for all paths to and from the VMs */
	uint8_t sl;
	uint32_t move_count;
	struct plan_move_request *moves; /* by sm_request_clear */
	uint32_t peer_count;
	uint16_t *peers; /* LIDs to which paths are asked for; by sm_request_clear */
	bool wants_changes;
	bool wants_sweep; /* release_lease: links have gone down or come up */
	bool has_hash;
	uint64_t hash;
	char migration[SM_MIGRATION_BYTES];
	unsigned ms, wait_ms;
	/* move_alias's */
	uint64_t alias, other_alias;
	uint16_t from_lid, to_lid;
	/* report's */
	size_t notice_count;
	struct notice *notices; /* by sm_request_clear */
	/* locate_all's */
	size_t wanted_count;
	struct sm_wanted_port *wanted; /* by sm_request_clear */
};

/*
 * Read a line without its end. *@id is what the answer has to echo, also where the rest is no good:
 * a new reference, or NULL. BAD_REQUEST or VERSION, with a sentence in *@text. sm_request_clear
 * @request in any case.
 */
enum refusal sm_request_read(const char *line, size_t bytes, struct json_object **id,
        struct sm_request *request, const char **text);
void sm_request_clear(struct sm_request *request);

#endif
