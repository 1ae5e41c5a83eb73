/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/partner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/rc_verify/run.h"

int partner_words_init(struct partner_words *words, uint32_t lanes)
{
	*words = (struct partner_words){0};
	words->messages = calloc(lanes, sizeof(uint64_t));
	words->writes = calloc(lanes, sizeof(uint64_t));
	return words->messages && words->writes ? 0 : -ENOMEM;
}

void partner_words_finish(struct partner_words *words)
{
	free(words->messages);
	free(words->writes);
}

static void word_read(struct run *run, struct partner_words *words, const char *line)
{
	uint64_t messages, writes;
	unsigned lane, ok;

	if (!strcmp(line, "stop"))
		words->stop = true;
	else if (!strcmp(line, "failed"))
		words->failed = true;
	else if (!strcmp(line, "checked"))
		words->checked = true;
	else if (sscanf(line, "sums %" SCNu64 " %" SCNu64, &words->adds, &words->swaps) == 2)
		words->sums = true;
	else if (sscanf(line, "verdict %u", &ok) == 1)
		run->peer_ok = ok != 0;
	else if (sscanf(line, "total %u %" SCNu64 " %" SCNu64, &lane, &messages, &writes) == 3 &&
	         lane < run->options.work.qps) {
		words->messages[lane] = messages;
		words->writes[lane] = writes;
	}
}

void partner_hear(struct run *run, struct partner_words *words, int timeout_ms)
{
	char line[RENDEZVOUS_LINE];
	int error;

	while (!(error = rendezvous_hear(&run->rendezvous, line, timeout_ms))) {
		word_read(run, words, line);
		timeout_ms = 0;
	}
	if (error != -EAGAIN && run->peer_ok < 0)
		run_fail(run, NULL, "the other side", strerror(-error));
	if (words->failed && !run->has_failed)
		run_fail(run, NULL, "the other side", "has failed");
}

void partner_tell_totals(struct run *run)
{
	for (uint32_t i = 0; i < run->options.work.qps; i++)
		rendezvous_say(&run->rendezvous, "total %u %" PRIu64 " %" PRIu64, i,
		        run->lanes[i].messages_sent, run->lanes[i].writes_sent);
	rendezvous_say(&run->rendezvous, "sums %" PRIu64 " %" PRIu64, run->adds->total,
	        run->swaps.successes);
}
