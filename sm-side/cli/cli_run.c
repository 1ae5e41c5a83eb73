/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether run: a program with libtether.so preloaded. */
#include "sm-side/cli/cli.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY       "libtether.so"
#define AGENT_DEFAULT "unix:/run/tether/agent.sock"

/*
 * Beside this program as it was built, as it was installed (which need not be where it was meant to
 * be), then where it was meant to be.
 */
static const char *const places[] = {"../lib/" LIBRARY, TETHER_LIBDIR_FROM_BIN "/tether/" LIBRARY,
        TETHER_LIBDIR "/tether/" LIBRARY};

static bool library_find(char found[PATH_MAX])
{
	char self[PATH_MAX], tried[2 * PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return false;
	self[length] = '\0';
	dirname(self);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (*places[i] == '/')
			snprintf(tried, sizeof(tried), "%s", places[i]);
		else
			snprintf(tried, sizeof(tried), "%s/%s", self, places[i]);
		if (realpath(tried, found))
			return true;
	}
	return false;
}

/* Ours comes first: it wraps what other preloaded libraries define. */
static int preload_set(const char *library)
{
	const char *before = getenv("LD_PRELOAD");
	char *value;
	int err;

	if (asprintf(&value, "%s%s%s", library, before && *before ? ":" : "",
	            before ? before : "") < 0)
		return -ENOMEM;
	err = setenv("LD_PRELOAD", value, 1) ? -errno : 0;
	free(value);
	return err;
}

int cli_run(const struct cli_options *options)
{
	char library[PATH_MAX];

	if (!library_find(library)) {
		fprintf(stderr, "tether: " LIBRARY " is neither beside this program nor in %s\n",
		        TETHER_LIBDIR "/tether");
		return CLI_FAILED;
	}
	if (preload_set(library) || setenv("TETHER_AGENT", AGENT_DEFAULT, 0)) {
		fprintf(stderr, "tether: the environment could not be set\n");
		return CLI_FAILED;
	}
	execvp(options->words[0], options->words);
	fprintf(stderr, "tether: %s: %s\n", options->words[0], strerror(errno));
	return CLI_FAILED;
}
