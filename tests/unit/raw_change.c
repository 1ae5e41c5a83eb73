/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A change over whatever the fabric has by then, forth and back; and the file that keeps it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sm-side/raw/change_file.h"
#include "sm-side/raw/change_left.h"

enum { SWITCH = 0x10, CA = 0x20, PORTS = 4, A = 5, B = 70, OTHER = 9 };

/* One switch with a CA at port 1 (LID A) and at port 2 (LID B). */
struct made {
	struct fabric_read *fabric;
	struct fabric_change change;
	char why[STALE_TEXT_BYTES];
};

static struct read_node *the_switch(struct made *m)
{
	return fabric_read_find(m->fabric, SWITCH);
}

static void lid_put(struct made *m, unsigned ca, uint16_t lid)
{
	uint8_t *info = fabric_read_find(m->fabric, CA + ca)->ports[1].info;

	info[16] = (uint8_t)(lid >> 8);
	info[17] = (uint8_t)lid;
}

static struct plan_change *set_add(struct made *m, uint32_t wave, uint16_t block)
{
	struct plan_sets *sets = &m->change.sets;
	struct plan_change *set = &sets->changes[sets->change_count++];

	*set = (struct plan_change){.switch_guid = SWITCH, .wave = wave, .block = block};
	memset(set->before, LFT_NO_PORT, LFT_BLOCK_LIDS);
	memset(set->after, LFT_NO_PORT, LFT_BLOCK_LIDS);
	if (wave >= sets->wave_count)
		sets->wave_count = wave + 1;
	return set;
}

static void entry_put(struct plan_change *set, uint16_t lid, uint8_t before, uint8_t after)
{
	set->before[lid % LFT_BLOCK_LIDS] = before;
	set->after[lid % LFT_BLOCK_LIDS] = after;
}

static int make(void **state)
{
	static const struct smp_node_info sw = {SMP_NODE_SWITCH, PORTS, 1, SWITCH, SWITCH};
	struct made *m = calloc(1, sizeof(*m));

	m->fabric = fabric_read_create();
	fabric_read_add(m->fabric, &sw, &(struct smp_route){0});
	fabric_read_make_lft(the_switch(m), 127);
	the_switch(m)->lft[A] = 1;
	the_switch(m)->lft[B] = 2;
	for (unsigned ca = 1; ca <= 2; ca++) {
		struct smp_node_info info = {SMP_NODE_CA, 1, 1, CA + ca, CA + ca};
		uint32_t index = fabric_read_add(m->fabric, &info, &(struct smp_route){0});

		m->fabric->nodes[index].ports[1].has_info = true;
		fabric_read_join(m->fabric, 0, (uint8_t)ca, index, 1);
		lid_put(m, ca, ca == 1 ? A : B);
	}
	m->change.hash = 0x1234;
	m->change.move_count = 1;
	m->change.slot_count = 2;
	m->change.slots = calloc(2, sizeof(*m->change.slots));
	m->change.slots[0] = (struct slot_change){{SWITCH, 1}, A, B};
	m->change.slots[1] = (struct slot_change){{SWITCH, 2}, B, A};
	m->change.sets.changes = calloc(8, sizeof(struct plan_change));
	*state = m;
	return 0;
}

static int unmake(void **state)
{
	struct made *m = *state;

	fabric_read_destroy(m->fabric);
	fabric_change_clear(&m->change);
	free(m);
	return 0;
}

/* Two waves, as an order may want it; the blocks are those of A and of B. */
static void two_blocks(struct made *m)
{
	entry_put(set_add(m, 0, A / LFT_BLOCK_LIDS), A, 1, 2);
	entry_put(set_add(m, 1, B / LFT_BLOCK_LIDS), B, 2, 1);
}

static void write_all(struct made *m, const struct change_left *left)
{
	for (uint32_t i = 0; i < left->sets.change_count; i++) {
		const struct plan_change *set = &left->sets.changes[i];
		uint8_t *at = the_switch(m)->lft + (size_t)set->block * LFT_BLOCK_LIDS;

		assert_memory_equal(at, set->before, LFT_BLOCK_LIDS);
		memcpy(at, set->after, LFT_BLOCK_LIDS);
	}
	for (uint32_t i = 0; i < left->slot_count; i++)
		lid_put(m, left->slots[i].place.port, left->slots[i].after);
}

static void check_left(
        struct made *m, enum change_direction direction, uint32_t sets, uint32_t slots)
{
	struct change_left left = {0};

