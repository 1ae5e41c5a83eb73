/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Messages of one letter, over queue pairs that acknowledge nothing: UD and UC. */
#ifndef TEST_SHIM_LETTERS_H
#define TEST_SHIM_LETTERS_H

#include <stdint.h>

#include "tests/unit/shim_harness.h"

/* Tests of one kind or the other, or of both. */
#define UD(name)   cmocka_unit_test_setup_teardown(name, harness_setup_datagrams, harness_teardown)
#define UC(name)   cmocka_unit_test_setup_teardown(name, letters_setup_uc, harness_teardown)
#define BOTH(name) UD(name), UC(name)

enum { INBOX = 1024, LENGTH = 64, GRH = sizeof(struct ibv_grh) };

int letters_setup_uc(void **state);
/* wr_id n brings letter n into slot n of the other's inbox. */
int send_letter(struct end *from, uint64_t n, unsigned flags);
/* wr_id 50 + n, for any letter. */
void post_receive(struct end *end, uint64_t n);
/* It is in the receive of number @slot. */
void expect_letter(struct harness *h, struct end *end, uint64_t slot, uint64_t n);
/* One has gone from here to there: the device is seen to count on. */
void letter_has_gone(struct harness *h, struct end *from, struct end *to);
/* One that has gone is on its way when everybody has stopped, and comes before anybody moves. */
void letter_arrives_late(struct harness *h, struct end *from, struct end *to);
/* What SETTLE took of the harness's time; all steps are done. */
unsigned move_and_measure_settle(struct harness *h);
/* Another queue pair beside that of @end, for the same other end. */
struct end second_of(struct harness *h, const struct end *end, const struct end *to);
void second_end(struct end *second);
/* One list of two empty ones. */
int send_two(struct end *from, struct ibv_ah *first, struct ibv_ah *second);

#endif
