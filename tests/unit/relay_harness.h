/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A relay without links: what it says is written down as text, one line a frame, and compared:
 * "vm1/1.1 < STOP.1 vm" went down to that process, "> STOP.1 DONE ..." went up.
 */
#ifndef TETHER_TESTS_RELAY_HARNESS_H
#define TETHER_TESTS_RELAY_HARNESS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/relay/interest.h"
#include "notifier/relay/relay.h"
#include "notifier/wire/rows.h"

/* What all processes call themselves, and what they are to the kernel: they are in a container. */
enum { LINKS = 64, DEADLINE_MS = 1000, SAID_PID = 4711, KERNEL_PID = 94711 };

struct test {
	struct relay *relay;
	uint64_t now_ms;
	struct {
		uint32_t link;
		char name[32];
	} links[LINKS];
	size_t links_count;
	char said[8192];
	uint64_t epoch_saved;
	int epoch_save_error;
	uint64_t epoch_welcomed; /* of the last HelloAnswer to a child */
	bool acknowledge;        /* play a parent that acknowledges each registration at once */
	bool order_at_once;
	uint64_t takes_part_in; /* what the next HELLO names as open */
	uint64_t *open;         /* and all of them */
	size_t open_count;
	bool says_welcome; /* a HELLO that is accepted is written down, too */
	uint32_t version;  /* what a HELLO says of the protocol: the oldest */
	uint32_t newest;   /* 0: no other */
	uint32_t spoken;   /* by the last HelloAnswer to a child */
	char refused[256]; /* the sentence of the last HELLO that was refused */
	struct {
		uint32_t pid, forked_by;
		const char *program;
	} holders[4];      /* of any VM's device; pid 0: no more */
	uint32_t reserved; /* what a HELLO says is taken; 0: nothing */
	uint32_t last_deadline_ms;
	uint32_t last_request;
	char last_asker[32];     /* whose VM's, of the last Interest that went up */
	uint32_t says_pkeys[2];  /* what the parent says of an address that it acknowledges; 0: no
	                            more */
	const char *asker;       /* what a host's Interest says of its VM */
	uint32_t told_pkeys;     /* how many the last InterestAnswer to a child had */
	size_t places_told;      /* to children */
	size_t frame_bytes_most; /* of what children were told */
};

struct test *test_create(Tether__Role role, const char *name);
int host_relay(void **state);
int root_relay(void **state);
int guest_relay(void **state);
int teardown(void **state);
void forget(struct test *t);
uint32_t link_add(struct test *t, const char *vm, const char *name);
uint32_t guest_link_add(struct test *t, const char *vm, const char *name);
int say_hello(struct test *t, uint32_t link, Tether__Role role, const char *name, const char *vms,
        const uint32_t *lids, size_t lids_count);
/* A process of @vm, or (NULL) a host, that said HELLO with one address; 0: none. */
uint32_t child(struct test *t, const char *vm, const char *name, uint32_t lid);
/* The agent in @vm, which may be named "". */
uint32_t guest_of(struct test *t, const char *vm, const char *name);
uint32_t host(struct test *t, const char *name, const char *vms, uint32_t lid);
Tether__Answer answer_to(Tether__Step step, uint32_t sequence, Tether__Outcome outcome);
int answer_send(struct test *t, uint32_t link, Tether__Answer *answer);
void done(struct test *t, uint32_t link, Tether__Step step, uint32_t sequence);
void interest(struct test *t, uint32_t link, uint32_t request, uint32_t lid, bool drop);
/* As for an address handle. */
void ask_datagrams(struct test *t, uint32_t link, uint32_t request, uint32_t lid);
/* It has heard one from there. */
void ask_whose_datagram(struct test *t, uint32_t link, uint32_t request, uint32_t lid);
/* A queue pair of the child's own, with its context. */
void announce(
        struct test *t, uint32_t link, uint32_t request, const struct address *own, bool drop);
void pass(struct test *t, uint64_t ms);
void registered(struct test *t, uint32_t request, Tether__Outcome outcome);
void refused_above(struct test *t, uint32_t request, const char *reason);
void order_done(struct test *t, Tether__Step step, uint32_t sequence, uint32_t status);
int hello_answered(struct test *t, uint64_t epoch);

struct event_args {
	Tether__Step step;
	uint32_t sequence;
	uint64_t epoch;
	uint64_t migration;
	const char *vm;
	uint32_t lid;
	bool to_vm, to_peers;
	const char *expected[4];
	const char *order_host;
	bool attaches; /* the order brings the device; else it takes it */
	bool resume_follows;
	bool alone;   /* no step follows the order */
	bool of_none; /* of no migration */
	uint32_t overall_ms;
	Tether__QpRows *qps;
	/* Under Shared Port: where it was, and comes to. 0: it is behind a vSwitch. */
	uint32_t known_lid, new_lid;
	uint32_t second_lid; /* of its second VF; 0: it has none */
	uint32_t pkeys[2];   /* of the VM; 0: no more */
	uint32_t needs;      /* version of the protocol */
};
void event_send(struct test *t, const struct event_args *args);

/* Where a VM is, by the root. */
struct place_args {
	const char *vm, *host, *next;
	uint32_t lids[2], pkeys[2]; /* 0: no more */
	bool unlocated, shared_port, at_rest;
};
void place_say(struct test *t, const struct place_args *args);
#define PLACE(t, ...)    place_say(t, &(struct place_args){__VA_ARGS__})
#define EVENT(t, ...)    event_send(t, &(struct event_args){__VA_ARGS__})
#define STOPPED(t, link) done(t, link, TETHER__STEP__STEP_STOP, 1)
#define PREPARE          TETHER__STEP__STEP_PREPARE

/* All that was said since the last time. */
#define EXPECT(t, text)                                                                            \
	do {                                                                                       \
		assert_string_equal((t)->said, text);                                              \
		(t)->said[0] = 0;                                                                  \
	} while (0)

#define HOST_TEST(name)  cmocka_unit_test_setup_teardown(name, host_relay, teardown)
#define ROOT_TEST(name)  cmocka_unit_test_setup_teardown(name, root_relay, teardown)
#define GUEST_TEST(name) cmocka_unit_test_setup_teardown(name, guest_relay, teardown)

#endif
