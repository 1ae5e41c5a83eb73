/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/relay/interest.h"
#include "notifier/wire/gid_name.h"

static struct address lid(uint16_t number)
{
	return (struct address){.lid = number};
}

static struct address gid(uint8_t last)
{
	struct address address = {.gid = {0xfe, 0x80}};

	address.gid[15] = last;
	return address;
}

static struct address both(uint16_t number, uint8_t last)
{
	struct address address = gid(last);

	address.lid = number;
	return address;
}

static void held_is_found_by_what_it_is_held_under(void **state)
{
	const struct {
		const char *what;
		struct address held, asked;
		bool found;
	} rows[] = {
	        {"the same LID", lid(5), lid(5), true},
	        {"another LID", lid(5), lid(6), false},
	        {"the same GID", gid(1), gid(1), true},
	        {"another GID", gid(1), gid(2), false},
	        {"LID, asked with both", lid(5), both(5, 1), true},
	        {"GID, asked with both", gid(1), both(5, 1), true},
	        {"both, asked by LID", both(5, 1), lid(5), true},
	        {"both, same GID but another LID", both(5, 1), both(6, 1), false},
	        {"both, asked by GID alone", both(5, 1), gid(1), false},
	        {"GID, asked by LID", gid(1), lid(5), false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct interest *interest = interest_create();

		print_message("# %s\n", rows[i].what);
		assert_int_equal(interest_add(interest, 1, &rows[i].held), 2);
		assert_int_equal(interest_holds(interest, 1, &rows[i].asked), rows[i].found);
		assert_int_equal(interest_is_held(interest, &rows[i].asked), rows[i].found);
		assert_int_equal(address_matches(&rows[i].asked, &rows[i].held), rows[i].found);
		assert_false(interest_holds(interest, 2, &rows[i].asked));
		interest_destroy(interest);
	}
}

static void adding_and_dropping_say_who_is_first_and_last(void **state)
{
	struct interest *interest = interest_create();
	struct address a = lid(5);

	assert_int_equal(interest_add(interest, 1, &a), 2);
	assert_int_equal(interest_add(interest, 1, &a), 0);
	assert_int_equal(interest_add(interest, 2, &a), 1);
	assert_int_equal(interest_drop(interest, 3, &a), 0);
	assert_int_equal(interest_drop(interest, 1, &a), 1);
	assert_int_equal(interest_drop(interest, 1, &a), 0);
	assert_int_equal(interest_drop(interest, 2, &a), 2);
	assert_int_equal(interest_drop(interest, 2, &a), 0);
	assert_int_equal(interest_count(interest, 0), 0);
	interest_destroy(interest);
}

static void sum_up(void *context, const struct address *address)
{
	*(uint64_t *)context += address->lid;
}

static void many_are_kept_apart(void **state)
{
	enum { MEMBERS = 7, ADDRESSES = 3000 };
	struct interest *interest = interest_create();
	uint64_t sum = 0, wanted = 0;

	for (uint32_t i = 1; i <= ADDRESSES; i++) {
		struct address a = lid(i);

		assert_int_equal(interest_add(interest, 1 + i % MEMBERS, &a), 2);
	}
	assert_int_equal(interest_count(interest, 0), ADDRESSES);
	for (uint32_t i = 1; i <= ADDRESSES; i++) {
		struct address a = lid(i);

		for (uint32_t member = 1; member <= MEMBERS; member++)
			assert_int_equal(
			        interest_holds(interest, member, &a), member == 1 + i % MEMBERS);
		if (i % MEMBERS == 0)
			wanted += i;
	}
	interest_for_each(interest, 1, sum_up, &sum);
	assert_int_equal(sum, wanted);
	for (uint32_t i = 1; i <= ADDRESSES; i++) {
		struct address a = lid(i);

		assert_int_equal(interest_drop(interest, 1 + i % MEMBERS, &a), 2);
	}
	for (uint32_t member = 0; member <= MEMBERS; member++)
		assert_int_equal(interest_count(interest, member), 0);
	interest_destroy(interest);
}

/* An address that several members of a VM hold is one of its own; one that is held by nobody else
 * there comes and goes with its member. */
static void what_a_vm_holds_is_counted_as_its_members_come_and_go(void **state)
{
	enum { VMS = 3, OF_VM = 4, MEMBERS = VMS * OF_VM, ADDRESSES = 10, TURNS = 5000 };
	struct interest *interest = interest_create();
	bool held[MEMBERS][ADDRESSES] = {0};
	unsigned seed = 7;

	for (unsigned turn = 0; turn < TURNS; turn++) {
		unsigned chance = (seed = seed * 1103515245 + 12345) / 65536;
		unsigned who = chance % MEMBERS, what = chance / MEMBERS % ADDRESSES;
		uint32_t member = member_of(1 + who % VMS, 1 + who);
		struct address a = lid(1 + what);
		size_t different = 0, all = 0;

		if (held[who][what])
			assert_int_not_equal(interest_drop(interest, member, &a), 0);
		else
			assert_int_not_equal(interest_add(interest, member, &a), 0);
		held[who][what] = !held[who][what];
		for (unsigned i = 0; i < ADDRESSES; i++) {
			size_t holders = 0;

			for (unsigned other = who % VMS; other < MEMBERS; other += VMS)
				holders += held[other][i];
			different += holders > 0;
			all += holders;
			if (i == what)
				assert_int_equal(
				        interest_vm_holds(interest, member, &a), holders > 0);
		}
		assert_int_equal(interest_count_of_vm(interest, member, &a), different);
		assert_int_equal(interest_vm_holdings(interest, member), all);
	}
	interest_destroy(interest);
}

/* What one who knows it all but the key would try: GIDs that FNV-1a, folded, puts into one place.
 */
static struct address gid_chosen(uint32_t *at)
{
	struct address address = gid(0);
	uint64_t hash;

	do {
		++*at;
		memcpy(address.gid + 8, at, sizeof(*at));
		hash = 0xcbf29ce484222325ULL;
		for (size_t i = 0; i < sizeof(address.gid); i++)
			hash = (hash ^ address.gid[i]) * 0x100000001b3ULL;
	} while ((hash ^ hash >> 32) & 0xfff);
	return address;
}

/* Of queue pairs and contexts: numbers that leave the lower bits as they are. */
static struct address address_chosen(unsigned kind, uint32_t number, uint32_t *at)
{
	switch (kind) {
	case 0:
		return gid_chosen(at);
	case 1:
		return (struct address){.lid = 5, .qpn = number << 20};
	default:
		return (struct address){.lid = 5, .context = number << 20};
	}
}

static void chosen_addresses_do_not_share_one_place(void **state)
{
	enum { KINDS = 3, PLACES = 1 << 12, SHARE = 32 };

	for (unsigned kind = 0; kind < KINDS; kind++) {
		unsigned places[PLACES] = {0}, most = 0;
		uint32_t at = 0;

		for (uint32_t i = 0; i < PLACES; i++) {
			struct address address = address_chosen(kind, i + 1, &at);
			unsigned *place = &places[address_hash(&address) % PLACES];

			++*place;
			most = *place > most ? *place : most;
		}
		print_message("# kind %u: %u in one place\n", kind, most);
		assert_in_range(most, 1, SHARE);
	}
}

static void wire_addresses_are_checked(void **state)
{
	static uint8_t bytes[17] = {0xfe, 0x80}, zeros[16];
	const struct {
		const char *what;
		uint32_t lid;
		const uint8_t *gid;
		size_t length;
		int ret;
	} rows[] = {
	        {"a LID", 5, NULL, 0, 0},
	        {"a GID", 0, bytes, 16, 0},
	        {"both", 5, bytes, 16, 0},
	        {"nothing", 0, NULL, 0, -EINVAL},
	        {"a GID of zeros", 0, zeros, 16, -EINVAL},
	        {"a LID above 16 bits", 0x10005, NULL, 0, -EINVAL},
	        {"a short GID", 5, bytes, 15, -EINVAL},
	        {"a long GID", 5, bytes, 17, -EINVAL},
	};
	struct address address;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		Tether__Address wire = TETHER__ADDRESS__INIT, back;

		print_message("# %s\n", rows[i].what);
		wire.lid = rows[i].lid;
		wire.gid.data = (uint8_t *)rows[i].gid;
		wire.gid.len = rows[i].length;
		assert_int_equal(address_decode(&wire, &address), rows[i].ret);
		if (rows[i].ret)
			continue;
		address_encode(&address, &back);
		/* Without a LID it is at its GID's name. */
		assert_int_equal(back.lid, wire.lid ? wire.lid : gid_name(address.gid));
		assert_int_equal(back.gid.len, wire.gid.len);
	}
	assert_int_equal(address_decode(NULL, &address), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(held_is_found_by_what_it_is_held_under),
	        cmocka_unit_test(adding_and_dropping_say_who_is_first_and_last),
	        cmocka_unit_test(many_are_kept_apart),
	        cmocka_unit_test(what_a_vm_holds_is_counted_as_its_members_come_and_go),
	        cmocka_unit_test(chosen_addresses_do_not_share_one_place),
	        cmocka_unit_test(wire_addresses_are_checked),
	};

	return cmocka_run_group_tests_name("notifier_interest", tests, NULL, NULL);
}
