/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The journal: an append-only file of records, so that after a crash it is known what was going on.
 * A header line, then one line per record: eight hexadecimal digits of CRC-32, a space, the text
 * (any text without a line feed). Belongs to tether-smd and its one thread; a second daemon on the
 * same file is kept out by a lock.
 *
 * A record that is durable is on disk when journal_append returns. One that is not survives the
 * death of the process but perhaps not that of the machine; a durable one takes all before it
 * along.
 */
#ifndef TETHER_JOURNAL_H
#define TETHER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

struct journal;

/*
 * Open @path, made if it is not there, and hand each record's text to @replay, in order. A last
 * record that is torn (the machine died while it was written) is cut off; nothing else is ever
 * changed. Why not, as a sentence, goes to @why where it is not NULL.
 * -EINVAL: not a journal; -EBADMSG: damaged before its end; -EBUSY: another process has it; what
 * @replay returned if not 0; or what open, read and write say.
 */
int journal_open(const char *path, int (*replay)(void *context, const char *text), void *context,
        struct journal **journal, char *why, size_t why_size);

/*
 * -EINVAL: @text has a line feed. After another error the file is as before the call, or, where not
 * even that could be done, every later call fails with -EIO.
 */
int journal_append(struct journal *journal, const char *text, bool durable);

void journal_close(struct journal *journal);

#endif
