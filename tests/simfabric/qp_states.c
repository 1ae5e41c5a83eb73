/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stddef.h>

#include "simfabric/qp_states.h"

/* Short names, so that a row of the table fits on a line or two. */
enum {
	PKEY = IBV_QP_PKEY_INDEX,
	PORT = IBV_QP_PORT,
	ACCESS = IBV_QP_ACCESS_FLAGS,
	QKEY = IBV_QP_QKEY,
	PATH = IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN,
	ANSWER = IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER,
	RETRY = IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC,
	ALT = IBV_QP_ALT_PATH,
	MIG = IBV_QP_PATH_MIG_STATE,
	CUR = IBV_QP_CUR_STATE,
	RNR = IBV_QP_MIN_RNR_TIMER,
	PSN = IBV_QP_SQ_PSN,
};

enum {
	RC = 1 << 0,
	UC = 1 << 1,
	UD = 1 << 2,
	XI = 1 << 3, /* XRC initiator */
	XT = 1 << 4, /* XRC target */
	CONNECTED = RC | UC | XI | XT,
	ALL = CONNECTED | UD,
};

struct transition {
	int types;
	enum ibv_qp_state from, to;
	int required, allowed;
};

static const struct transition transitions[] = {
        {CONNECTED, IBV_QPS_RESET, IBV_QPS_INIT, PKEY | PORT | ACCESS, 0},
        {UD, IBV_QPS_RESET, IBV_QPS_INIT, PKEY | PORT | QKEY, 0},
        {CONNECTED, IBV_QPS_INIT, IBV_QPS_INIT, 0, PKEY | PORT | ACCESS},
        {UD, IBV_QPS_INIT, IBV_QPS_INIT, 0, PKEY | PORT | QKEY},
        {RC | XT, IBV_QPS_INIT, IBV_QPS_RTR, PATH | ANSWER, ALT | ACCESS | PKEY},
        {UC | XI, IBV_QPS_INIT, IBV_QPS_RTR, PATH, ALT | ACCESS | PKEY},
        {UD, IBV_QPS_INIT, IBV_QPS_RTR, 0, PKEY | QKEY},
        {RC, IBV_QPS_RTR, IBV_QPS_RTS, RETRY | PSN, CUR | ALT | ACCESS | RNR | MIG},
        {XI, IBV_QPS_RTR, IBV_QPS_RTS, RETRY | PSN, CUR | ALT | ACCESS | MIG},
        {XT, IBV_QPS_RTR, IBV_QPS_RTS, IBV_QP_TIMEOUT | PSN, CUR | ALT | ACCESS | RNR | MIG},
        {UC, IBV_QPS_RTR, IBV_QPS_RTS, PSN, CUR | ALT | ACCESS | MIG},
        {UD, IBV_QPS_RTR, IBV_QPS_RTS, PSN, CUR | QKEY},
        {RC | XT, IBV_QPS_RTS, IBV_QPS_RTS, 0, CUR | ACCESS | ALT | MIG | RNR},
        {UC | XI, IBV_QPS_RTS, IBV_QPS_RTS, 0, CUR | ACCESS | ALT | MIG},
        {UD, IBV_QPS_RTS, IBV_QPS_RTS, 0, CUR | QKEY},
        {ALL, IBV_QPS_RTS, IBV_QPS_SQD, 0, IBV_QP_EN_SQD_ASYNC_NOTIFY},
        {RC | XT, IBV_QPS_SQD, IBV_QPS_RTS, 0, CUR | ALT | ACCESS | RNR | MIG},
        {UC | XI, IBV_QPS_SQD, IBV_QPS_RTS, 0, CUR | ALT | ACCESS | MIG},
        {UD, IBV_QPS_SQD, IBV_QPS_RTS, 0, CUR | QKEY},
        {RC, IBV_QPS_SQD, IBV_QPS_SQD, 0,
                PORT | IBV_QP_AV | RETRY | ANSWER | ALT | ACCESS | PKEY | MIG},
        {XI, IBV_QPS_SQD, IBV_QPS_SQD, 0, PORT | IBV_QP_AV | RETRY | ALT | ACCESS | PKEY | MIG},
        {XT, IBV_QPS_SQD, IBV_QPS_SQD, 0,
                PORT | IBV_QP_AV | IBV_QP_TIMEOUT | ANSWER | ALT | ACCESS | PKEY | MIG},
        {UC, IBV_QPS_SQD, IBV_QPS_SQD, 0, IBV_QP_AV | ALT | ACCESS | PKEY | MIG},
        {UD, IBV_QPS_SQD, IBV_QPS_SQD, 0, PKEY | QKEY},
        {UC, IBV_QPS_SQE, IBV_QPS_RTS, 0, CUR | ACCESS},
        {UD, IBV_QPS_SQE, IBV_QPS_RTS, 0, CUR | QKEY},
};

static int type_bit(enum ibv_qp_type type)
{
	switch (type) {
	case IBV_QPT_RC:
		return RC;
	case IBV_QPT_UC:
		return UC;
	case IBV_QPT_UD:
		return UD;
	case IBV_QPT_XRC_SEND:
		return XI;
	case IBV_QPT_XRC_RECV:
		return XT;
	default:
		return 0;
	}
}

bool qp_states_allow(enum ibv_qp_type type, enum ibv_qp_state from, enum ibv_qp_state to, int mask)
{
	int bit = type_bit(type);

	mask &= ~IBV_QP_STATE;
	/* Every state leads to RESET and ERR, except RESET to ERR. */
	if (to == IBV_QPS_RESET)
		return bit && !mask;
	if (to == IBV_QPS_ERR)
		return bit && !mask && from != IBV_QPS_RESET;
	for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
		const struct transition *row = &transitions[i];

		if (!(row->types & bit) || row->from != from || row->to != to)
			continue;
		return (mask & row->required) == row->required &&
		       !(mask & ~(row->required | row->allowed));
	}
	return false;
}
