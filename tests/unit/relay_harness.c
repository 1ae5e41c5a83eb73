/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/relay_harness.h"

#include "notifier/wire/answer.h"

static size_t count_of(const uint32_t *numbers, size_t most)
{
	size_t count = 0;

	while (count < most && numbers[count])
		count++;
	return count;
}

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
		for (size_t j = 0; j < place->n_lids; j++)
			say(t, " lid %u", place->lids[j]);
		for (size_t j = 0; j < place->n_pkeys; j++)
			say(t, " pkey 0x%04x", place->pkeys[j]);
	}
}

static void say_frame(struct test *t, const Tether__Frame *frame)
{
	switch (frame->body_case) {
	case TETHER__FRAME__BODY_HELLO_ANSWER:
		say(t, "HELLO %s", outcome_name(frame->hello_answer->outcome));
		if (frame->hello_answer->n_refusals) {
			say(t, " (%s)", frame->hello_answer->refusals[0]->reason);
			snprintf(t->refused, sizeof(t->refused), "%s",
			        frame->hello_answer->refusals[0]->text);
		}
		for (size_t i = 0; i < frame->hello_answer->n_reserved_qpns; i++)
			say(t, " not 0x%x", frame->hello_answer->reserved_qpns[i]);
		if (*frame->hello_answer->vm)
			say(t, " is %s", frame->hello_answer->vm);
		if (frame->hello_answer->released)
			say(t, " released %u", frame->hello_answer->released->overall_ms);
		break;
	case TETHER__FRAME__BODY_EVENT:
		say_event(t, frame->event);
		break;
	case TETHER__FRAME__BODY_ANSWER:
		say_answer(t, frame->answer);
		break;
	case TETHER__FRAME__BODY_INTEREST:
		say(t, "%s %u", frame->interest->drop ? "drop" : "interest",
		        frame->interest->address->lid);
		if (frame->interest->address->qpn)
			say(t, " own %u of context %u", frame->interest->address->qpn,
			        frame->interest->address->context);
		if (frame->interest->remote_qpn)
			say(t, " qpn %u", frame->interest->remote_qpn);
		if (frame->interest->datagrams)
			say(t, " datagrams");
		if (frame->interest->heard)
			say(t, " heard");
		break;
	case TETHER__FRAME__BODY_INTEREST_ANSWER:
		say(t, "registered %u %s", frame->interest_answer->request,
		        outcome_name(frame->interest_answer->outcome));
		if (frame->interest_answer->moving)
			say(t, " moving");
		if (frame->interest_answer->n_refusals)
			say(t, " (%s)", frame->interest_answer->refusals[0]->reason);
		break;
	case TETHER__FRAME__BODY_WHEREABOUTS:
		say_places(t, frame->whereabouts);
		break;
	case TETHER__FRAME__BODY_BEHIND:
		say(t, "%s %s", frame->behind->name, frame->behind->away ? "is away" : "has");
		for (size_t i = 0; i < frame->behind->n_vms; i++)
			say(t, " %s", frame->behind->vms[i]->name);
		break;
	case TETHER__FRAME__BODY_REPORT:
		say(t, "report %u", frame->report->request);
		if (*frame->report->name)
			say(t, " of %s", frame->report->name);
		if (*frame->report->behind)
			say(t, " behind %s", frame->report->behind);
		if (frame->report->last)
			say(t, ", the last");
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
	if (frame->body_case == TETHER__FRAME__BODY_HELLO_ANSWER)
		t->epoch_welcomed = frame->hello_answer->epoch;
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

void registered(struct test *t, uint32_t request, Tether__Outcome outcome)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;

	answer.request = request;
	answer.outcome = outcome;
	answer.pkeys = t->says_pkeys;
	answer.n_pkeys = count_of(t->says_pkeys, ARRAY_SIZE(t->says_pkeys));
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	assert_int_equal(relay_parent_frame(t->relay, &frame, t->now_ms), 0);
}

void refused_above(struct test *t, uint32_t request, const char *reason)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT, *refusals[] = {&refusal};

	refusal.reason = (char *)reason;
	answer.request = request;
	answer.outcome = TETHER__OUTCOME__OUTCOME_REFUSED;
	answer.refusals = refusals;
	answer.n_refusals = 1;
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	assert_int_equal(relay_parent_frame(t->relay, &frame, t->now_ms), 0);
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

Tether__Answer answer_to(Tether__Step step, uint32_t sequence, Tether__Outcome outcome)
{
	Tether__Answer answer;

	answer_begin(&answer, (struct event_key){1, 1, step, sequence});
	answer.outcome = outcome;
	return answer;
}

void order_done(struct test *t, Tether__Step step, uint32_t sequence, uint32_t status)
{
	Tether__Answer answer = answer_to(step, sequence,
	        status ? TETHER__OUTCOME__OUTCOME_FAILED : TETHER__OUTCOME__OUTCOME_DONE);
	Tether__HostResult result = TETHER__HOST_RESULT__INIT;

	result.exit_status = status;
	answer.result = &result;
	relay_order_done(t->relay, &answer, t->now_ms);
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

static const struct relay_outputs outputs = {
        .child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .order = order,
        .epoch_save = epoch_save,
        .report = report,
};

struct test *test_create(Tether__Role role, const char *name)
{
	struct test *t = calloc(1, sizeof(*t));
	struct relay_settings settings = {
	        .name = name, .role = role, .away_ms = 500, .interests_max = 8, .requests_max = 8};

	t->now_ms = 1000;
	t->acknowledge = true;
	t->version = TETHER__PROTOCOL__PROTOCOL_VERSION;
	t->relay = relay_create(&settings, &outputs, t);
	return t;
}

int host_relay(void **state)
{
	*state = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
	return 0;
}

int root_relay(void **state)
{
	*state = test_create(TETHER__ROLE__ROLE_ROOT, "");
	return 0;
}

/* It need not know what it is called. */
int guest_relay(void **state)
{
	*state = test_create(TETHER__ROLE__ROLE_GUEST, "");
	return 0;
}

int teardown(void **state)
{
	struct test *t = *state;

	relay_destroy(t->relay);
	free(t);
	return 0;
}

void forget(struct test *t)
{
	t->said[0] = 0;
}

static uint32_t link_remember(struct test *t, uint32_t link, const char *name)
{
	assert_int_not_equal(link, 0);
	t->links[t->links_count].link = link;
	snprintf(t->links[t->links_count++].name, sizeof(t->links[0].name), "%s", name);
	return link;
}

uint32_t link_add(struct test *t, const char *vm, const char *name)
{
	uint32_t link = 0;

	assert_int_equal(relay_child_add(t->relay, vm, t->now_ms, &link), 0);
	return link_remember(t, link, name);
}

uint32_t guest_link_add(struct test *t, const char *vm, const char *name)
{
	uint32_t link = 0;

	assert_int_equal(relay_guest_add(t->relay, vm, t->now_ms, &link), 0);
	return link_remember(t, link, name);
}

int say_hello(struct test *t, uint32_t link, Tether__Role role, const char *name, const char *vms,
        const uint32_t *lids, size_t lids_count)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;
	Tether__Address addresses[16], *address_list[16];
	Tether__HostVm vm[4], *vm_list[4];
	CLEANUP_FREE char *vms_copy = strdup(vms ? vms : "");
	char *rest = NULL;

	hello.version = t->version;
	hello.role = role;
	hello.name = (char *)name;
	hello.pid = 4711;
	hello.program = (char *)"ib_write_bw";
	hello.migration = t->takes_part_in;
	hello.open = t->open;
	hello.n_open = t->open_count;
	hello.addresses = address_list;
	for (size_t i = 0; i < lids_count; i++) {
		tether__address__init(&addresses[i]);
		addresses[i].lid = lids[i];
		address_list[hello.n_addresses++] = &addresses[i];
	}
	hello.vms = vm_list;
	for (char *at = strtok_r(vms_copy, " ", &rest); at; at = strtok_r(NULL, " ", &rest)) {
		tether__host_vm__init(&vm[hello.n_vms]);
		vm[hello.n_vms].name = at;
		vm_list[hello.n_vms] = &vm[hello.n_vms];
		hello.n_vms++;
	}
	hello.reserved_qpns = &t->reserved;
	hello.n_reserved_qpns = t->reserved ? 1 : 0;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	return relay_child_frame(t->relay, link, &frame, t->now_ms);
}

uint32_t child(struct test *t, const char *vm, const char *name, uint32_t lid)
{
	uint32_t link = link_add(t, vm, name);

	assert_int_equal(say_hello(t, link, vm ? TETHER__ROLE__ROLE_SHIM : TETHER__ROLE__ROLE_HOST,
	                         name, NULL, &lid, lid ? 1 : 0),
	        0);
	return link;
}

uint32_t guest_of(struct test *t, const char *vm, const char *name)
{
	uint32_t link = guest_link_add(t, vm, vm);

	assert_int_equal(say_hello(t, link, TETHER__ROLE__ROLE_GUEST, name, NULL, NULL, 0), 0);
	return link;
}

uint32_t host(struct test *t, const char *name, const char *vms, uint32_t lid)
{
	uint32_t link = link_add(t, NULL, name);

	assert_int_equal(
	        say_hello(t, link, TETHER__ROLE__ROLE_HOST, name, vms, &lid, lid ? 1 : 0), 0);
	return link;
}

void event_send(struct test *t, const struct event_args *args)
{
	Tether__Event event = TETHER__EVENT__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT, next = TETHER__ADDRESS__INIT;
	uint32_t known[] = {args->known_lid};
	Tether__HostOrder host_order = TETHER__HOST_ORDER__INIT;

	event.migration = args->migration ? args->migration : 1;
	event.epoch = args->epoch ? args->epoch : 1;
	event.step = args->step ? args->step : TETHER__STEP__STEP_STOP;
	event.sequence = args->sequence ? args->sequence : 1;
	event.deadline_ms = DEADLINE_MS;
	event.overall_ms = args->overall_ms;
	event.vm = (char *)(args->vm ? args->vm : "vm1");
	address.lid = args->lid ? args->lid : 5;
	event.address = &address;
	event.to_vm = args->to_vm;
	event.to_peers = args->to_peers;
	event.qps = args->qps;
	event.shared_port = args->known_lid;
	event.known_lids = known;
	event.n_known_lids = args->known_lid != 0;
	next.lid = args->new_lid;
	event.new_address = args->new_lid ? &next : NULL;
	event.pkeys = (uint32_t *)args->pkeys;
	event.n_pkeys = count_of(args->pkeys, ARRAY_SIZE(args->pkeys));
	event.expected = (char **)args->expected;
	while (event.n_expected < 4 && args->expected[event.n_expected])
		event.n_expected++;
	if (args->order_host) {
		host_order.host = (char *)args->order_host;
		host_order.action = args->attaches ? TETHER__HOST_ACTION__HOST_ATTACH
		                                   : TETHER__HOST_ACTION__HOST_DETACH;
		host_order.vm = event.vm;
		host_order.resume_follows = args->resume_follows;
		event.order = &host_order;
	}
	assert_int_equal(relay_event(t->relay, &event, t->now_ms), 0);
}

void place_say(struct test *t, const struct place_args *args)
{
	Tether__Whereabouts whereabouts = TETHER__WHEREABOUTS__INIT;
	Tether__VmPlace place = TETHER__VM_PLACE__INIT, *places[] = {&place};

	place.vm = (char *)args->vm;
	place.host = (char *)(args->host ? args->host : "");
	place.host_next = (char *)(args->next ? args->next : "");
	place.lids = (uint32_t *)args->lids;
	place.n_lids = count_of(args->lids, ARRAY_SIZE(args->lids));
	place.pkeys = (uint32_t *)args->pkeys;
	place.n_pkeys = count_of(args->pkeys, ARRAY_SIZE(args->pkeys));
	place.located = !args->unlocated;
	place.shared_port = args->shared_port;
	whereabouts.vms = places;
	whereabouts.n_vms = 1;
	assert_int_equal(relay_whereabouts(t->relay, &whereabouts, t->now_ms), 0);
}

int answer_send(struct test *t, uint32_t link, Tether__Answer *answer)
{
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_ANSWER;
	frame.answer = answer;
	return relay_child_frame(t->relay, link, &frame, t->now_ms);
}

void done(struct test *t, uint32_t link, Tether__Step step, uint32_t sequence)
{
	Tether__Answer answer = answer_to(step, sequence, TETHER__OUTCOME__OUTCOME_DONE);

	assert_int_equal(answer_send(t, link, &answer), 0);
}

static void interest_send(
        struct test *t, uint32_t link, uint32_t request, Tether__Address *address, bool drop)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Interest message = TETHER__INTEREST__INIT;

	message.request = request;
	message.vm = (char *)(t->asker ? t->asker : "");
	message.address = address;
	message.drop = drop;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &message;
	assert_int_equal(relay_child_frame(t->relay, link, &frame, t->now_ms), 0);
}

