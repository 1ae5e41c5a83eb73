/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "simfabric/sma.h"
#include "simfabric/switch_info.h"

enum {
	MFT_MODIFIER_BLOCK = 0x1ff,
	MFT_MODIFIER_POSITION_SHIFT = 28,
};

static struct fabric_switch *switch_of(const struct smp *smp)
{
	return &smp->fabric->switches[smp->fabric->nodes[smp->node].switch_index];
}

/* The components that a subnet manager writes; all others stay what they are. */
static uint16_t set_switch_info(struct smp *smp)
{
	struct fabric_switch *sw = switch_of(smp);
	uint16_t multicast_top = switch_info_multicast_top(smp->data);
	uint8_t info[64];

	if (switch_info_linear_top(smp->data) >= LFT_CAPACITY)
		return STATUS_BAD_FIELD;
	if (multicast_top == LID_PERMISSIVE || (multicast_top && multicast_top < MFT_FIRST_LID - 1))
		return STATUS_BAD_FIELD;
	memcpy(info, sw->info, sizeof(info));
	switch_info_set_linear_top(info, switch_info_linear_top(smp->data));
	switch_info_set_default_port(info, switch_info_default_port(smp->data));
	switch_info_set_primary_multicast_port(info, switch_info_primary_multicast_port(smp->data));
	switch_info_set_not_primary_multicast_port(
	        info, switch_info_not_primary_multicast_port(smp->data));
	switch_info_set_life_time(info, switch_info_life_time(smp->data));
	switch_info_set_multicast_top(info, multicast_top);
	if (switch_info_state_change(smp->data)) /* writing a one clears it */
		switch_info_set_state_change(info, 0);
	smp_stage(smp, sw->info, info, sizeof(info));
	redo_commit(smp->fabric);
	return STATUS_OK;
}

uint16_t sma_switch_info(struct smp *smp)
{
	uint16_t status = smp->is_set ? set_switch_info(smp) : STATUS_OK;

	if (!status)
		memcpy(smp->data, switch_of(smp)->info, sizeof(switch_of(smp)->info));
	return status;
}

uint16_t sma_linear_table(struct smp *smp)
{
	uint64_t *block, words[LFT_BLOCK / 8];

	if (smp->modifier >= LFT_CAPACITY / LFT_BLOCK)
		return STATUS_BAD_FIELD;
	block = switch_lft(smp->fabric, smp->fabric->nodes[smp->node].switch_index) +
	        smp->modifier * (LFT_BLOCK / 8);
	if (smp->is_set) {
		memcpy(words, smp->data, sizeof(words));
		for (unsigned i = 0; i < LFT_BLOCK / 8; i++)
			words[i] = ~words[i];
		smp_stage(smp, block, words, sizeof(words));
		redo_commit(smp->fabric);
	}
	for (unsigned i = 0; i < LFT_BLOCK / 8; i++)
		words[i] = ~block[i];
	memcpy(smp->data, words, sizeof(words));
	return STATUS_OK;
}

uint16_t sma_multicast_table(struct smp *smp)
{
	unsigned block = smp->modifier & MFT_MODIFIER_BLOCK;
	unsigned position = smp->modifier >> MFT_MODIFIER_POSITION_SHIFT;
	uint32_t sw = smp->fabric->nodes[smp->node].switch_index;
	uint8_t *at;

	if (smp->modifier & ~(MFT_MODIFIER_BLOCK | 0xfu << MFT_MODIFIER_POSITION_SHIFT) ||
	        block >= MFT_CAPACITY / MFT_BLOCK ||
	        position >= smp->fabric->switches[sw].mft_positions)
		return STATUS_BAD_FIELD;
	at = switch_mft_block(smp->fabric, sw, position, block);
	if (smp->is_set) {
		smp_stage(smp, at, smp->data, MFT_BLOCK * 2);
		redo_commit(smp->fabric);
	}
	memcpy(smp->data, at, MFT_BLOCK * 2);
	return STATUS_OK;
}
