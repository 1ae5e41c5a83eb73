/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/notices/subscription.h"

void subscription_port(struct subscription *subscription, uint16_t lid, uint16_t sm_lid)
{
	if (lid == subscription->lid && sm_lid == subscription->sm_lid)
		return;
	subscription->lid = lid;
	subscription->sm_lid = sm_lid;
	subscription->not_before_ms = 0;
	subscription->again_ms = 0;
	subscription_doubt(subscription);
}

void subscription_doubt(struct subscription *subscription)
{
	subscription->stands = false;
	subscription->again = subscription->is_asked;
}

bool subscription_asks(struct subscription *subscription, uint64_t now_ms)
{
	if (subscription_next(subscription) > now_ms)
		return false;
	subscription->is_asked = true;
	subscription->again = false;
	return true;
}

void subscription_answered(struct subscription *subscription, bool granted, uint64_t now_ms)
{
	unsigned pause = subscription->again_ms ? subscription->again_ms : SUBSCRIPTION_AGAIN_MS;

	if (!subscription->is_asked)
		return;
	subscription->is_asked = false;
	if (granted) {
		subscription->again_ms = 0;
		subscription->stands = !subscription->again;
		return;
	}
	subscription->not_before_ms = now_ms + pause;
	subscription->again_ms =
	        pause * 2 < SUBSCRIPTION_AGAIN_MOST_MS ? pause * 2 : SUBSCRIPTION_AGAIN_MOST_MS;
}

uint64_t subscription_next(const struct subscription *subscription)
{
	if (!subscription->lid || !subscription->sm_lid || subscription->stands ||
	        subscription->is_asked)
		return UINT64_MAX;
	return subscription->not_before_ms;
}
