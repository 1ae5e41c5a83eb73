/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/relay_harness.h"

#include "notifier/wire/answer.h"
#include "tests/unit/relay_said.h"

static size_t count_of(const uint32_t *numbers, size_t most)
{
	size_t count = 0;

	while (count < most && numbers[count])
		count++;
	return count;
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

struct test *test_create(Tether__Role role, const char *name)
{
	struct test *t = calloc(1, sizeof(*t));
	struct relay_settings settings = {
	        .name = name, .role = role, .away_ms = 500, .interests_max = 8, .requests_max = 8};

	t->now_ms = 1000;
	t->acknowledge = true;
	t->version = TETHER__PROTOCOL__PROTOCOL_VERSION;
	t->relay = relay_create(&settings, &relay_said, t);
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
	relay_child_numbered(t->relay, link, KERNEL_PID);
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
	hello.newest = t->newest;
	hello.role = role;
	hello.name = (char *)name;
	hello.pid = SAID_PID;
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
	uint32_t known[] = {args->known_lid ? args->known_lid : args->second_lid};
	Tether__HostOrder host_order = TETHER__HOST_ORDER__INIT;

	event.migration = args->migration || args->of_none ? args->migration : 1;
	event.epoch = args->epoch ? args->epoch : 1;
	event.step = args->step ? args->step : TETHER__STEP__STEP_STOP;
	event.sequence = args->sequence ? args->sequence : 1;
	event.deadline_ms = DEADLINE_MS;
	event.needs = args->needs;
	event.overall_ms = args->overall_ms;
	event.vm = (char *)(args->vm ? args->vm : "vm1");
	address.lid = args->lid ? args->lid : 5;
	event.address = &address;
	event.to_vm = args->to_vm;
	event.to_peers = args->to_peers;
	event.qps = args->qps;
	event.shared_port = args->known_lid;
	event.known_lids = known;
	event.n_known_lids = known[0] != 0;
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
		host_order.alone = args->alone;
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
	place.at_rest = args->at_rest;
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
