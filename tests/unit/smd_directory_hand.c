/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/smd_directory_hand.h"

#include <stdio.h>
#include <string.h>

enum { SLOTS = 32 };

struct directory *directory;
static char heard[1024]; /* refused claims, one behind the other */

static void note(char *into, const struct directory_claim *claim)
{
	static const char *const things[] = {
	        [DIRECTORY_VM] = "", [DIRECTORY_PLACE] = "@", [DIRECTORY_GUID] = "#"};
	size_t length = strlen(into);

	snprintf(into + length, sizeof(heard) - length, "%s:%s%s>%s ", claim->host,
	        things[claim->thing], claim->name, claim->holder);
}

static void refused(void *owner, const struct directory_claim *claim)
{
	note(owner, claim);
}

static const struct directory_outputs outputs = {.refused = refused};

int directory_make(void **state)
{
	*heard = '\0';
	directory = directory_create(&outputs, heard);
	return directory ? 0 : -1;
}

int directory_unmake(void **state)
{
	directory_destroy(directory);
	return 0;
}

const char *news(void)
{
	static char last[sizeof(heard)];

	memcpy(last, heard, sizeof(heard));
	*heard = '\0';
	return last;
}

void says_slots(const char *host, const char *vms, size_t slots, const uint64_t *places,
        const uint64_t *guids)
{
	Tether__HostVm vm[SLOTS], *vm_at[SLOTS];
	Tether__Slot slot[SLOTS], *slot_at[SLOTS];
	char names[SLOTS][8], copy[128], *rest = copy, *name;
	size_t count = 0;

	snprintf(copy, sizeof(copy), "%s", vms);
	while ((name = strsep(&rest, " ")))
		if (*name) {
			vm_at[count] = &vm[count];
			tether__host_vm__init(&vm[count]);
			vm[count++].name = name;
		}
	for (size_t i = 0; i < slots; i++) {
		snprintf(names[i], sizeof(names[i]), "vf%zu", i);
		slot_at[i] = &slot[i];
		tether__slot__init(&slot[i]);
		slot[i].name = names[i];
		slot[i].switch_guid = places[i] ? 0x100 : 0;
		slot[i].switch_port = (uint32_t)places[i];
		slot[i].port_guid = guids[i];
	}
	assert_int_equal(directory_host_here(directory, host, true), 0);
	assert_int_equal(directory_host_says(directory, host, vm_at, count, slot_at, slots), 0);
}

void says(const char *host, const char *vms)
{
	says_slots(host, vms, 0, NULL, NULL);
}

void says_slot(const char *host, uint64_t place, uint64_t guid)
{
	says_slots(host, "", 1, &place, &guid);
}

const char *vms_of(const char *host)
{
	static char text[256];
	struct directory_view view;

	*text = '\0';
	assert_int_equal(directory_view(directory, host, &view), 0);
	for (size_t i = 0; i < view.vm_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
		        view.vms[i]->name);
	directory_view_clear(&view);
	return text;
}

size_t slots_of(const char *host)
{
	struct directory_view view;
	size_t count;

	assert_int_equal(directory_view(directory, host, &view), 0);
	count = view.slot_count;
	directory_view_clear(&view);
	return count;
}

const char *claims(void)
{
	static char text[sizeof(heard)];

	*text = '\0';
	directory_claims(directory, (void (*)(void *, const struct directory_claim *))note, text);
	return text;
}

static char told[512];

static void tell(void *context, const struct directory_place *place)
{
	size_t length = strlen(told);

	snprintf(told + length, sizeof(told) - length, "%s@%s+%s%s%zu/%zu ", place->vm, place->host,
	        place->next, place->located ? "!" : "?", place->lid_count, place->pkey_count);
}

const char *places(void)
{
	*told = '\0';
	directory_news(directory, tell, NULL);
	directory_tidy(directory);
	return told;
}