void interest(struct test *t, uint32_t link, uint32_t request, uint32_t lid, bool drop)
{
	Tether__Address address = TETHER__ADDRESS__INIT;

	address.lid = lid;
	interest_send(t, link, request, &address, drop);
}

static void ask_numbers(struct test *t, uint32_t link, uint32_t request, uint32_t lid, bool heard)
{
	Tether__Address address = TETHER__ADDRESS__INIT;
	Tether__Interest message = TETHER__INTEREST__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	address.lid = lid;
	message.request = request;
	message.vm = (char *)(t->asker ? t->asker : "");
	message.address = &address;
	message.datagrams = true;
	message.heard = heard;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &message;
	assert_int_equal(relay_child_frame(t->relay, link, &frame, t->now_ms), 0);
}

void ask_datagrams(struct test *t, uint32_t link, uint32_t request, uint32_t lid)
{
	ask_numbers(t, link, request, lid, false);
}

void ask_whose_datagram(struct test *t, uint32_t link, uint32_t request, uint32_t lid)
{
	ask_numbers(t, link, request, lid, true);
}

void announce(struct test *t, uint32_t link, uint32_t request, const struct address *own, bool drop)
{
	Tether__Address address;

	address_encode(own, &address);
	interest_send(t, link, request, &address, drop);
}

void pass(struct test *t, uint64_t ms)
{
	t->now_ms += ms;
	relay_tick(t->relay, t->now_ms);
}

int hello_answered(struct test *t, uint64_t epoch)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__HelloAnswer answer = TETHER__HELLO_ANSWER__INIT;

	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	answer.epoch = epoch;
	frame.body_case = TETHER__FRAME__BODY_HELLO_ANSWER;
	frame.hello_answer = &answer;
	return relay_parent_frame(t->relay, &frame, t->now_ms);
}
