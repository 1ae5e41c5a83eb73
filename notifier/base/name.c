/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/name.h"

#include <ctype.h>
#include <string.h>

bool name_is_fit(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_.-:@", name[i]))
			return false;
	return length > 0 && length <= NAME_MOST && *name != '.';
}
