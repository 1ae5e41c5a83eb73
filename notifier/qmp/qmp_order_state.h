/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Between qmp_order.c and the orders, qmp_order_*.c. */
#ifndef TETHER_QMP_ORDER_STATE_H
#define TETHER_QMP_ORDER_STATE_H

#include "notifier/qmp/qmp_order.h"
#include "notifier/qmp/qmp_settings.h"

/* What to do, all being seen. */
typedef void qmp_decide(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next);

qmp_decide qmp_decide_detach, qmp_decide_attach, qmp_decide_move;

/* Takes @arguments. */
void qmp_say(struct qmp_order *order, struct qmp_next *next, enum qmp_command command,
        struct json_object *arguments);
/* Then it looks again. */
void qmp_wait(struct qmp_order *order, struct qmp_next *next, unsigned ms);
void qmp_done(struct qmp_order *order, struct qmp_next *next);
void qmp_fail(struct qmp_order *order, struct qmp_next *next, int err, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* A migration of before is under way, whose agent has gone: it ends first. */
void qmp_cancel_first(struct qmp_order *order, struct qmp_next *next);
/* {"@key": "@value"}; NULL: no memory. */
struct json_object *qmp_argument(const char *key, const char *value);

#endif
