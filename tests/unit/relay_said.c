/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/relay_said.h"

#include "tests/unit/relay_harness.h"

static void say(struct test *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct test *t, const char *format, ...)
{
	size_t used = strlen(t->said);
	va_list args;

	va_start(args, format);
	vsnprintf(t->said + used, sizeof(t->said) - used, format, args);
	va_end(args);
}

static const char *step_name(Tether__Step step)
{
	return protobuf_c_enum_descriptor_get_value(&tether__step__descriptor, step)->name + 5;
}

static const char *outcome_name(Tether__Outcome outcome)
{
	return protobuf_c_enum_descriptor_get_value(&tether__outcome__descriptor, outcome)->name +
	       8;
}

static void say_event(struct test *t, const Tether__Event *event)
{
	say(t, "%s.%u", step_name(event->step), event->sequence);
	if (event->to_vm)
		say(t, " vm");
	if (event->to_peers)
		say(t, " peers");
	if (event->order)
		say(t, " order");
	for (size_t i = 0; i < event->n_expected; i++)
		say(t, " expects %s", event->expected[i]);
	t->last_deadline_ms = event->deadline_ms;
}

static void say_answer(struct test *t, const Tether__Answer *answer)
{
	size_t rows;

	say(t, "%s.%u %s", step_name(answer->step), answer->sequence,
	        outcome_name(answer->outcome));
	for (size_t i = 0; i < answer->n_answered; i++)
		say(t, " answered %s", answer->answered[i]);
	for (size_t i = 0; i < answer->n_missing; i++)
		say(t, " missing %s", answer->missing[i]);
	for (size_t i = 0; i < answer->n_ended; i++)
		say(t, " ended %s", answer->ended[i]);
	for (size_t i = 0; i < answer->n_refusals; i++)
		say(t, " %s (%s)", answer->refusals[i]->who, answer->refusals[i]->reason);
	if (!qp_rows_count(answer->qps, &rows) && rows)
		say(t, " qps %zu", rows);
	if (!gid_rows_count(answer->gids, &rows) && rows)
		say(t, " gids %zu", rows);
	if (!evidence_rows_count(answer->evidence, &rows) && rows)
		say(t, " evidence %zu", rows);
	if (answer->counts)
		say(t, " replayed %u", answer->counts->replayed);
	if (answer->result)
		say(t, " exit %u", answer->result->exit_status);
}

static void say_places(struct test *t, const Tether__Whereabouts *whereabouts)
{
	say(t, "places");
	for (size_t i = 0; i < whereabouts->n_vms; i++) {
		const Tether__VmPlace *place = whereabouts->vms[i];

		say(t, " %s at %s", place->vm, *place->host ? place->host : "nobody");
		if (*place->host_next)
			say(t, " or %s", place->host_next);
		if (place->at_rest)
			say(t, " at rest");
		for (size_t j = 0; j < place->n_lids; j++)
			say(t, " lid %u", place->lids[j]);
		for (size_t j = 0; j < place->n_pkeys; j++)
			say(t, " pkey 0x%04x", place->pkeys[j]);
	}
}

static void say_welcome(struct test *t, const Tether__HelloAnswer *answer)
{
	say(t, "HELLO %s", outcome_name(answer->outcome));
	if (answer->n_refusals) {
		say(t, " (%s)", answer->refusals[0]->reason);
		snprintf(t->refused, sizeof(t->refused), "%s", answer->refusals[0]->text);
	}
	for (size_t i = 0; i < answer->n_reserved_qpns; i++)
		say(t, " not 0x%x", answer->reserved_qpns[i]);
	if (*answer->vm)
		say(t, " is %s", answer->vm);
	if (answer->released)
		say(t, " released %u", answer->released->overall_ms);
}

static void say_interest(struct test *t, const Tether__Interest *interest)
{
	say(t, "%s %u", interest->drop ? "drop" : "interest", interest->address->lid);
	if (interest->address->qpn)
		say(t, " own %u of context %u", interest->address->qpn, interest->address->context);
	if (interest->remote_qpn)
		say(t, " qpn %u", interest->remote_qpn);
	if (interest->datagrams)
		say(t, " datagrams");
	if (interest->heard)
		say(t, " heard");
}

static void say_interest_answer(struct test *t, const Tether__InterestAnswer *answer)
{
	say(t, "registered %u %s", answer->request, outcome_name(answer->outcome));
	if (answer->moving)
		say(t, " moving");
	if (answer->n_refusals)
		say(t, " (%s)", answer->refusals[0]->reason);
}

static void say_behind(struct test *t, const Tether__HostBehind *behind)
{
	say(t, "%s %s", behind->name, behind->away ? "is away" : "has");
	for (size_t i = 0; i < behind->n_vms; i++)
		say(t, " %s", behind->vms[i]->name);
}

