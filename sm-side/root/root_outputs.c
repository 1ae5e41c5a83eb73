/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/root_state.h"

#include <errno.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"

static void child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct root *root = owner;

	if (root_signal_takes(root->signal, child, frame))
		return;
	agent_links_send(root->links, child, frame);
	root_signal_sent(root->signal, child, frame);
}

static void child_close(void *owner, uint32_t child, const char *why)
{
	struct root *root = owner;

	agent_links_end(root->links, child, why);
}

/* The root is its relay's parent. It acknowledges at once: what has to wait for a migration, the
 * relay holds. */
static void parent_send(void *owner, const Tether__Frame *frame)
{
	struct root *root = owner;

	if (frame->body_case == TETHER__FRAME__BODY_ANSWER)
		owner_notices_answer(root->notices, frame->answer);
	else if (frame->body_case == TETHER__FRAME__BODY_INTEREST)
		questions_interest(
		        root->questions, frame->interest, root->takes_interest, monotonic_ms());
	else if (frame->body_case == TETHER__FRAME__BODY_PARTING)
		relay_parent_frame(root->relay, frame, monotonic_ms());
	else if (frame->body_case == TETHER__FRAME__BODY_REPORT)
		agent_poll_take(root->agents, frame->report);
}

static void child_answered(void *owner, const Tether__Answer *answer)
{
	struct root *root = owner;

	if (answer->step == TETHER__STEP__STEP_STOP &&
	        answer->outcome == TETHER__OUTCOME__OUTCOME_FAILED)
		owner_notices_agent_answer(root->notices, answer);
}

static int hello(void *owner, uint32_t child, const Tether__Hello *hello, const char **reason,
        const char **text)
{
	struct root *root = owner;

	root_signal_hello(root->signal, child, hello);
	if (hello->role == TETHER__ROLE__ROLE_HOST)
		return 0;
	refusal_tell(root, LOG_LEVEL_INFO, "root", hello->name,
	        "%s, between hosts and here, is here", hello->name);
	owner_notices_up(root->notices, hello->name, hello->open, hello->n_open);
	return 0;
}

static int host(void *owner, uint32_t child, const Tether__HostBehind *host, const char **reason,
        const char **text)
{
	struct root *root = owner;

	if (!directory_host_may_say(root->places.directory, host->name, host->vms, host->n_vms,
	            host->slots, host->n_slots, monotonic_ms())) {
		*reason = "too-many-changes";
		*text = "it says something else of itself too often: it is heard again later";
		return -EAGAIN;
	}
	if (directory_host_here(root->places.directory, host->name, true) ||
	        root_places_word(&root->places, host->name, host->vms, host->n_vms, host->slots,
	                host->n_slots, monotonic_ms())) {
		*reason = "no-memory";
		*text = "tether-smd is out of memory";
		return -ENOMEM;
	}
	inventory_host_connected(&root->inventory, host->name, true);
	refusal_tell(root, LOG_LEVEL_INFO, "root", host->name,
	        "host %s is here: %zu VMs, %zu slots", host->name, host->n_vms, host->n_slots);
	owner_notices_up(root->notices, host->name, host->open, host->n_open);
	return 0;
}

static void host_away(void *owner, const char *host)
{
	struct root *root = owner;

	inventory_host_connected(&root->inventory, host, false);
	directory_host_here(root->places.directory, host, false);
	refusal_tell(root, LOG_LEVEL_INFO, "root", host, "host %s is not connected", host);
	agent_poll_gone(root->agents, host, TETHER__ROLE__ROLE_HOST);
}

static void agent_away(void *owner, const char *name, Tether__Role role)
{
	struct root *root = owner;

	agent_poll_gone(root->agents, name, role);
}

const struct relay_outputs root_relay_outputs = {
        .child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .child_answered = child_answered,

        .hello = hello,
        .host = host,
        .host_away = host_away,
        .agent_away = agent_away,
};

static const struct address *announced(void *owner, const struct address *address)
{
	struct root *root = owner;

	return relay_announced(root->relay, address);
}

static void question_answered(void *owner, const Tether__InterestAnswer *answer)
{
	struct root *root = owner;
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = (Tether__InterestAnswer *)answer;
	relay_parent_frame(root->relay, &frame, monotonic_ms());
}

const struct questions_outputs root_questions_outputs = {
        .announced = announced,
        .answer = question_answered,
};
