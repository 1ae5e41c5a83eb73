/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whatever comes from the fabric in place of an answer. */
#include <stdlib.h>
#include <string.h>

#include "sm-side/raw/smp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(const uint8_t *data)
{
	struct smp_node_info info;

	if (smp_node_info_decode(data, &info))
		return;
	if (info.ports == 0 || info.ports == UINT8_MAX || info.local_port > info.ports)
		abort();
}

static void check_text(const uint8_t *data)
{
	char text[SMP_DATA_BYTES + 1];

	smp_description_decode(data, text);
	for (size_t i = 0; i < strlen(text); i++)
		if (text[i] < ' ' || text[i] > '~' || text[i] == '"')
			abort();
}

static void check_port(const uint8_t *data)
{
	uint8_t wanted[SMP_DATA_BYTES];
	struct smp_port_info before, after;

	smp_port_info_decode(data, &before);
	memcpy(wanted, data, sizeof(wanted));
	smp_port_info_for_lid(wanted, 7);
	smp_port_info_decode(wanted, &after);
	if (after.lid != 7 || after.state != SMP_PORT_NO_CHANGE || after.mkey != before.mkey ||
	        after.lmc != before.lmc)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smp_switch_info info;
	struct smp_answer answer;

	if (smp_decode(data, size, &answer))
		return 0;
	check_node(answer.data);
	check_text(answer.data);
	check_port(answer.data);
	smp_switch_info_decode(answer.data, &info);
	if (smp_sm_state(answer.data) > 15)
		abort();
	return 0;
}
