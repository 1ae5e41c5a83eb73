/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/message.h"
#include "notifier/wire/message_equal.h"

/* A host's word with something of every kind in it. */
static Tether__Hello *word_make(void)
{
	static uint64_t open[] = {7, 8};
	static Tether__Address address;
	static Tether__HostVm vms[2];
	static Tether__Slot slot;
	Tether__HostVm *vm_list[] = {&vms[0], &vms[1]};
	Tether__Slot *slots[] = {&slot};
	Tether__Hello word = TETHER__HELLO__INIT;

	tether__host_vm__init(&vms[0]);
	tether__host_vm__init(&vms[1]);
	tether__slot__init(&slot);
	tether__address__init(&address);
	vms[0].name = (char *)"vm1";
	vms[0].slot = (char *)"vf1";
	vms[1].name = (char *)"vm2";
	slot.name = (char *)"vf1";
	slot.port_guid = 5;
	slot.dynamic = true;
	address.lid = 9;
	address.gid = (ProtobufCBinaryData){4, (uint8_t *)"gid"};
	slot.address = &address;
	word.name = (char *)"h1";
	word.vms = vm_list;
	word.n_vms = ARRAY_SIZE(vm_list);
	word.slots = slots;
	word.n_slots = ARRAY_SIZE(slots);
	word.open = open;
	word.n_open = ARRAY_SIZE(open);
	return message_copy(&word.base);
}

static void name_changes(Tether__Hello *word)
{
	word->name[1] = '2';
}

static void row_goes(Tether__Hello *word)
{
	tether__host_vm__free_unpacked(word->vms[--word->n_vms], NULL);
}

static void rows_change_places(Tether__Hello *word)
{
	Tether__HostVm *first = word->vms[0];

	word->vms[0] = word->vms[1];
	word->vms[1] = first;
}

static void text_in_a_row_changes(Tether__Hello *word)
{
	word->vms[0]->slot[0] = 'w';
}

static void number_in_a_row_changes(Tether__Hello *word)
{
	word->slots[0]->port_guid += (uint64_t)1 << 32;
}

static void truth_in_a_row_changes(Tether__Hello *word)
{
	word->slots[0]->dynamic = false;
}

static void number_in_a_list_changes(Tether__Hello *word)
{
	word->open[1] = 9;
}

static void message_in_a_row_changes(Tether__Hello *word)
{
	word->slots[0]->address->lid = 10;
}

static void bytes_change(Tether__Hello *word)
{
	word->slots[0]->address->gid.data[2] = 'f';
}

static void bytes_are_fewer(Tether__Hello *word)
{
	word->slots[0]->address->gid.len--;
}

static void message_goes(Tether__Hello *word)
{
	tether__address__free_unpacked(word->slots[0]->address, NULL);
	word->slots[0]->address = NULL;
}

static void whatever_changes_is_seen(void **state)
{
	static void (*const changes[])(Tether__Hello *) = {name_changes, row_goes,
	        rows_change_places, text_in_a_row_changes, number_in_a_row_changes,
	        truth_in_a_row_changes, number_in_a_list_changes, message_in_a_row_changes,
	        bytes_change, bytes_are_fewer, message_goes};

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		Tether__Hello *one = word_make(), *other = word_make();

		assert_true(message_equal(&one->base, &other->base));
		changes[i](other);
		if (message_equal(&one->base, &other->base) ||
		        message_equal(&other->base, &one->base))
			fail_msg("change %zu", i);
		tether__hello__free_unpacked(one, NULL);
		tether__hello__free_unpacked(other, NULL);
	}
}

static void of_a_frame_that_counts_which_it_carries(void **state)
{
	Tether__Frame one = TETHER__FRAME__INIT, other = TETHER__FRAME__INIT;
	Tether__Hello *hello = word_make(), *same = word_make();
	Tether__Answer answer = TETHER__ANSWER__INIT;

	assert_true(message_equal(&one.base, &other.base));
	one.body_case = other.body_case = TETHER__FRAME__BODY_HELLO;
	one.hello = hello;
	other.hello = same;
	assert_true(message_equal(&one.base, &other.base));
	same->epoch = 1;
	assert_false(message_equal(&one.base, &other.base));
	other.body_case = TETHER__FRAME__BODY_ANSWER;
	other.answer = &answer;
	assert_false(message_equal(&one.base, &other.base));
	tether__hello__free_unpacked(hello, NULL);
	tether__hello__free_unpacked(same, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(whatever_changes_is_seen),
	        cmocka_unit_test(of_a_frame_that_counts_which_it_carries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
