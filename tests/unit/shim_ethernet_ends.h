/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two ends of a connection whose ports are Ethernet. */
#ifndef TEST_SHIM_ETHERNET_ENDS_H
#define TEST_SHIM_ETHERNET_ENDS_H

#include "notifier/wire/rows.h"
#include "tests/unit/shim_fake_ethernet.h"
#include "tests/unit/shim_harness.h"

#define CONNECTED(test)                                                                            \
	cmocka_unit_test_setup_teardown(test, ethernet_setup_connected, ethernet_teardown)
#define UNCONNECTED(test) cmocka_unit_test_setup_teardown(test, ethernet_setup, ethernet_teardown)

/* They know each other by their link-local GIDs. */
extern struct harness h;

int ethernet_setup(void **state);
int ethernet_setup_connected(void **state);
/* Nothing is left announced. */
int ethernet_teardown(void **state);

uint32_t name_of(union ibv_gid gid);
/* The number of the place where the VM is, of which GIDs are made. */
unsigned vm_host(void);
/* The real queue pair, as its device has it. */
void expect_leads_to(const struct end *from, union ibv_gid gid);
void expect_comes_from(const struct end *from, union ibv_gid gid);
void carry_data_both_ways(struct end *a, struct end *b);
/* That of @end at @lid, which has to be there. */
struct qp_row row_of(const Tether__QpRows *rows, const struct end *end, uint32_t lid);
/* From RESET. 0 or an errno. */
int end_to_rtr(struct end *end, const struct end *to);

#endif
