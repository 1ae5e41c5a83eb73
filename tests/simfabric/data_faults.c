/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/data_faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct data_faults *data_faults_of(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_DATA_FAULTS);
}

size_t data_faults_size(const struct net *net)
{
	return sizeof(struct data_faults);
}

void data_faults_init(struct fabric *fabric, const struct net *net)
{
	data_faults_set(data_faults_of(fabric), "preset=mlx5");
}

/* ---- deciding ---- */

enum packet_kind packet_kind(const struct packet *packet)
{
	uint16_t is = packet_is(packet);

	if ((packet->opcode & TRANSPORT_MASK) == TRANSPORT_UC)
		return KIND_UC;
	if ((packet->opcode & TRANSPORT_MASK) == TRANSPORT_UD)
		return KIND_UD;
	if (is & IS_REQUEST)
		return KIND_REQUEST;
	if (is & (IS_READ | IS_ATOMIC))
		return KIND_RESPONSE;
	return (packet->aeth.syndrome & SYNDROME_KIND) == SYNDROME_RNR_NAK ? KIND_RNR_NAK
	                                                                   : KIND_ACK;
}

/* xorshift64*: the same seed gives the same fates. */
static uint64_t roll(struct fault_dice *dice)
{
	dice->state ^= dice->state >> 12;
	dice->state ^= dice->state << 25;
	dice->state ^= dice->state >> 27;
	return dice->state * 0x2545f4914f6cdd1dull;
}

static void shake(struct fault_dice *dice, uint64_t seed)
{
	if (dice->state && dice->seed == seed)
		return;
	dice->seed = seed;
	dice->state = (seed + 1) * 0x9e3779b97f4a7c15ull | 1;
}

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static bool happens(struct fault_dice *dice, uint32_t probability)
{
	return probability && (roll(dice) >> 32) % FAULT_CERTAIN < probability;
}

static const struct fault_rule *rule_for(
        const struct data_faults *faults, const struct packet *packet)
{
	uint32_t count = __atomic_load_n(&faults->rule_count, __ATOMIC_ACQUIRE);

	for (uint32_t i = 1; i < count && i < FAULT_RULES_MAX; i++) {
		const struct fault_rule *rule = &faults->rules[i];

		if (rule->slid == packet->slid && rule->dlid == packet->dlid)
			return rule;
	}
	return &faults->rules[0];
}

static bool is_cut_off(const struct fault_rule *rule, struct fault_dice *dice,
        struct fault_cut *cut, const struct packet *packet)
{
	uint16_t is = packet_is(packet);

	/* A datagram is whole or not there. */
	if (!(is & IS_REQUEST) || (is & (IS_READ | IS_ATOMIC)) || packet_kind(packet) == KIND_UD)
		return false;
	if ((is & IS_FIRST) || psn_distance(packet->psn, cut->last_psn) <= 0)
		cut->active = false;
	cut->last_psn = packet->psn;
	if (packet->message_index == load(&rule->cut_from) && happens(dice, load(&rule->cut)))
		cut->active = true;
	return cut->active;
}

static bool is_reliable(const struct packet *packet)
{
	return packet_kind(packet) < KIND_UC;
}

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

struct fault_fate data_faults_decide(struct data_faults *faults, struct fault_dice *dice,
        struct fault_cut *cut, const struct packet *packet)
{
	const struct fault_rule *rule = rule_for(faults, packet);
	const struct kind_faults *kind = &rule->kinds[packet_kind(packet)];
	struct packet_counts *counts = &faults->packets[packet_kind(packet)];
	struct fault_fate fate = {0};

	shake(dice, __atomic_load_n(&faults->seed, __ATOMIC_RELAXED));
	fate.drop = is_cut_off(rule, dice, cut, packet) || happens(dice, load(&kind->drop)) ||
	            (is_reliable(packet) && qp_faults_lose(&faults->qps, packet));
	fate.duplicate = happens(dice, load(&kind->duplicate));
	if (happens(dice, load(&kind->delay)))
		fate.delay_ns = 1 + roll(dice) % (load(&kind->delay_us) * 1000ull + 1);
	count(&counts->seen);
	if (fate.drop)
		count(&counts->lost);
	return fate;
}

