/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/qp_faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_PSN      UINT32_MAX
#define WITHOUT_END UINT32_MAX

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* ---- deciding ---- */

/* NULL behind the last; a row without action is free. */
static struct qp_fault *row_at(struct qp_faults *faults, uint32_t i)
{
	uint32_t count = __atomic_load_n(&faults->count, __ATOMIC_ACQUIRE);

	return i < count && i < QP_FAULTS_MAX ? &faults->rows[i] : NULL;
}

static bool is_of(const struct qp_fault *row, const struct qp_name *asks)
{
	return __atomic_load_n(&row->action, __ATOMIC_ACQUIRE) != QP_FAULT_NONE &&
	       load(&row->lid) == asks->lid && load(&row->qpn) == asks->qpn;
}

static bool reaches(const struct qp_fault *row, uint32_t psn)
{
	uint32_t from = load(&row->from_psn);

	return from != NO_PSN && psn_distance(psn, psn_add(from, load(&row->packet))) >= 0;
}

static bool is_left(struct qp_fault *row)
{
	uint32_t left = load(&row->left);

	while (left && left != WITHOUT_END)
		if (__atomic_compare_exchange_n(
		            &row->left, &left, left - 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return left;
}

static bool happens(struct qp_faults *faults, const struct qp_name *asks,
        enum qp_fault_action action, uint32_t psn)
{
	struct qp_fault *row;

	for (uint32_t i = 0; (row = row_at(faults, i)); i++) {
		if (is_of(row, asks) && row->action == action && reaches(row, psn) && is_left(row))
			return true;
	}
	return false;
}

/* Who asks again for the same message counts it once. */
static void count_message(struct qp_fault *row, uint32_t psn)
{
	if (load(&row->from_psn) != NO_PSN || load(&row->counted) == psn)
		return;
	store(&row->counted, psn);
	if (!row->message)
		store(&row->from_psn, psn);
	else
		store(&row->message, row->message - 1);
}

bool qp_faults_hold(struct qp_faults *faults, const struct qp_name *asks, uint32_t psn, bool begins)
{
	struct qp_fault *row;

	for (uint32_t i = 0; begins && (row = row_at(faults, i)); i++)
		if (is_of(row, asks))
			count_message(row, psn);
	return happens(faults, asks, QP_HOLD, psn);
}

/* The last PSN of which an answer says that it was accepted (IBA 9.7.5.1.2). */
static uint32_t acknowledged_psn(const struct packet *packet)
{
	bool is_nak = !(packet_is(packet) & (IS_READ | IS_ATOMIC)) &&
	              packet->aeth.syndrome != SYNDROME_ACK;

	return is_nak ? psn_add(packet->psn, PACKET_PSN_MASK) : packet->psn;
}

bool qp_faults_lose(struct qp_faults *faults, const struct packet *packet)
{
	struct qp_name asks = {packet->slid, packet->src_qpn};

	if (packet_is(packet) & IS_REQUEST)
		return happens(faults, &asks, QP_LOSE, packet->psn);
	asks = (struct qp_name){packet->dlid, packet->dest_qpn};
	if (happens(faults, &asks, QP_LOSE_ACKS, acknowledged_psn(packet)))
		return true;
	return (packet_is(packet) & (IS_READ | IS_ATOMIC)) &&
	       happens(faults, &asks, QP_LOSE_ANSWERS, packet->psn);
}

bool qp_faults_hold_receive(
        struct qp_faults *faults, const struct qp_name *asks, uint32_t psn, bool is_new)
{
	struct qp_fault *row;

	if (is_new)
		return happens(faults, asks, QP_HOLD_RECEIVES, psn);
	for (uint32_t i = 0; (row = row_at(faults, i)); i++) {
		if (is_of(row, asks) && row->action == QP_HOLD_RECEIVES && reaches(row, psn))
			return true;
	}
	return false;
}

bool qp_faults_refuse(struct qp_faults *faults, const struct qp_name *asks, uint32_t psn)
{
	return happens(faults, asks, QP_RNR, psn);
}

/* ---- settings ---- */

static const char *const action_names[QP_FAULT_COUNT] = {
        [QP_FAULT_NONE] = "pass",
        [QP_HOLD] = "hold",
        [QP_LOSE] = "lose",
        [QP_LOSE_ACKS] = "lose_acks",
        [QP_LOSE_ANSWERS] = "lose_answers",
        [QP_HOLD_RECEIVES] = "hold_receives",
        [QP_RNR] = "rnr",
};

static int parse_action(const char *name, size_t length)
{
	for (int i = 0; i < QP_FAULT_COUNT; i++) {
		if (strlen(action_names[i]) == length && !strncmp(action_names[i], name, length))
			return i;
	}
	return -EINVAL;
}

static bool parse_number(const char **text, uint32_t most, uint32_t *number)
{
	char *end;
	unsigned long n;

	if (**text < '0' || **text > '9')
		return false;
	n = strtoul(*text, &end, 0);
	*text = end;
	*number = (uint32_t)n;
	return n <= most;
}

static int parse_where(const char *text, struct qp_fault *row)
{
	if (*text == '@') {
		text++;
		if (!parse_number(&text, PACKET_PSN_MASK, &row->from_psn))
			return -EINVAL;
	} else if (!parse_number(&text, WITHOUT_END - 1, &row->message)) {
		return -EINVAL;
	}
	if (*text == '.') {
		text++;
		if (!parse_number(&text, PACKET_PSN_MASK / 2, &row->packet))
			return -EINVAL;
	}
	if (*text == ':' && row->action != QP_HOLD) {
		text++;
		if (!parse_number(&text, WITHOUT_END - 1, &row->left))
			return -EINVAL;
	}
	return *text ? -EINVAL : 0;
}

static int parse_name(const char **text, struct qp_name *name)
{
	if (!parse_number(text, UINT16_MAX, &name->lid) || *(*text)++ != '/' ||
	        !parse_number(text, PACKET_PSN_MASK, &name->qpn) || *(*text)++ != ':')
		return -EINVAL;
	return 0;
}

static int add(struct qp_faults *faults, struct qp_fault *row)
{
	uint32_t i = 0, action = row->action;

	while (i < faults->count && faults->rows[i].action)
		i++;
	if (i == QP_FAULTS_MAX)
		return -ENOSPC;
	/* Nobody reads the row before it says what to do. */
	row->action = QP_FAULT_NONE;
	faults->rows[i] = *row;
	__atomic_store_n(&faults->rows[i].action, action, __ATOMIC_RELEASE);
	if (i == faults->count)
		__atomic_store_n(&faults->count, i + 1, __ATOMIC_RELEASE);
	return 0;
}

static void take_away(struct qp_faults *faults, const struct qp_name *name)
{
	for (uint32_t i = 0; i < faults->count; i++)
		if (is_of(&faults->rows[i], name))
			store(&faults->rows[i].action, QP_FAULT_NONE);
}

int qp_faults_set(struct qp_faults *faults, const char *setting)
{
	struct qp_fault row = {.left = WITHOUT_END, .counted = NO_PSN, .from_psn = NO_PSN};
	struct qp_name name;
	int err = parse_name(&setting, &name), action;
	size_t length = strcspn(setting, "=");

	if (err)
		return err;
	action = parse_action(setting, length);
	if (action < 0 || !setting[length] != (action == QP_FAULT_NONE))
		return -EINVAL;
	if (action == QP_FAULT_NONE) {
		take_away(faults, &name);
		return 0;
	}
	row.lid = name.lid;
	row.qpn = name.qpn;
	row.action = (uint32_t)action;
	err = parse_where(setting + length + 1, &row);
	return err ? err : add(faults, &row);
}

void qp_faults_clear(struct qp_faults *faults)
{
	for (uint32_t i = 0; i < faults->count; i++)
		store(&faults->rows[i].action, QP_FAULT_NONE);
}