	assert_int_equal(change_left(&m->change, direction, m->fabric, &left, m->why), 0);
	assert_int_equal(left.sets.change_count, sets);
	assert_int_equal(left.slot_count, slots);
	change_left_clear(&left);
}

static void carry_out(struct made *m, enum change_direction direction)
{
	struct change_left left = {0};

	assert_int_equal(change_left(&m->change, direction, m->fabric, &left, m->why), 0);
	write_all(m, &left);
	change_left_clear(&left);
	check_left(m, direction, 0, 0);
}

static void check_stale(struct made *m, int error, const char *part)
{
	struct change_left left = {0};

	assert_int_equal(change_left(&m->change, CHANGE_FORTH, m->fabric, &left, m->why), error);
	assert_non_null(strstr(m->why, part));
	assert_int_equal(change_left(&m->change, CHANGE_BACK, m->fabric, &left, m->why), error);
	assert_non_null(strstr(m->why, part));
}

static void a_change_is_carried_out_and_taken_back(void **state)
{
	struct made *m = *state;

	two_blocks(m);
	check_left(m, CHANGE_BACK, 0, 0);
	check_left(m, CHANGE_FORTH, 2, 2);
	carry_out(m, CHANGE_FORTH);
	assert_int_equal(the_switch(m)->lft[A], 2);
	assert_int_equal(the_switch(m)->lft[B], 1);
	check_left(m, CHANGE_BACK, 2, 2);
	carry_out(m, CHANGE_BACK);
	assert_int_equal(the_switch(m)->lft[A], 1);
	assert_int_equal(the_switch(m)->lft[B], 2);
	check_left(m, CHANGE_FORTH, 2, 2);
}

static void back_goes_through_the_waves_in_reverse(void **state)
{
	struct made *m = *state;
	struct change_left left = {0};

	two_blocks(m);
	carry_out(m, CHANGE_FORTH);
	assert_int_equal(change_left(&m->change, CHANGE_BACK, m->fabric, &left, m->why), 0);
	assert_int_equal(left.sets.changes[0].wave, 0);
	assert_int_equal(left.sets.changes[0].block, B / LFT_BLOCK_LIDS);
	assert_int_equal(left.sets.changes[1].wave, 1);
	assert_int_equal(left.sets.changes[1].block, A / LFT_BLOCK_LIDS);
	change_left_clear(&left);
}

static void half_of_it_is_gone_on_with_or_taken_back(void **state)
{
	struct made *m = *state;

	two_blocks(m);
	the_switch(m)->lft[A] = 2;
	lid_put(m, 2, A);
	check_left(m, CHANGE_FORTH, 1, 1);
	check_left(m, CHANGE_BACK, 1, 1);
	carry_out(m, CHANGE_BACK);
	assert_int_equal(the_switch(m)->lft[A], 1);
}

static void what_others_have_changed_in_the_same_block_stays(void **state)
{
	struct made *m = *state;

	two_blocks(m);
	carry_out(m, CHANGE_FORTH);
	the_switch(m)->lft[OTHER] = 3;
	carry_out(m, CHANGE_BACK);
	assert_int_equal(the_switch(m)->lft[OTHER], 3);
	assert_int_equal(the_switch(m)->lft[A], 1);
}

/* Drop first: the route leads nowhere, then to the new place. */
static void dropped(struct made *m)
{
	entry_put(set_add(m, 0, A / LFT_BLOCK_LIDS), A, 1, LFT_NO_PORT);
	entry_put(set_add(m, 1, A / LFT_BLOCK_LIDS), A, LFT_NO_PORT, 2);
	m->change.sets.pause_after_wave_0 = true;
}

static void a_block_that_is_written_twice_is_taken_back_twice(void **state)
{
	struct made *m = *state;
	struct change_left left = {0};

	dropped(m);
	check_left(m, CHANGE_FORTH, 2, 2);
	carry_out(m, CHANGE_FORTH);
	assert_int_equal(the_switch(m)->lft[A], 2);
	assert_int_equal(change_left(&m->change, CHANGE_BACK, m->fabric, &left, m->why), 0);
	assert_int_equal(left.sets.change_count, 2);
	assert_int_equal(left.sets.changes[0].after[A], LFT_NO_PORT);
	assert_int_equal(left.sets.changes[1].after[A], 1);
	assert_true(left.sets.pause_after_wave_0);
	write_all(m, &left);
	change_left_clear(&left);
	assert_int_equal(the_switch(m)->lft[A], 1);
}

static void from_between_the_two_writes_either_way_is_open(void **state)
{
	struct made *m = *state;

	dropped(m);
	the_switch(m)->lft[A] = LFT_NO_PORT;
	check_left(m, CHANGE_FORTH, 1, 2);
	check_left(m, CHANGE_BACK, 1, 0);
}

