/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Two ends whose completion queues stamp, over fake HCAs that have clocks, and what an application
 * sees of those.
 */
#ifndef TEST_SHIM_STAMPED_ENDS_H
#define TEST_SHIM_STAMPED_ENDS_H

#include <stdint.h>
#include <time.h>

#include "tests/unit/shim_fake_clocks.h"
#include "tests/unit/shim_harness.h"

enum { MOVES = 6, NS_PER_S = 1000000000 };

/* Tests from the ordinary first device; and of each kind that one may be. */
#define TEST(name) cmocka_unit_test_setup_teardown(name, stamped_setup, stamped_teardown)
#define FROM(name, kind)                                                                           \
	{                                                                                          \
#name "_from_a_" #kind "_one", name, stamped_setup_##kind, stamped_teardown, NULL  \
	}
#define OF_EACH(name) TEST(name), FROM(name, narrow), FROM(name, fast)

/* For cmocka: *state is the harness. */
int stamped_setup(void **state);
int stamped_setup_narrow(void **state);
int stamped_setup_fast(void **state);
int stamped_setup_events(void **state);
int stamped_teardown(void **state);

/* NULL and errno, where the device lacks something of @wc_flags. */
struct ibv_cq_ex *make_cq_ex(struct end *end, uint64_t wc_flags);
/* Its queue, by one that stamps with both clocks. */
void replace_cq(struct end *end);

struct ibv_device_attr_ex attr_of(const struct end *end);
uint64_t clock_now(const struct end *end);
uint64_t host_ns(clockid_t clock);
/* The first device has gained on the host's clock since it came. */
void clock_gains(void);

/* As an application compares what may wrap. */
#define FOLLOWS(end, early, late)                                                                  \
	do {                                                                                       \
		uint64_t mask_ = attr_of(end).completion_timestamp_mask;                           \
                                                                                                   \
		assert_int_equal((late) & ~mask_, 0);                                              \
		assert_true((((late) - (early)) & mask_) <= mask_ / 2);                            \
	} while (0)

#endif
