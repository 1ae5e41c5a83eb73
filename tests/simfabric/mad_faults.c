/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/mad_faults.h"

#include <errno.h>

#include "simfabric/mad_fields.h"

struct fault_table {
	uint64_t rows_used;
	struct mad_fault rows[MAD_FAULTS_MAX];
};

static struct fault_table *table(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_MAD_FAULTS);
}

size_t mad_faults_size(const struct net *net)
{
	return sizeof(struct fault_table);
}

int mad_fault_add(struct fabric *fabric, const struct mad_fault *rule)
{
	struct fault_table *t = table(fabric);
	uint64_t row = t->rows_used;

	if (row == MAD_FAULTS_MAX)
		return -ENOSPC;
	t->rows[row] = *rule;
	if (!t->rows[row].state)
		t->rows[row].state = 1; /* the sequence of 0 is all zeroes */
	__atomic_store_n(&t->rows_used, row + 1, __ATOMIC_RELEASE);
	return (int)row;
}

void mad_faults_clear(struct fabric *fabric)
{
	table(fabric)->rows_used = 0;
}

int mad_fault_end(struct fabric *fabric, uint32_t row)
{
	struct fault_table *t = table(fabric);

	if (row >= t->rows_used)
		return -ENOENT;
	t->rows[row].left = 0;
	return 0;
}

const struct mad_fault *mad_fault_row(const struct fabric *fabric, uint32_t row)
{
	return row < table(fabric)->rows_used ? &table(fabric)->rows[row] : NULL;
}

/* Marsaglia's xorshift64*. */
static uint32_t draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * 0x2545f4914f6cdd1dull) >> 32);
}

/* In a million. */
static uint32_t drawn(struct mad_fault *rule, const struct mad_fault_case *packet)
{
	uint64_t own = rule->state ^ packet->tid * 0x9e3779b97f4a7c15ull;
	uint32_t value = 0;

	if (!rule->is_per_message)
		return (uint64_t)draw(&rule->state) * MAD_FAULT_CERTAIN >> 32;
	if (!own)
		own = 1;
	/* Neighbours are alike in the first. */
	for (int i = 0; i < 4; i++)
		value = draw(&own);
	return (uint64_t)value * MAD_FAULT_CERTAIN >> 32;
}

static bool is_meant(const struct mad_fault *rule, const struct mad_fault_case *packet)
{
	bool is_smp = packet->mgmt_class == CLASS_SUBN_LID || packet->mgmt_class == CLASS_SUBN_DR;

	return rule->directions & packet->direction &&
	       (rule->mgmt_class ? rule->mgmt_class == packet->mgmt_class : is_smp) &&
	       (rule->node == NO_INDEX || rule->node == packet->node) &&
	       (!rule->attribute || rule->attribute == packet->attribute) &&
	       (!rule->method || rule->method == packet->method);
}

static bool strikes(struct mad_fault *rule, const struct mad_fault_case *packet)
{
	if (!rule->left || !is_meant(rule, packet))
		return false;
	if (drawn(rule, packet) >= rule->chance)
		return false;
	if (rule->left != UINT32_MAX)
		rule->left--;
	rule->hits++;
	return true;
}

bool mad_fault_drops(struct fabric *fabric, const struct mad_fault_case *packet)
{
	struct fault_table *t = table(fabric);

	for (uint64_t i = 0; i < t->rows_used; i++) {
		if (t->rows[i].kind == MAD_FAULT_DROP && strikes(&t->rows[i], packet))
			return true;
	}
	return false;
}

static uint64_t delay_ns_of(const struct mad_fault *rule, unsigned hops)
{
	return rule->delay_ns + hops * rule->per_hop_ns;
}

bool mad_fault_duplicates(struct fabric *fabric, const struct mad_fault_case *packet, unsigned hops,
        uint64_t *delay_ns)
{
	struct fault_table *t = table(fabric);

	for (uint64_t i = 0; i < t->rows_used; i++) {
		if (t->rows[i].kind != MAD_FAULT_DUPLICATE || !strikes(&t->rows[i], packet))
			continue;
		*delay_ns = delay_ns_of(&t->rows[i], hops);
		return true;
	}
	return false;
}

uint64_t mad_fault_delay_ns(
        struct fabric *fabric, const struct mad_fault_case *packet, unsigned hops)
{
	struct fault_table *t = table(fabric);
	uint64_t delay = 0;

	for (uint64_t i = 0; i < t->rows_used; i++) {
		if (t->rows[i].kind == MAD_FAULT_DELAY && strikes(&t->rows[i], packet))
			delay += delay_ns_of(&t->rows[i], hops);
	}
	return delay;
}
