/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/notices/notice_watch.h"

void notice_watch_init(struct notice_watch *watch)
{
	*watch = (struct notice_watch){0};
}

static uint64_t highest(const struct notice_watch *watch)
{
	uint64_t sequence = watch->known;

	for (size_t i = 0; i < watch->claims_count; i++)
		if (watch->claims[i].sequence > sequence)
			sequence = watch->claims[i].sequence;
	return sequence;
}

static bool is_claimed(const struct notice_watch *watch, uint64_t sequence)
{
	for (size_t i = 0; i < watch->claims_count; i++)
		if (watch->claims[i].sequence == sequence)
			return true;
	return false;
}

enum notice_verdict notice_watch_heard(struct notice_watch *watch, const struct notice *notice)
{
	watch->counts.heard++;
	if (!watch->signal || notice->signal != watch->signal || notice->lid != watch->lid) {
		watch->counts.strange++;
		return NOTICE_STRANGE;
	}
	if (notice->sequence <= watch->known || is_claimed(watch, notice->sequence)) {
		watch->counts.repeated++;
		return NOTICE_REPEATED;
	}
	watch->counts.news++;
	watch->counts.gaps += notice->sequence > highest(watch) + 1;
	watch->wants = true;
	/* More than there is room for at once are no honest ones; the question stands anyway. */
	if (watch->claims_count == NOTICE_CLAIMS_MAX)
		watch->counts.forged++;
	else
		watch->claims[watch->claims_count++] =
		        (struct notice_claim){.sequence = notice->sequence};
	return NOTICE_NEWS;
}

/* What is known now is no claim any more. What was claimed before the root was asked, and is beyond
 * what it answers, it never said: a notice is sent after its number has been given. */
static unsigned claims_judge(struct notice_watch *watch)
{
	size_t kept = 0;
	unsigned forged = 0;

	for (size_t i = 0; i < watch->claims_count; i++) {
		if (watch->claims[i].sequence <= watch->known)
			continue;
		if (watch->claims[i].asked)
			forged++;
		else
			watch->claims[kept++] = watch->claims[i];
	}
	watch->claims_count = kept;
	watch->wants = kept > 0;
	return forged;
}

static void begin_anew(struct notice_watch *watch, uint64_t signal)
{
	watch->signal = signal;
	watch->known = 0;
	watch->claims_count = 0;
	watch->is_asking = watch->wants = false;
}

unsigned notice_watch_told(struct notice_watch *watch, uint64_t signal, uint64_t sequence,
        uint32_t request, uint64_t now_ms)
{
	unsigned forged;

	bool is_first = signal != watch->signal;

	if (signal < watch->signal)
		return 0;
	if (is_first)
		begin_anew(watch, signal);
	if (!request) {
		watch->hinted |= is_first || sequence > watch->known;
		watch->counts.hints++;
		return 0;
	}
	if (!watch->is_asking || request != watch->request)
		return 0;
	watch->is_asking = false;
	if (sequence > watch->known)
		watch->known = sequence;
	forged = claims_judge(watch);
	watch->counts.forged += forged;
	if (forged)
		watch->pause_until_ms = now_ms + NOTICE_PAUSE_MS;
	return forged;
}

void notice_watch_root_lost(struct notice_watch *watch)
{
	begin_anew(watch, 0);
	watch->hinted = false;
}

bool notice_watch_asks(
        struct notice_watch *watch, uint64_t now_ms, uint32_t *request, uint64_t *sequence)
{
	if (notice_watch_next(watch) > now_ms)
		return false;
	for (size_t i = 0; i < watch->claims_count; i++)
		watch->claims[i].asked = true;
	watch->wants = watch->hinted = false;
	watch->is_asking = true;
	watch->counts.pulls++;
	/* 0 is a hint's. */
	if (!++watch->request)
		watch->request = 1;
	*request = watch->request;
	*sequence = highest(watch);
	return true;
}

uint64_t notice_watch_next(const struct notice_watch *watch)
{
	if (!watch->signal || watch->is_asking || !(watch->wants || watch->hinted))
		return UINT64_MAX;
	return watch->hinted ? 0 : watch->pause_until_ms;
}
