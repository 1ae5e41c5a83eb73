/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Tables of the wire (EvidenceRows, QpRows, KeyRows, PathRows, GidRows) row by row: on the wire
 * each is a set of packed columns. Any thread; a table belongs to its message and is freed with it.
 * Columns are made by malloc, so a table that was built here ends with
 * tether__X__free_unpacked(table, NULL), one that lives in the caller's frame with rows_clear.
 */
#ifndef TETHER_ROWS_H
#define TETHER_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

/* The generic half: @table is any message whose fields are all packed 32-bit columns. */

/* Number of rows; -EBADMSG where the columns differ in length. NULL has none. */
int rows_count(const ProtobufCMessage *table, size_t *count);
/* @row: one value per column, in order of the field numbers. -ENOMEM leaves the table as it was. */
int rows_append(ProtobufCMessage *table, const uint32_t *row);
/* @index is below rows_count. */
void rows_get(const ProtobufCMessage *table, size_t index, uint32_t *row);
/* Append all rows of @from, of the same type. -EBADMSG, -ENOMEM: nothing was appended. */
int rows_concatenate(ProtobufCMessage *into, const ProtobufCMessage *from);
/* Keep those of which @is_wanted says so, in their order. It gets @choice. */
typedef bool rows_choose(const ProtobufCMessage *table, size_t index, const void *choice);
void rows_filter(ProtobufCMessage *table, rows_choose *is_wanted, const void *choice);
void rows_clear(ProtobufCMessage *table);

/* The typed half: struct evidence_row, evidence_rows_append(table, &row) and so on. */

#define EVIDENCE_COLUMNS(COLUMN)                                                                   \
	COLUMN(local_lid)                                                                          \
	COLUMN(local_qpn)                                                                          \
	COLUMN(remote_lid)                                                                         \
	COLUMN(remote_qpn)                                                                         \
	COLUMN(rq_psn)                                                                             \
	COLUMN(receives)                                                                           \
	COLUMN(flags)                                                                              \
	COLUMN(sent)
#define QP_COLUMNS(COLUMN)                                                                         \
	COLUMN(local_lid)                                                                          \
	COLUMN(local_qpn)                                                                          \
	COLUMN(real_qpn)                                                                           \
	COLUMN(remote_lid)                                                                         \
	COLUMN(remote_qpn)                                                                         \
	COLUMN(sq_psn)                                                                             \
	COLUMN(context)                                                                            \
	COLUMN(real_lid)                                                                           \
	COLUMN(of_vm)
#define KEY_COLUMNS(COLUMN)                                                                        \
	COLUMN(context)                                                                            \
	COLUMN(virtual_rkey)                                                                       \
	COLUMN(real_rkey)                                                                          \
	COLUMN(window)
#define PATH_COLUMNS(COLUMN)                                                                       \
	COLUMN(local_lid)                                                                          \
	COLUMN(remote_lid)                                                                         \
	COLUMN(sl)                                                                                 \
	COLUMN(mtu)                                                                                \
	COLUMN(rate)
#define GID_COLUMNS(COLUMN)                                                                        \
	COLUMN(name)                                                                               \
	COLUMN(gid_0)                                                                              \
	COLUMN(gid_1)                                                                              \
	COLUMN(gid_2)                                                                              \
	COLUMN(gid_3)

#define ROWS_MEMBER(name) uint32_t name;
#define ROWS_TYPE(prefix, message, COLUMNS)                                                        \
	struct prefix##_row {                                                                      \
		COLUMNS(ROWS_MEMBER)                                                               \
	};                                                                                         \
	static inline int prefix##_rows_count(const message *table, size_t *count)                 \
	{                                                                                          \
		return rows_count((const ProtobufCMessage *)table, count);                         \
	}                                                                                          \
	static inline int prefix##_rows_append(message *table, const struct prefix##_row *row)     \
	{                                                                                          \
		return rows_append((ProtobufCMessage *)table, (const uint32_t *)row);              \
	}                                                                                          \
	static inline struct prefix##_row prefix##_rows_get(const message *table, size_t index)    \
	{                                                                                          \
		struct prefix##_row row;                                                           \
                                                                                                   \
		rows_get((const ProtobufCMessage *)table, index, (uint32_t *)&row);                \
		return row;                                                                        \
	}

ROWS_TYPE(evidence, Tether__EvidenceRows, EVIDENCE_COLUMNS)
ROWS_TYPE(qp, Tether__QpRows, QP_COLUMNS)
ROWS_TYPE(key, Tether__KeyRows, KEY_COLUMNS)
ROWS_TYPE(path, Tether__PathRows, PATH_COLUMNS)
ROWS_TYPE(gid, Tether__GidRows, GID_COLUMNS)

#endif
