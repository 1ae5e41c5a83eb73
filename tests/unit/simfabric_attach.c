/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simfabric/attach.h"
#include "simfabric/clients.h"
#include "unit/simfabric_fixture.h"

enum { LONG_MS = 20000 };

static struct fabric *fabric;

static int open_fabric(void **state)
{
	fabric = fixture_open();
	if (!fabric || vm_add(fabric, "vm") || attach_vm(fabric, "vm", "vf1"))
		return -1;
	setenv("SIMFABRIC_VM", "vm", 1);
	return 0;
}

static int close_fabric(void **state)
{
	unsetenv("SIMFABRIC_VM");
	fixture_close(fabric);
	return 0;
}

static struct hca_place current(void)
{
	struct hca_place place;

	assert_int_equal(attach_current(fabric, &place), 0);
	return place;
}

static void vm_sees_the_vf_that_it_has(void **state)
{
	struct hca_place place = current();

	assert_int_equal(place.port, fixture_port(fabric, "vf1", 1));
	assert_string_equal(place.device_name, "vf1");
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, 0), 0);
	assert_int_equal(attach_current(fabric, &place), -ENODEV);
	assert_int_equal(attach_vm(fabric, "vm", "vf2"), 0);
	assert_string_equal(current().device_name, "vf2");
}

static void attachments_of_a_vm_are_counted(void **state)
{
	assert_int_equal(current().attachments, 1);
	assert_int_equal(attach_vm(fabric, "vm", "vf1"), 0); /* it has it */
	assert_int_equal(current().attachments, 1);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, 0), 0);
	assert_int_equal(attach_vm(fabric, "vm", "vf1"), 0);
	assert_int_equal(current().attachments, 2);
}

static void node_sees_its_own_ca(void **state)
{
	struct hca_place place;

	unsetenv("SIMFABRIC_VM");
	setenv("SIMFABRIC_NODE", "P", 1);
	assert_int_equal(attach_current(fabric, &place), 0);
	assert_string_equal(place.device_name, "P");
	assert_int_equal(attach_hold(fabric, &place), 0);
	assert_int_equal(attach_state(fabric, &place), ATTACH_HELD);
	attach_let_go(fabric, &place);
	setenv("SIMFABRIC_NODE", "S1", 1);
	assert_int_equal(attach_current(fabric, &place), -ENODEV);
	unsetenv("SIMFABRIC_NODE");
	assert_int_equal(attach_current(fabric, &place), -ENODEV);
}

static void asked_vf_leaves_when_the_last_context_closes(void **state)
{
	struct hca_place place = current(), unused;

	assert_int_equal(attach_hold(fabric, &place), 0);
	assert_int_equal(attach_hold(fabric, &place), 0);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, 1), -ETIMEDOUT);
	assert_int_equal(attach_state(fabric, &place), ATTACH_ASKED);
	assert_int_equal(attach_current(fabric, &unused), -ENODEV);
	assert_int_equal(attach_hold(fabric, &place), -ENODEV);
	attach_let_go(fabric, &place);
	assert_int_equal(attach_state(fabric, &place), ATTACH_ASKED);
	attach_let_go(fabric, &place);
	assert_int_equal(attach_state(fabric, &place), ATTACH_GONE);
	assert_int_equal(vm_row(fabric, 0)->slot, 0);
}

static void *let_go(void *place)
{
	while (attach_state(fabric, place) != ATTACH_ASKED)
		;
	attach_let_go(fabric, place);
	return NULL;
}

static void detach_waits_for_the_holder(void **state)
{
	struct hca_place place = current();
	pthread_t holder;

	assert_int_equal(attach_hold(fabric, &place), 0);
	assert_int_equal(pthread_create(&holder, NULL, let_go, &place), 0);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, LONG_MS), 0);
	pthread_join(holder, NULL);
}

static void surprise_takes_the_vf_from_its_holder(void **state)
{
	struct hca_place place = current();

	assert_int_equal(attach_hold(fabric, &place), 0);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_SURPRISE, 0), 0);
	assert_int_equal(attach_state(fabric, &place), ATTACH_GONE);
	assert_int_equal(attach_vm(fabric, "vm", "vf1"), 0);
	assert_int_equal(attach_state(fabric, &place), ATTACH_GONE);
	attach_let_go(fabric, &place);
	place = current();
	assert_int_equal(attach_hold(fabric, &place), 0);
	assert_int_equal(attach_state(fabric, &place), ATTACH_HELD);
}

static void question_can_be_taken_back(void **state)
{
	struct hca_place place = current();

	assert_int_equal(attach_hold(fabric, &place), 0);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, 1), -ETIMEDOUT);
	assert_int_equal(attach_vm(fabric, "vm", "vf2"), -EBUSY);
	assert_int_equal(attach_vm(fabric, "vm", "vf1"), 0);
	assert_int_equal(attach_state(fabric, &place), ATTACH_HELD);
	attach_let_go(fabric, &place);
	assert_int_equal(attach_state(fabric, &place), ATTACH_HELD);
}