uint64_t data_faults_hold_ns(
        const struct data_faults *faults, struct fault_dice *dice, bool is_receive)
{
	uint32_t probability = load(is_receive ? &faults->hold_receives : &faults->hold_sends);
	const uint32_t *us = is_receive ? &faults->hold_us : &faults->hold_sends_us;

	if (!probability)
		return 0;
	shake(dice, __atomic_load_n(&faults->seed, __ATOMIC_RELAXED));
	return happens(dice, probability) ? load(us) * 1000ull : 0;
}

/* ---- settings ---- */

static const char *const kind_names[KIND_COUNT] = {"request", "response", "ack", "rnr", "uc", "ud"};

const char *packet_kind_name(enum packet_kind kind)
{
	return kind_names[kind];
}

static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* "P" or "P:N". */
static int parse_chance(const char *text, uint32_t *probability, uint32_t *number)
{
	char *end;
	double p = strtod(text, &end);

	if (end == text || !(p >= 0 && p <= 1))
		return -EINVAL;
	if (number) {
		unsigned long n;

		if (*end++ != ':')
			return -EINVAL;
		text = end;
		n = strtoul(text, &end, 10);
		if (end == text || n > UINT32_MAX)
			return -EINVAL;
		store(number, (uint32_t)n);
	}
	if (*end)
		return -EINVAL;
	store(probability, (uint32_t)(p * FAULT_CERTAIN + 0.5));
	return 0;
}

static int parse_kind(const char *name, size_t length)
{
	for (int i = 0; i < KIND_COUNT; i++) {
		if (strlen(kind_names[i]) == length && !strncmp(kind_names[i], name, length))
			return i;
	}
	return -EINVAL;
}

static int set_rule(struct fault_rule *rule, const char *setting)
{
	const char *dot = strchr(setting, '.'), *value = strchr(setting, '=');
	struct kind_faults *faults;
	int kind;

	if (!strncmp(setting, "cut=", 4))
		return parse_chance(setting + 4, &rule->cut, &rule->cut_from);
	if (!dot || !value || dot > value)
		return -EINVAL;
	kind = parse_kind(dot + 1, (size_t)(value - dot - 1));
	if (kind < 0)
		return kind;
	faults = &rule->kinds[kind];
	if (!strncmp(setting, "drop.", 5))
		return parse_chance(value + 1, &faults->drop, NULL);
	if (!strncmp(setting, "duplicate.", 10))
		return parse_chance(value + 1, &faults->duplicate, NULL);
	if (!strncmp(setting, "delay.", 6))
		return parse_chance(value + 1, &faults->delay, &faults->delay_us);
	return -EINVAL;
}

static int set_for_pair(struct data_faults *faults, const char *setting)
{
	unsigned slid, dlid;
	int length = 0, err;
	uint32_t i;

	if (sscanf(setting, "%u>%u:%n", &slid, &dlid, &length) != 2 || !length ||
	        slid > UINT16_MAX || dlid > UINT16_MAX)
		return -EINVAL;
	for (i = 1; i < faults->rule_count; i++) {
		if (faults->rules[i].slid == slid && faults->rules[i].dlid == dlid)
			return set_rule(&faults->rules[i], setting + length);
	}
	if (i == FAULT_RULES_MAX)
		return -ENOSPC;
	memset(&faults->rules[i], 0, sizeof(faults->rules[i]));
	faults->rules[i].slid = (uint16_t)slid;
	faults->rules[i].dlid = (uint16_t)dlid;
	err = set_rule(&faults->rules[i], setting + length);
	if (!err)
		__atomic_store_n(&faults->rule_count, i + 1, __ATOMIC_RELEASE);
	return err;
}

