/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/shared_rates.h"

#include <search.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 16 };

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct shared_rate *find(const struct shared_rates *rates, const char *name)
{
	char **found = tfind(name, &rates->by_name, by_name);

	return found ? (void *)(*found - offsetof(struct shared_rate, name)) : NULL;
}

/* The one at *@at. */
static void rate_remove(struct shared_rates *rates, struct shared_rate **at)
{
	struct shared_rate *rate = *at;

	*at = rate->next;
	tdelete(rate->name, &rates->by_name, by_name);
	rates->count--;
	free(rate);
}

struct shared_rates *shared_rates_create(unsigned per_s, unsigned at_once)
{
	struct shared_rates *rates = calloc(1, sizeof(*rates));

	if (!rates)
		return NULL;
	rates->per_s = per_s;
	rates->at_once = at_once;
	rates->held_most = SHARED_HELD_MOST;
	rates->unread_most = SHARED_UNREAD_MOST;
	rates->all_most = SHARED_ALL_MOST;
	return rates;
}

void shared_rates_destroy(struct shared_rates *rates)
{
	if (!rates)
		return;
	while (rates->first)
		rate_remove(rates, &rates->first);
	free(rates);
}

/* Those that have paid and gone: looked for when there are twice as many as last were left. */
static void forget_settled(struct shared_rates *rates, uint64_t now_ms)
{
	struct shared_rate **at = &rates->first;

	if (rates->count > FEW && rates->count < 2 * rates->tidied)
		return;
	while (*at) {
		if ((*at)->holders || !rate_is_settled(&(*at)->rate, now_ms))
			at = &(*at)->next;
		else
			rate_remove(rates, at);
	}
	rates->tidied = rates->count;
}

static struct shared_rate *rate_make(struct shared_rates *rates, const char *name)
{
	struct shared_rate *rate = calloc(1, sizeof(*rate) + strlen(name) + 1);

	if (!rate)
		return NULL;
	strcpy(rate->name, name);
	if (!tsearch(rate->name, &rates->by_name, by_name)) {
		free(rate);
		return NULL;
	}
	rate->next = rates->first;
	rates->first = rate;
	rates->count++;
	return rate;
}

struct shared_rate *shared_rate_hold(struct shared_rates *rates, const char *name, uint64_t now_ms)
{
	struct shared_rate *rate = find(rates, name);

	if (!rate) {
		forget_settled(rates, now_ms);
		rate = rate_make(rates, name);
	}
	if (rate)
		rate->holders++;
	return rate;
}

void shared_rate_release(struct shared_rate *rate)
{
	if (rate)
		rate->holders--;
}

void shared_rate_held(
        struct shared_rates *rates, struct shared_rate *rate, size_t before, size_t now)
{
	rate->held += now - before;
	rates->held += now - before;
}

bool shared_rate_has_room(
        const struct shared_rates *rates, const struct shared_rate *rate, size_t more)
{
	size_t left = rates->held < rates->all_most ? rates->all_most - rates->held : 0;
	size_t needed = rate->held + more;

	return needed <= rates->held_most && (needed <= SHARED_HELD_LITTLE || needed <= left);
}
