/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a server makes of the notices that it hears: whether to ask the root (a Pull, tether.proto),
 * and when. A notice is believed in one thing only, that there may be something; how far the
 * numbers really are the root says over its link. So a notice that is lost, late, doubled or forged
 * changes nothing, and the root's own word is never held up by what anybody else sends. Pure: time
 * is passed in, in milliseconds of any monotonic clock.
 */
#ifndef TETHER_NOTICE_WATCH_H
#define TETHER_NOTICE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notifier/wire/notice.h"

enum {
	NOTICE_CLAIMS_MAX = 32,
	NOTICE_PAUSE_MS = 100, /* after a notice that the root knows nothing of, until the next
	                          question for the sake of one */
};

struct notice_counts {
#define COUNT(name, meaning) uint64_t name;
#include "notifier/notices/notice_counts.def"
};

/* A number that only notices have said so far. */
struct notice_claim {
	uint64_t sequence;
	bool asked; /* it came before the question that is open now */
};

struct notice_watch {
	uint16_t lid;     /* of this server */
	uint64_t signal;  /* 0: no root that has notices sent */
	uint64_t known;   /* how far the root has said that the numbers are */
	uint32_t request; /* of the last Pull */
	bool is_asking;   /* it is not answered yet */
	bool wants, hinted;
	uint64_t pause_until_ms;
	struct notice_claim claims[NOTICE_CLAIMS_MAX];
	size_t claims_count;
	struct notice_counts counts;
};

enum notice_verdict { NOTICE_NEWS, NOTICE_REPEATED, NOTICE_STRANGE };

void notice_watch_init(struct notice_watch *watch);

/* A notice has come. */
enum notice_verdict notice_watch_heard(struct notice_watch *watch, const struct notice *notice);

/*
 * The root's word: so far the numbers of its start @signal are. @request: whose answer it is, 0: a
 * hint, which is followed where it is beyond what is known. Not 0 is how many notices it proves
 * forged. A first word, or that of another start, begins anew.
 */
unsigned notice_watch_told(struct notice_watch *watch, uint64_t signal, uint64_t sequence,
        uint32_t request, uint64_t now_ms);

/* Its link has ended: what it says next is what counts. */
void notice_watch_root_lost(struct notice_watch *watch);

/* It is time to ask, and is asked: *@request and *@sequence (the highest that was heard) are the
 * Pull's. */
bool notice_watch_asks(
        struct notice_watch *watch, uint64_t now_ms, uint32_t *request, uint64_t *sequence);

/* When notice_watch_asks will say yes; UINT64_MAX: not by time alone. */
uint64_t notice_watch_next(const struct notice_watch *watch);

#endif
