/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <inttypes.h>
#include <stdio.h>

#include "sm-side/plan/view_fault.h"

const char *view_fault_name(enum view_fault_kind kind)
{
	static const char *const names[VIEW_FAULTS] = {
	        [VIEW_SOUND] = "sound",
#define FAULT(enumerator, name, format, ...) [VIEW_##enumerator] = name,
#include "sm-side/plan/view_faults.def"
#undef FAULT
	};

	return names[kind];
}

int view_fault_text(const struct view_fault *fault, char *text, size_t size)
{
	switch (fault->kind) {
#define FAULT(enumerator, name, format, ...)                                                       \
	case VIEW_##enumerator:                                                                    \
		return snprintf(text, size, format, __VA_ARGS__);
#include "sm-side/plan/view_faults.def"
#undef FAULT
	default:
		return snprintf(text, size, "nothing is wrong");
	}
}
