/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The list of a CA's certificates. What is taken is written as it was read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/cli/issued.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = strndup((const char *)data, size), *once = NULL, *twice = NULL;
	struct issued issued = {0}, again = {0};
	size_t line, length, length_again;

	if (!issued_parse(&issued, text, &line)) {
		once = issued_write(&issued, &length);
		if (issued_parse(&again, once, &line) || again.count != issued.count)
			abort();
		twice = issued_write(&again, &length_again);
		if (length != length_again || memcmp(once, twice, length) != 0)
			abort();
	} else if (!line) {
		abort();
	}
	issued_clear(&issued);
	issued_clear(&again);
	return 0;
}
