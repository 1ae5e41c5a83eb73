/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What is wrong with a view, and where: something in it contradicts something else, or is missing
 * where a plan needs it. Such a view is not planned on. Pure.
 */
#ifndef TETHER_VIEW_FAULT_H
#define TETHER_VIEW_FAULT_H

#include <stddef.h>
#include <stdint.h>

enum view_fault_kind {
	VIEW_SOUND,
#define FAULT(enumerator, name, format, ...) VIEW_##enumerator,
#include "sm-side/plan/view_faults.def"
#undef FAULT
	VIEW_FAULTS,
};

/* What does not apply is 0. */
struct view_fault {
	enum view_fault_kind kind;
	uint64_t guid; /* of the switch, or of the end port */
	uint64_t other_guid;
	uint16_t lid;
	uint8_t port;
};

const char *view_fault_name(enum view_fault_kind kind);
/* A sentence without a full stop, as snprintf writes it. */
int view_fault_text(const struct view_fault *fault, char *text, size_t size);

struct fabric_view;

/* For fabric_view_finish: look through links and LIDs; what leads nowhere is taken out, so that
 * nobody follows it. The first fault is noted in the view. */
void view_check_links(struct fabric_view *view);
void view_check_lids(struct fabric_view *view);
void view_note_fault(struct fabric_view *view, struct view_fault fault);

#endif
