/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/migration_said.h"

#include <string.h>

void said_init(struct said *said, Tether__Step step, Tether__Outcome outcome)
{
	memset(said, 0, sizeof(*said));
	tether__answer__init(&said->answer);
	tether__evidence_rows__init(&said->evidence);
	tether__qp_rows__init(&said->qps);
	tether__key_rows__init(&said->keys);
	tether__refusal__init(&said->refusal);
	said->refusals[0] = &said->refusal;
	said->answer.step = step;
	said->answer.outcome = outcome;
	said->answer.evidence = &said->evidence;
	said->answer.qps = &said->qps;
	said->answer.keys = &said->keys;
	said->answer.answered = said->answered;
	said->answer.missing = said->missing;
	said->answer.ended = said->ended;
	said->answer.refusals = said->refusals;
}

void said_clear(struct said *said)
{
	rows_clear(&said->evidence.base);
	rows_clear(&said->qps.base);
	rows_clear(&said->keys.base);
}

void said_qp(struct said *said, uint32_t lid, uint32_t qpn, uint32_t to_lid, uint32_t to_qpn)
{
	struct qp_row row = {.local_lid = lid,
	        .local_qpn = qpn,
	        .real_qpn = qpn,
	        .remote_lid = to_lid,
	        .remote_qpn = to_qpn};

	assert_int_equal(qp_rows_append(&said->qps, &row), 0);
}

void said_answered(struct said *said, const char *name)
{
	said->answered[said->answer.n_answered++] = (char *)name;
}

void said_missing(struct said *said, const char *name)
{
	said->missing[said->answer.n_missing++] = (char *)name;
}

void said_refusal(struct said *said, const char *who)
{
	said->refusal.who = (char *)who;
	said->refusal.reason = (char *)"veto-device-memory";
	said->refusal.text = (char *)"uses device memory";
	said->answer.n_refusals = 1;
}
