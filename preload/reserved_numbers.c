/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/reserved_numbers.h"

#include <pthread.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/rows.h"
#include "preload/move_address.h"
#include "preload/translation.h"

static struct number_table reserved;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool number_is_reserved(uint32_t qpn)
{
	LOCK_GUARD(&lock);
	return number_table_find(&reserved, qpn);
}

int reserved_numbers_add(const uint32_t *qpns, size_t count)
{
	int err = 0;

	LOCK_GUARD(&lock);
	for (size_t i = 0; i < count && !err; i++)
		err = number_table_set(&reserved, qpns[i], 0);
	return err;
}

int reserved_numbers_take(const struct move *move, const Tether__QpRows *rows, bool all)
{
	size_t count;
	int err = qp_rows_count(rows, &count);

	if (err)
		return err;
	LOCK_GUARD(&lock);
	if (all)
		number_table_clear(&reserved);
	for (size_t i = 0; i < count && !err; i++) {
		struct qp_row row = qp_rows_get(rows, i);

		if (!move_has_row(move, &row))
			continue;
		err = number_table_set(&reserved, row.local_qpn, 0);
		if (!err)
			err = number_table_set(&reserved, row.real_qpn, 0);
	}
	return err;
}

uint32_t *reserved_numbers_list(size_t *count)
{
	uint32_t *list;

	*count = 0;
	LOCK_GUARD(&lock);
	list = reserved.count ? malloc(reserved.count * sizeof(*list)) : NULL;
	for (uint32_t i = 0; list && i <= reserved.mask; i++) {
		if (reserved.entries[i].used)
			list[(*count)++] = reserved.entries[i].number;
	}
	return list;
}

void reserved_numbers_in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	/* Somebody may have been in the middle of it. */
	reserved = (struct number_table){0};
}
