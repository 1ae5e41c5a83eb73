/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Event forwarding's GMPs: delivered to who takes them; lost, late and doubled by rules, and
 * counted by kind. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "simfabric/clients.h"
#include "simfabric/counters.h"
#include "simfabric/event_heap.h"
#include "simfabric/gmp_kinds.h"
#include "simfabric/mad_delivery.h"
#include "simfabric/mailbox.h"
#include "unit/simfabric_fixture.h"

enum { SENDER_LID = 11, LISTENER_LID = 12, REPORT = 0x06 };

static struct fabric *fabric;
static uint32_t sender, listener;

static int open_fabric(void **state)
{
	struct agent takes_reports = {
	        .mgmt_class = CLASS_SUBN_ADM, .class_version = 2, .methods = {1 << REPORT}};

	fabric = fixture_open();
	if (!fabric || client_join(fabric))
		return -1;
	fixture_bring_up(fabric);
	if (mailbox_open(fabric, fixture_port(fabric, "H1", 1), &sender) ||
	        mailbox_open(fabric, fixture_port(fabric, "H2", 1), &listener))
		return -1;
	return agent_register(fabric, listener, &takes_reports);
}

static int close_fabric(void **state)
{
	fixture_close(fabric);
	return 0;
}

static void send_report(uint8_t number)
{
	uint8_t mad[MAD_BYTES] = {1, CLASS_SUBN_ADM, 2, REPORT, [MAD_ATTRIBUTE + 1] = 2};
	struct mad_packet packet = {
	        .origin = {mailbox_at(fabric, sender)->port, sender,
	                mailbox_at(fabric, sender)->generation, 0},
	        .to = {.lid = htobe16(LISTENER_LID), .qpn = htobe32(1)},
	        .mad = mad,
	        .bytes = sizeof(mad),
	};
	bool is_answered;

	mad[SA_HEADER_BYTES] = number;
	mad_set64(mad, MAD_TID, number);
	assert_int_equal(mad_send(fabric, &packet, &is_answered), 0);
	assert_false(is_answered);
}

/* The next Report's number; -1: there is none. */
static int heard(void)
{
	uint8_t mad[MAD_BYTES];
	uint32_t message = mailbox_take(fabric, listener);

	if (message == NO_INDEX)
		return -1;
	message_read(fabric, message, mad, sizeof(mad));
	message_free(fabric, message);
	return mad[SA_HEADER_BYTES];
}

static struct mad_fault rule_of(enum mad_fault_kind kind)
{
	const struct gmp_kind *report = gmp_kind_by_name("report");

	return (struct mad_fault){.kind = kind,
	        .directions = MAD_REQUEST,
	        .node = NO_INDEX,
	        .mgmt_class = report->mgmt_class,
	        .method = report->method,
	        .attribute = report->attribute,
	        .chance = MAD_FAULT_CERTAIN,
	        .left = 1};
}

static const struct gmp_counts *reports(void)
{
	return counters_gmp_row(fabric, 0);
}

static void run_what_is_due(void)
{
	while (events_waiting(fabric))
		mad_run_due(fabric);
}

static void a_report_is_heard_by_who_takes_it(void **state)
{
	send_report(1);
	assert_int_equal(heard(), 1);
	assert_int_equal(heard(), -1);
	assert_string_equal(
	        gmp_kind_of(reports()->mgmt_class, reports()->method, reports()->attribute)->name,
	        "Report");
	assert_int_equal(reports()->delivered, 1);
	assert_int_equal(reports()->lost, 0);
}

static void a_dropped_report_is_lost_once(void **state)
{
	struct mad_fault rule = rule_of(MAD_FAULT_DROP);

	mad_fault_add(fabric, &rule);
	send_report(1);
	send_report(2);
	assert_int_equal(heard(), 2);
	assert_int_equal(heard(), -1);
	assert_int_equal(reports()->dropped, 1);
	assert_int_equal(reports()->lost, 1);
	assert_int_equal(reports()->delivered, 1);
}

/* Half of them are lost, whichever those are, and stay so however often they are sent. */
static void a_lost_message_is_lost_again(void **state)
{
	struct mad_fault rule = rule_of(MAD_FAULT_DROP);
	unsigned lost = 0;

	rule.chance = MAD_FAULT_CERTAIN / 2;
	rule.left = UINT32_MAX;
	rule.is_per_message = true;
	rule.state = 7;
	mad_fault_add(fabric, &rule);
	for (unsigned number = 1; number <= 200; number++) {
		bool is_heard;

		send_report((uint8_t)number);
		is_heard = heard() >= 0;
		lost += !is_heard;
		for (int i = 0; i < 3; i++) {
			send_report((uint8_t)number);
			assert_int_equal(heard() >= 0, is_heard);
		}
	}
	assert_in_range(lost, 60, 140);
}

static void a_late_report_comes_behind_the_next_one(void **state)
{
	struct mad_fault rule = rule_of(MAD_FAULT_DELAY);

	rule.delay_ns = 1;
	mad_fault_add(fabric, &rule);
	send_report(1);
	send_report(2);
	assert_int_equal(heard(), 2);
	assert_int_equal(heard(), -1);
	run_what_is_due();
	assert_int_equal(heard(), 1);
	assert_int_equal(reports()->delayed, 1);
	assert_int_equal(reports()->delivered, 2);
	assert_int_equal(message_chunks_used(fabric), 0);
}

static void a_doubled_report_comes_twice(void **state)
{
	struct mad_fault rule = rule_of(MAD_FAULT_DUPLICATE);

	mad_fault_add(fabric, &rule);
	send_report(1);
	send_report(2);
	run_what_is_due();
	assert_int_equal(heard(), 1);
	assert_int_equal(heard(), 2);
	assert_int_equal(heard(), 1);
	assert_int_equal(heard(), -1);
	assert_int_equal(reports()->duplicated, 1);
	assert_int_equal(reports()->delivered, 3);
	assert_int_equal(message_chunks_used(fabric), 0);
}

static void a_rule_for_reports_leaves_other_gmps_alone(void **state)
{
	struct mad_fault rule = rule_of(MAD_FAULT_DROP);

	rule.method = gmp_kind_by_name("ReportResp")->method;
	mad_fault_add(fabric, &rule);
	send_report(1);
	assert_int_equal(heard(), 1);
	assert_int_equal(reports()->dropped, 0);
}

#define on_fabric(test) cmocka_unit_test_setup_teardown(test, open_fabric, close_fabric)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_fabric(a_report_is_heard_by_who_takes_it),
	        on_fabric(a_dropped_report_is_lost_once),
	        on_fabric(a_lost_message_is_lost_again),
	        on_fabric(a_late_report_comes_behind_the_next_one),
	        on_fabric(a_doubled_report_comes_twice),
	        on_fabric(a_rule_for_reports_leaves_other_gmps_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
