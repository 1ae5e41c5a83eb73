/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Those of contexts that nobody announces any more are forgotten. */
#include "sm-side/root/numbers_state.h"

static bool is_announced(const struct presence *presence, uint32_t lid, uint32_t context)
{
	struct address asked = *presence->address;

	asked.lid = lid;
	asked.qpn = 0;
	asked.context = context;
	return presence->announced(presence->owner, &asked);
}

bool numbers_is_present(
        const struct presence *presence, const struct numbers_row *row, uint32_t context)
{
	if (!row->shared_port)
		return is_announced(presence, presence->address->lid, context);
	for (size_t i = 0; i < row->qps.n_context; i++)
		if (row->qps.context[i] == context)
			return is_announced(presence, row->qps.local_lid[i], context);
	return true;
}

static bool is_doubtful(const struct presence *presence, const struct numbers_row *row)
{
	for (size_t i = 0; i < row->qps.n_context; i++)
		if (!numbers_is_present(presence, row, row->qps.context[i]))
			return true;
	for (size_t i = 0; i < row->keys.n_context; i++)
		if (!numbers_is_present(presence, row, row->keys.context[i]))
			return true;
	return false;
}

bool numbers_are_doubtful(const struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner)
{
	const struct presence presence = {address, announced, owner};
	struct numbers_row *row;

	EACH_AT(numbers, address, row)
	if (is_doubtful(&presence, row))
		return true;
	return false;
}

/* Who stays: those that are present, or all but one. */
struct choice {
	const struct numbers_row *row;
	const struct presence *presence; /* NULL: */
	uint32_t gone;
};

static bool is_kept(const struct choice *choice, uint32_t context)
{
	return choice->presence ? numbers_is_present(choice->presence, choice->row, context)
	                        : context != choice->gone;
}

static bool keeps_qp(const ProtobufCMessage *qps, size_t index, const void *choice)
{
	return is_kept(choice, ((const Tether__QpRows *)qps)->context[index]);
}

static bool keeps_key(const ProtobufCMessage *keys, size_t index, const void *choice)
{
	return is_kept(choice, ((const Tether__KeyRows *)keys)->context[index]);
}

/* Keys first: under which LID a context is announced the rows of its queue pairs say. */
static void row_forget(struct numbers_row *row, const struct choice *choice)
{
	rows_filter(&row->keys.base, keeps_key, choice);
	rows_filter(&row->qps.base, keeps_qp, choice);
}

void numbers_forget_doubtful(struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner)
{
	const struct presence presence = {address, announced, owner};
	struct numbers_row *row;

	EACH_AT(numbers, address, row)
	row_forget(row, &(struct choice){.row = row, .presence = &presence});
}

void numbers_forget_context(
        struct numbers *numbers, const struct address *address, uint32_t context)
{
	struct numbers_row *row;

	EACH_AT(numbers, address, row)
	row_forget(row, &(struct choice){.row = row, .gone = context});
}
