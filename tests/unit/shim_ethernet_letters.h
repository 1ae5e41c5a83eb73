/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Letters between Ethernet ports, where the header in front of a datagram says who has sent it. */
#ifndef TEST_SHIM_ETHERNET_LETTERS_H
#define TEST_SHIM_ETHERNET_LETTERS_H

#include "tests/unit/shim_letters.h"

/* Tests whose ends know each other by GIDs of one kind or the other, with a shared receive queue,
 * or all of these. */
#define ON_ETHERNET(name, setup)                                                                   \
	cmocka_unit_test_setup_teardown(name, setup, ethernet_letters_teardown)
#define LINK_LOCAL(name) ON_ETHERNET(name, ethernet_letters_setup_link_local)
#define IPV4(name)       ON_ETHERNET(name, ethernet_letters_setup_ipv4)
#define SHARED(name)     ON_ETHERNET(name, ethernet_letters_setup_srq)
#define EACH(name)       LINK_LOCAL(name), IPV4(name), SHARED(name)

/* *state is the harness: UD, what is @wanted besides, and somebody to ask, who knows of nothing. */
int ethernet_letters_begin(void **state, struct harness wanted);
int ethernet_letters_setup_link_local(void **state);
int ethernet_letters_setup_ipv4(void **state);
int ethernet_letters_setup_srq(void **state);
int ethernet_letters_teardown(void **state);
/* What this process has learned of names. */
void ethernet_letters_forget(void);

const uint8_t *header_at(const struct end *end, uint64_t slot);
/* What was polled last has come from @other, which is called as it calls itself. */
void expect_header_of(
        struct harness *h, const struct end *end, const struct end *other, uint64_t slot);
/* It is letter @n. */
void expect_from(
        struct harness *h, struct end *end, const struct end *other, uint64_t slot, uint64_t n);
void says(struct harness *h, struct end *from, struct end *to, uint64_t n);
void both_hear_each_other(struct harness *h);

#endif