static void say_parting(struct test *t, const Tether__Parting *parting)
{
	say(t, "parting %u:%u from %u:%u of %s", parting->local_lid, parting->local_qpn,
	        parting->remote_lid, parting->remote_qpn, parting->vm);
}

static void say_report(struct test *t, const Tether__Report *report)
{
	say(t, "report %u", report->request);
	if (*report->name)
		say(t, " of %s", report->name);
	if (*report->behind)
		say(t, " behind %s", report->behind);
	if (report->last)
		say(t, ", the last");
}

static void say_frame(struct test *t, const Tether__Frame *frame)
{
	switch (frame->body_case) {
	case TETHER__FRAME__BODY_HELLO_ANSWER:
		say_welcome(t, frame->hello_answer);
		break;
	case TETHER__FRAME__BODY_EVENT:
		say_event(t, frame->event);
		break;
	case TETHER__FRAME__BODY_ANSWER:
		say_answer(t, frame->answer);
		break;
	case TETHER__FRAME__BODY_INTEREST:
		say_interest(t, frame->interest);
		break;
	case TETHER__FRAME__BODY_INTEREST_ANSWER:
		say_interest_answer(t, frame->interest_answer);
		break;
	case TETHER__FRAME__BODY_WHEREABOUTS:
		say_places(t, frame->whereabouts);
		break;
	case TETHER__FRAME__BODY_BEHIND:
		say_behind(t, frame->behind);
		break;
	case TETHER__FRAME__BODY_REPORT:
		say_report(t, frame->report);
		break;
	case TETHER__FRAME__BODY_PARTING:
		say_parting(t, frame->parting);
		break;
	default:
		say(t, "?");
	}
	say(t, "\n");
}

static const char *link_name(const struct test *t, uint32_t link)
{
	for (size_t i = 0; i < t->links_count; i++)
		if (t->links[i].link == link)
			return t->links[i].name;
	return "?";
}

static void child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct test *t = owner;

	if (tether__frame__get_packed_size(frame) > t->frame_bytes_most)
		t->frame_bytes_most = tether__frame__get_packed_size(frame);
	if (frame->body_case == TETHER__FRAME__BODY_INTEREST_ANSWER)
		t->told_pkeys = frame->interest_answer->n_pkeys;
	if (frame->body_case == TETHER__FRAME__BODY_WHEREABOUTS)
		t->places_told += frame->whereabouts->n_vms;
	if (frame->body_case == TETHER__FRAME__BODY_HELLO_ANSWER) {
		t->epoch_welcomed = frame->hello_answer->epoch;
		t->spoken = frame->hello_answer->version;
	}
	/* Being welcome is what most tests take for granted. */
	if (!t->says_welcome && frame->body_case == TETHER__FRAME__BODY_HELLO_ANSWER &&
	        frame->hello_answer->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		return;
	say(t, "%s < ", link_name(t, child));
	say_frame(t, frame);
}

static void child_close(void *owner, uint32_t child, const char *why)
{
	say(owner, "%s closed: %s\n", link_name(owner, child), why);
}

static void parent_send(void *owner, const Tether__Frame *frame)
{
	struct test *t = owner;

	say(t, "> ");
	say_frame(t, frame);
	if (frame->body_case != TETHER__FRAME__BODY_INTEREST)
		return;
	t->last_request = frame->interest->request;
	snprintf(t->last_asker, sizeof(t->last_asker), "%s", frame->interest->vm);
	if (t->acknowledge && !frame->interest->drop)
		registered(t, frame->interest->request, TETHER__OUTCOME__OUTCOME_DONE);
}

static void order(void *owner, const Tether__Event *event)
{
	struct test *t = owner;

	say(t, "order %d %s\n", event->order->action, event->order->vm);
	t->last_deadline_ms = event->deadline_ms;
	if (t->order_at_once)
		order_done(t, event->step, event->sequence, 0);
}

static int epoch_save(void *owner, uint64_t epoch)
{
	struct test *t = owner;

	if (!t->epoch_save_error)
		t->epoch_saved = epoch;
	return t->epoch_save_error;
}

static void report(void *owner, uint32_t request)
{
	say(owner, "asked to report %u\n", request);
}

static void holders(void *owner, const Tether__Event *event,
        void (*each)(void *context, uint32_t pid, uint32_t forked_by, const char *program),
        void *context)
{
	const struct test *t = owner;

	for (size_t i = 0; i < ARRAY_SIZE(t->holders) && t->holders[i].pid; i++)
		each(context, t->holders[i].pid, t->holders[i].forked_by, t->holders[i].program);
}

const struct relay_outputs relay_said = {
        .child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .order = order,
        .epoch_save = epoch_save,
        .holders = holders,
        .report = report,
};