static int set_preset(struct data_faults *faults, const char *name)
{
	bool is_mlx5 = !strcmp(name, "mlx5");

	if (!is_mlx5 && strcmp(name, "rxe"))
		return -EINVAL;
	store(&faults->reset_purges, is_mlx5);
	store(&faults->err_flushes_receives, is_mlx5);
	store(&faults->err_gives_back_sent, 0);
	store(&faults->raises_last_wqe, is_mlx5);
	store(&faults->loss_flushes, 0);
	store(&faults->loss_is_fatal, is_mlx5);
	store(&faults->live_rq_psn, 1);
	store(&faults->live_sq_psn, 1);
	store(&faults->given_psns, 0);
	store(&faults->colliding_numbers, 0);
	store(&faults->shifted_tables, 0);
	store(&faults->strange_clocks, 0);
	store(&faults->swapped_numbers, 0);
	return 0;
}

static int set_switch(struct data_faults *faults, const char *setting)
{
	const struct {
		const char *name;
		uint32_t *word;
	} switches[] = {
	        {"hold_until_query=", &faults->hold_until_query},
	        {"reset_purges=", &faults->reset_purges},
	        {"err_flushes_receives=", &faults->err_flushes_receives},
	        {"err_gives_back_sent=", &faults->err_gives_back_sent},
	        {"raises_last_wqe=", &faults->raises_last_wqe},
	        {"loss_flushes=", &faults->loss_flushes},
	        {"loss_is_fatal=", &faults->loss_is_fatal},
	        {"live_rq_psn=", &faults->live_rq_psn},
	        {"live_sq_psn=", &faults->live_sq_psn},
	        {"given_psns=", &faults->given_psns},
	        {"colliding_numbers=", &faults->colliding_numbers},
	        {"shifted_tables=", &faults->shifted_tables},
	        {"strange_clocks=", &faults->strange_clocks},
	        {"ethernet=", &faults->ethernet},
	        {"swapped_numbers=", &faults->swapped_numbers},
	};

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		size_t length = strlen(switches[i].name);
		const char *value = setting + length;

		if (strncmp(setting, switches[i].name, length))
			continue;
		if (strcmp(value, "0") && strcmp(value, "1"))
			return -EINVAL;
		store(switches[i].word, *value == '1');
		return 0;
	}
	return -EINVAL;
}

static int set_seed(struct data_faults *faults, const char *text)
{
	char *end;
	uint64_t seed = strtoull(text, &end, 0);

	if (end == text || *end)
		return -EINVAL;
	__atomic_store_n(&faults->seed, seed, __ATOMIC_RELAXED);
	return 0;
}

static int pass_all(struct data_faults *faults)
{
	store(&faults->is_active, 0);
	__atomic_store_n(&faults->rule_count, 1, __ATOMIC_RELEASE);
	memset(faults->rules, 0, sizeof(faults->rules));
	qp_faults_clear(&faults->qps);
	store(&faults->hold_receives, 0);
	store(&faults->hold_sends, 0);
	store(&faults->hold_until_query, 0);
	return 0;
}

static int set_packets(struct data_faults *faults, const char *setting)
{
	size_t digits = strspn(setting, "0123456789");
	int err;

	if (setting[digits] == '/')
		err = qp_faults_set(&faults->qps, setting);
	else if (digits)
		err = set_for_pair(faults, setting);
	else
		err = set_rule(&faults->rules[0], setting);
	if (!err)
		store(&faults->is_active, 1);
	return err;
}

static int set_one(struct data_faults *faults, const char *setting)
{

	if (!strcmp(setting, "none"))
		return pass_all(faults);
	if (!strncmp(setting, "preset=", 7))
		return set_preset(faults, setting + 7);
	if (!strncmp(setting, "seed=", 5))
		return set_seed(faults, setting + 5);
	if (!strncmp(setting, "hold=", 5))
		return parse_chance(setting + 5, &faults->hold_receives, &faults->hold_us);
	if (!strncmp(setting, "hold_send=", 10))
		return parse_chance(setting + 10, &faults->hold_sends, &faults->hold_sends_us);
	if (!set_switch(faults, setting))
		return 0;
	return set_packets(faults, setting);
}

int data_faults_set(struct data_faults *faults, const char *setting)
{
	int err = set_one(faults, setting);

	__atomic_fetch_add(&faults->changes, 1, __ATOMIC_RELEASE);
	return err;
}