static void killed_holder_holds_nothing(void **state)
{
	struct hca_place place = current();
	struct fabric *other;

	assert_int_equal(fabric_open(fabric->path, &other), 0);
	assert_int_equal(attach_hold(other, &place), 0);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, 1), -ETIMEDOUT);
	close(other->fd); /* all that remains of a killed process */
	other->fd = -1;
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, LONG_MS), 0);
	other->client = NO_INDEX;
	fabric_close(other);
}

static void wrong_names_and_taken_places_are_refused(void **state)
{
	assert_int_equal(vm_add(fabric, "vm"), -EEXIST);
	assert_int_equal(vm_add(fabric, ""), -EINVAL);
	assert_int_equal(vm_add(fabric, "other"), 0);
	assert_int_equal(attach_vm(fabric, "other", "vf1"), -EBUSY);
	assert_int_equal(attach_vm(fabric, "vm", "vf2"), -EBUSY);
	assert_int_equal(attach_vm(fabric, "nobody", "vf2"), -ENOENT);
	assert_int_equal(attach_vm(fabric, "other", "P"), -ENOENT);
	assert_int_equal(detach_vm(fabric, "other", DETACH_ASK, 0), -ENODEV);
	assert_int_equal(detach_vm(fabric, "nobody", DETACH_ASK, 0), -ENOENT);
}

static void guids_are_programmed_on_a_detached_vf_only(void **state)
{
	const struct node *node = &fabric->nodes[node_find(fabric, "vf1")];

	assert_int_equal(ca_set_guids(fabric, "vf1", 7, 8), -EBUSY);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, 0), 0);
	assert_int_equal(ca_set_guids(fabric, "vf1", 0, 8), -EINVAL);
	assert_int_equal(ca_set_guids(fabric, "P", 7, 8), -ENOENT);
	assert_int_equal(ca_set_guids(fabric, "vf1", 7, 8), 0);
	assert_int_equal(node->guid, 7);
	assert_int_equal(fabric->ports[node->first_port].guid, 8);
}

static void guids_are_programmed_on_a_plain_ca_that_nobody_is_on(void **state)
{
	const struct node *node = &fabric->nodes[node_find(fabric, "H1")];
	struct fabric *other;

	assert_int_equal(ca_set_guids(fabric, "H3", 7, 8), -ENOENT); /* two ports */
	assert_int_equal(ca_set_guids(fabric, "S1", 7, 8), -ENOENT);
	assert_int_equal(ca_set_guids(fabric, "nobody", 7, 8), -ENOENT);
	unsetenv("SIMFABRIC_VM");
	setenv("SIMFABRIC_NODE", "H1", 1);
	assert_int_equal(fabric_open(fabric->path, &other), 0);
	assert_int_equal(client_join(other), 0);
	unsetenv("SIMFABRIC_NODE");
	assert_int_equal(ca_set_guids(fabric, "H1", 7, 8), -EBUSY);
	fabric_close(other);
	assert_int_equal(ca_set_guids(fabric, "H1", 7, 8), 0);
	assert_int_equal(node->guid, 7);
	assert_int_equal(fabric->ports[node->first_port].guid, 8);
}

static void hypervisor_may_offer_less(void **state)
{
	uint32_t vf = slot_find(fabric, "vf2");

	assert_int_equal(slot_max_qp(fabric, vf, 100), 100);
	assert_int_equal(hypervisor_limit(fabric, "hyp", 8), 0);
	assert_int_equal(slot_max_qp(fabric, vf, 100), 8);
	assert_int_equal(slot_max_qp(fabric, NO_INDEX, 100), 100);
	assert_int_equal(hypervisor_limit(fabric, "nobody", 8), -ENOENT);
}

#define on_fabric(test) cmocka_unit_test_setup_teardown(test, open_fabric, close_fabric)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_fabric(vm_sees_the_vf_that_it_has),
	        on_fabric(attachments_of_a_vm_are_counted),
	        on_fabric(node_sees_its_own_ca),
	        on_fabric(asked_vf_leaves_when_the_last_context_closes),
	        on_fabric(detach_waits_for_the_holder),
	        on_fabric(surprise_takes_the_vf_from_its_holder),
	        on_fabric(question_can_be_taken_back),
	        on_fabric(killed_holder_holds_nothing),
	        on_fabric(wrong_names_and_taken_places_are_refused),
	        on_fabric(guids_are_programmed_on_a_detached_vf_only),
	        on_fabric(guids_are_programmed_on_a_plain_ca_that_nobody_is_on),
	        on_fabric(hypervisor_may_offer_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
