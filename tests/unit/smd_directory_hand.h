/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A directory by hand: what hosts say to it, and what is believed and told of that, as text. */
#ifndef TETHER_TESTS_SMD_DIRECTORY_HAND_H
#define TETHER_TESTS_SMD_DIRECTORY_HAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/directory/directory.h"

/* Each test's. */
extern struct directory *directory;

int directory_make(void **state);
int directory_unmake(void **state);
#define DIRECTORY_TEST(f) cmocka_unit_test_setup_teardown(f, directory_make, directory_unmake)

/* "vm1 vm2": these are its VMs. Of @slots that are named the place is @places[i], the GUID
 * @guids[i]. */
void says_slots(const char *host, const char *vms, size_t slots, const uint64_t *places,
        const uint64_t *guids);
void says(const char *host, const char *vms);
void says_slot(const char *host, uint64_t place, uint64_t guid);

/* The claims that were refused since the last call: "b:vm1>a ", where b says it and a has it. Of a
 * slot's place the name begins with @, of its GUID with #. */
const char *news(void);
/* The same of those that are not believed now. */
const char *claims(void);
/* The VMs that @host is believed to have, and how many slots. */
const char *vms_of(const char *host);
size_t slots_of(const char *host);
/* What is told of VMs since the last call: "vm1@a+b!1/2 " is a's and goes to b, is located, with 1
 * LID and 2 P_Keys. */
const char *places(void);

#endif
