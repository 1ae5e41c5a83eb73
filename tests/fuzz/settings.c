/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/settings.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/deadlines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *context, const char *key, const char *value)
{
	return deadlines_set(context, key, value);
}

static const char *key(size_t index, const char **wants)
{
	*wants = DEADLINES_WANT;
	return deadlines_key(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct settings_words words = {.manual = "tether.conf(5)", .key = key};
	struct deadlines deadlines = deadlines_default;
	CLEANUP_FREE char *text = strndup((const char *)data, size);
	char error[64] = "";
	int err = settings_parse(text, "f", take, &words, &deadlines, error, sizeof(error));

	/* An error is always said, and nothing is said without one. */
	if (!err != !*error)
		abort();
	return 0;
}
