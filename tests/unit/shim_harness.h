/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Two ends of a connection in one process, over the fake HCA, and the root of a migration: sends
 * events to the rooms under test and hands the answers' tables on, as tether-smd does.
 */
#ifndef TEST_SHIM_HARNESS_H
#define TEST_SHIM_HARNESS_H

#include <infiniband/verbs.h>
#include <stdio.h>

#include "tests/unit/shim_end_work.h"
#include "tests/unit/shim_ends.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_hca.h"
#include "tests/unit/shim_harness_agent.h"
#include "tether.pb-c.h"

#define DONE    TETHER__OUTCOME__OUTCOME_DONE
#define REFUSED TETHER__OUTCOME__OUTCOME_REFUSED
#define FAILED  TETHER__OUTCOME__OUTCOME_FAILED

struct harness {
	struct end vm, peer;
	enum ibv_qp_type type; /* 0: RC */
	bool with_srq, with_ex, with_channel, signal_all;
	bool moves_peer;    /* it is the other one's move, on whose device it stays */
	bool psns_are_dead; /* the devices' PSNs, and of nobody of whom more is known */
	bool vm_alone;      /* events are meant for the VM's processes only */
	bool address_stays, second_address, lacks_ipv4; /* shim_fake_hca.h */
	bool hides_gids; /* RECONNECT does not say what names stand for */
	bool ethernet;   /* ports without LIDs, and ends that know each other by: */
	enum harness_gids gids;
	uint32_t names[16]; /* by which the VM that moves is known then */
	unsigned name_count;
	uint64_t now_ms;
	uint32_t sequence;
	uint64_t migration;     /* PREPARE begins another */
	unsigned begun_again;   /* so often, each under a new epoch */
	Tether__Answer *answer; /* the last one */
	Tether__Answer *stopped, *settled, *attached;
	Tether__PathRows *paths;              /* for RECONNECT; the test's */
	struct ibv_wc wc[64];                 /* what harness_poll got */
	void (*meanwhile)(struct harness *h); /* each millisecond that passes */
};

/* Where the other end is. Kept from one harness to the next. */
enum harness_ends {
	ENDS_APART,
	ENDS_IN_VM,     /* opened by the same process once more */
	ENDS_ON_DEVICE, /* of the same open device */
	ENDS_COUNT
};
extern enum harness_ends harness_ends;
extern const char *const harness_ends_names[ENDS_COUNT];
/* The LID at which the VM has its peer. */
static inline uint16_t harness_peer_lid(void)
{
	return harness_ends == ENDS_APART ? FAKE_LID_PEER : FAKE_LID_VM;
}
/* Where its peer has the VM, or the name of its GID. */
uint32_t harness_vm_lid(const struct harness *h);
static inline bool harness_is_loopback(void)
{
	return harness_ends != ENDS_APART;
}

/* What ports there are, and on Ethernet which GIDs ends tell each other. Kept likewise. */
enum harness_links { LINK_INFINIBAND, LINK_ETHERNET, LINK_ETHERNET_OF_IPV4, LINK_COUNT };
extern enum harness_links harness_link;
extern const char *const harness_links_names[LINK_COUNT];

#define HARNESS_RUN_ON_EACH_LINK(tests)                                                            \
	({                                                                                         \
		int failed_ = 0;                                                                   \
		for (; harness_link < LINK_COUNT; harness_link++)                                  \
			failed_ += cmocka_run_group_tests_name(                                    \
			        harness_links_names[harness_link], tests, NULL, NULL);             \
		harness_link = 0;                                                                  \
		failed_;                                                                           \
	})

/* The tests once for each of these: the number that failed. */
#define HARNESS_RUN_WHEREVER_ENDS_ARE(tests)                                                       \
	({                                                                                         \
		int failed_ = 0;                                                                   \
		for (; harness_ends < ENDS_COUNT; harness_ends++)                                  \
			failed_ += cmocka_run_group_tests_name(                                    \
			        harness_ends_names[harness_ends], tests, NULL, NULL);              \
		failed_;                                                                           \
	})

/* And on each kind of port. */
#define HARNESS_RUN_WHEREVER_ON_EACH_LINK(tests)                                                   \
	({                                                                                         \
		int failed_on_ = 0;                                                                \
		for (; harness_link < LINK_COUNT; harness_link++) {                                \
			printf("# %s\n", harness_links_names[harness_link]);                       \
			harness_ends = 0;                                                          \
			failed_on_ += HARNESS_RUN_WHEREVER_ENDS_ARE(tests);                        \
		}                                                                                  \
		failed_on_;                                                                        \
	})

void harness_open(struct harness *h);
/* Where @gids has changed. */
void harness_choose_gids(struct harness *h);
/* Make and connect the queue pairs, both in RTS. */
void harness_connect(struct harness *h);
/* All of it, zeroed but for what is @wanted. */
void harness_begin(struct harness *h, struct harness wanted);
void harness_close(struct harness *h);

/* The same for cmocka: *state is the harness. */
int harness_setup(void **state);
int harness_setup_srq(void **state);
int harness_setup_channel(void **state);
int harness_setup_datagrams(void **state);
int harness_setup_unconnected(void **state);
int harness_teardown(void **state);

/* One event; its outcome. Time passes until it is answered, or its deadline has passed (NONE). */
Tether__Outcome harness_step(struct harness *h, Tether__Step step);
/* It has to be this one. */
void harness_expect(struct harness *h, Tether__Step step, Tether__Outcome outcome);
/* The same with another epoch or sequence. */
Tether__Outcome harness_event(struct harness *h, Tether__Event *event);
void harness_event_fill(struct harness *h, Tether__Event *event, Tether__Step step);
void harness_time_passes(struct harness *h, unsigned ms);
/* The reason of the last answer's first refusal; "" if there is none. */
const char *harness_reason(const struct harness *h);
void harness_forget_answers(struct harness *h);

/* Steps of which all have to be DONE: PREPARE to SETTLE. */
void harness_stop(struct harness *h);
/* ATTACH to RESUME, where the VM's device is now. */
void harness_arrive(struct harness *h);
/* RELEASE, the device to the next slot, and the arrival there. */
void harness_go_on(struct harness *h);
/* All of them. */
void harness_move(struct harness *h);

#endif
