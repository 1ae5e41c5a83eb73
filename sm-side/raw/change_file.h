/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The undo file: a change, written before its first SMP, from which it can be taken back or gone on
 * with, by whoever, whenever. One JSON object with a checksum; what is not one, or not whole, is
 * refused with a sentence and left as it is.
 */
#ifndef TETHER_CHANGE_FILE_H
#define TETHER_CHANGE_FILE_H

#include <stddef.h>

#include <json-c/json.h>

#include "sm-side/raw/fabric_change.h"

/* Pure. NULL: out of memory. */
struct json_object *change_to_json(const struct fabric_change *change);
/* Pure. -EINVAL: *@why says what is wrong; -ENOMEM. fabric_change_clear it on success. */
int change_parse(const char *bytes, size_t length, struct fabric_change *change, const char **why);

/* A new file, on disk when this returns. -EEXIST; -errno. */
int change_file_write(const char *path, const struct fabric_change *change);
/* As change_parse; *@why also where it cannot be read. */
int change_file_read(const char *path, struct fabric_change *change, const char **why);

const char *order_name(enum plan_order order);
const char *reach_name(enum plan_reach reach);
/* -EINVAL. */
int order_parse(const char *text, enum plan_order *order);
int reach_parse(const char *text, enum plan_reach *reach);

#endif
