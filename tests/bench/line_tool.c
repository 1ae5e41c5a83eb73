/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/bench/line_tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "notifier/base/log.h"

static void on_input(evutil_socket_t fd, short what, void *context)
{
	struct line_tool *tool = context;
	char *line;

	if (evbuffer_read(tool->input, fd, -1) <= 0) {
		event_base_loopbreak(tool->base);
		return;
	}
	while ((line = evbuffer_readln(tool->input, NULL, EVBUFFER_EOL_LF))) {
		tool->told(tool->owner, line);
		free(line);
	}
}

static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int credentials_read(struct line_tool *tool, char **files)
{
	char error[256];

	tool->files = (struct credentials_files){
	        .ca = files[0], .certificate = files[1], .key = files[2]};
	tool->credentials = credentials_create(&tool->files, error, sizeof(error));
	if (tool->credentials)
		return 0;
	fprintf(stderr, "%s: %s\n", tool->name, error);
	return -EINVAL;
}

int line_tool_open(struct line_tool *tool, const char *name, char **files,
        void (*told)(void *owner, char *line), void *owner)
{
	*tool = (struct line_tool){.name = name, .told = told, .owner = owner};
	descriptors_raise();
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_open(name, "stderr", LOG_LEVEL_ERROR);
	tool->base = event_base_new();
	tool->input = evbuffer_new();
	if (tool->base && tool->input)
		tool->readable =
		        event_new(tool->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, tool);
	if (!tool->readable) {
		fprintf(stderr, "%s: no memory\n", name);
		return -ENOMEM;
	}
	return files ? credentials_read(tool, files) : 0;
}

void line_tool_run(struct line_tool *tool)
{
	event_add(tool->readable, NULL);
	event_base_dispatch(tool->base);
}

void line_tool_close(struct line_tool *tool)
{
	credentials_destroy(tool->credentials);
	if (tool->readable)
		event_free(tool->readable);
	if (tool->input)
		evbuffer_free(tool->input);
	if (tool->base)
		event_base_free(tool->base);
	libevent_global_shutdown();
}
