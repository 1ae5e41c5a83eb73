/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What each child knows of the protocol, and what it is therefore not told, or not asked to do. */
#include "notifier/relay/relay_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "notifier/wire/fit.h"
#include "notifier/wire/versions.h"

void relay_child_say(struct relay *relay, const struct child *child, const Tether__Frame *frame)
{
	struct pieces pieces = {0};
	const Tether__Frame *fit = frame_fit(child->version, frame, &pieces);

	if (fit)
		relay->outputs->child_send(relay->owner, child->link, fit);
	pieces_free(&pieces);
}

/* Names both, since whoever reads it has to know which one to replace. */
int relay_version_agree(struct relay *relay, struct child *child, const Tether__Hello *hello)
{
	char theirs[64], ours[64], text[240];

	child->version = versions_common(hello->version, hello->newest);
	if (child->version)
		return 0;
	versions_name(hello->version, hello->newest, theirs, sizeof(theirs));
	versions_name(versions_oldest(), versions_newest(), ours, sizeof(ours));
	snprintf(text, sizeof(text),
	        "it speaks %s of the protocol, this relay %s: they may be one version apart, so "
	        "the older has to be replaced",
	        theirs, ours);
	return relay_hello_refuse(relay, child, "version", text);
}

bool relay_needs_refuse(
        const struct relay *relay, const struct child *child, struct open_event *open)
{
	struct event_key key = event_key(open->event);
	Tether__Answer answer;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};
	char text[160], label[RELAY_LABEL_BYTES];

	if (child->version >= open->event->needs)
		return false;
	snprintf(text, sizeof(text),
	        "speaks version %" PRIu32 " of the protocol, and this migration needs %" PRIu32
	        ": start it again with a newer one",
	        child->version, open->event->needs);
	relay_child_label(child, label, sizeof(label));
	refusal.reason = "older-protocol";
	refusal.text = text;
	answer_begin(&answer, key);
	answer.outcome = TETHER__OUTCOME__OUTCOME_REFUSED;
	answer.refusals = refusals;
	answer.n_refusals = 1;
	if (!tally_hand(open->tally, child->name))
		tally_take(open->tally, child->name, label, child_is_process(child), &answer);
	return true;
}

uint32_t relay_oldest_of(const struct relay *relay, const char *vm)
{
	uint32_t oldest = 0;

	for (const struct child *child = relay->children.first; child; child = child->next)
		if (child->connected && child->name && child_is_process(child) &&
		        !strcmp(child->vm, vm) && (!oldest || child->version < oldest))
			oldest = child->version;
	return oldest;
}