static void an_entry_of_somebody_elses_is_stale(void **state)
{
	struct made *m = *state;

	two_blocks(m);
	the_switch(m)->lft[A] = 4;
	check_stale(m, -ESTALE, "port 4 for LID 5");
}

static void a_lid_of_somebody_elses_is_stale(void **state)
{
	struct made *m = *state;

	two_blocks(m);
	lid_put(m, 1, OTHER);
	check_stale(m, -ESTALE, "LID 9");
}

static void who_is_not_there_is_named(void **state)
{
	struct made *m = *state;

	two_blocks(m);
	m->change.slots[1].place.port = 3;
	check_stale(m, -ENOENT, "port 3");
	m->change.sets.changes[1].switch_guid = SWITCH + 1;
	check_stale(m, -ENOENT, "0x0000000000000011");
}

static void a_file_is_read_as_it_was_written(void **state)
{
	struct made *m = *state;
	char path[] = "/tmp/raw-change-XXXXXX";
	struct fabric_change read;
	const char *why;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	dropped(m);
	m->change.order = PLAN_DROP_FIRST;
	m->change.reach = PLAN_MINIMUM;
	assert_int_equal(change_file_write(path, &m->change), -EEXIST);
	unlink(path);
	assert_int_equal(change_file_write(path, &m->change), 0);
	assert_int_equal(change_file_read(path, &read, &why), 0);
	unlink(path);
	assert_int_equal(read.hash, m->change.hash);
	assert_int_equal(read.order, PLAN_DROP_FIRST);
	assert_int_equal(read.reach, PLAN_MINIMUM);
	assert_int_equal(read.slot_count, 2);
	assert_memory_equal(read.slots, m->change.slots, 2 * sizeof(*read.slots));
	assert_int_equal(read.sets.change_count, 2);
	assert_int_equal(read.sets.wave_count, 2);
	assert_true(read.sets.pause_after_wave_0);
	assert_memory_equal(read.sets.changes[1].after, m->change.sets.changes[1].after, 64);
	fabric_change_clear(&read);
	assert_int_equal(change_file_read(path, &read, &why), -ENOENT);
}

static char *text_of(const struct fabric_change *change)
{
	struct json_object *whole = change_to_json(change);
	char *text = strdup(json_object_to_json_string_ext(whole, JSON_C_TO_STRING_PLAIN));

	json_object_put(whole);
	return text;
}

static void check_refused(const char *what, const char *text, size_t length)
{
	struct fabric_change read;
	const char *why = NULL;

	if (!change_parse(text, length, &read, &why))
		fail_msg("%s is taken", what);
	assert_non_null(why);
}

/* Any bit that flips is noticed, but where it makes another spelling of the same. */
static void a_damaged_file_is_refused(void **state)
{
	struct made *m = *state;
	char *text;

	two_blocks(m);
	text = text_of(&m->change);
	for (size_t length = 0; length < strlen(text); length++)
		check_refused("a part of a file", text, length);
	for (char *at = strstr(text, "\"slots\""); *at; at++) {
		char kept = *at;

		*at = kept == '1' ? '2' : kept == '2' ? '1' : kept;
		if (*at != kept)
			check_refused("another digit", text, strlen(text));
		*at = kept;
	}
	free(text);
	check_refused("nothing", "", 0);
	check_refused("another's", "{\"moves\":1}", 11);
}

static void sets_out_of_order_are_refused(void **state)
{
	struct made *m = *state;
	char *text;

	entry_put(set_add(m, 1, 0), A, 1, 2);
	entry_put(set_add(m, 0, 1), B, 2, 1);
	text = text_of(&m->change);
	check_refused("sets out of order", text, strlen(text));
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
	        TEST(a_change_is_carried_out_and_taken_back),
	        TEST(back_goes_through_the_waves_in_reverse),
	        TEST(half_of_it_is_gone_on_with_or_taken_back),
	        TEST(what_others_have_changed_in_the_same_block_stays),
	        TEST(a_block_that_is_written_twice_is_taken_back_twice),
	        TEST(from_between_the_two_writes_either_way_is_open),
	        TEST(an_entry_of_somebody_elses_is_stale),
	        TEST(a_lid_of_somebody_elses_is_stale),
	        TEST(who_is_not_there_is_named),
	        TEST(a_file_is_read_as_it_was_written),
	        TEST(a_damaged_file_is_refused),
	        TEST(sets_out_of_order_are_refused),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
