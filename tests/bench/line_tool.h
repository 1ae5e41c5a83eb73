/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a bench's program has that is told lines and says lines: the loop, its standard input, with
 * which it ends, as many descriptors as it may have, and a certificate where it is given one.
 */
#ifndef TETHER_LINE_TOOL_H
#define TETHER_LINE_TOOL_H

#include "notifier/certificates/credentials.h"

struct event;
struct event_base;
struct evbuffer;

struct line_tool {
	const char *name;
	struct event_base *base;
	struct credentials *credentials; /* NULL: no TLS */
	/* @line may be taken apart. */
	void (*told)(void *owner, char *line);
	void *owner;
	struct credentials_files files;
	struct evbuffer *input;
	struct event *readable;
};

/* @name is logged. @files: CA, certificate and key; NULL: no TLS. -errno, said. */
int line_tool_open(struct line_tool *tool, const char *name, char **files,
        void (*told)(void *owner, char *line), void *owner);
/* Until the standard input ends. */
void line_tool_run(struct line_tool *tool);
/* Whatever is over its links has ended. One that could not be opened is fine. */
void line_tool_close(struct line_tool *tool);

#endif
