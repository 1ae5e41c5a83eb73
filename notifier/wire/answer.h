/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Answers to events as they are made: which event is meant, why the outcome is what it is, tables.
 * Any thread. What is added to an answer is the answer's, and freed with it by
 * tether__answer__free_unpacked.
 */
#ifndef TETHER_ANSWER_H
#define TETHER_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct event_key {
	uint64_t migration;
	uint64_t epoch;
	Tether__Step step;
	uint32_t sequence;
};

struct event_key event_key(const Tether__Event *event);
struct event_key answer_key(const Tether__Answer *answer);
bool event_key_equal(struct event_key a, struct event_key b);

/* As they stand in logs and fault points: "PREPARE", "DONE"; "?" for what this version does not
 * know. */
const char *step_name(Tether__Step step);
const char *outcome_name(Tether__Outcome outcome);

/* DONE, and nothing else yet; in the caller's frame. */
void answer_begin(Tether__Answer *answer, struct event_key to);
/* The same, for the caller to free. NULL: no memory. */
Tether__Answer *answer_create(struct event_key to);

/* @reason is a name, @text a sentence; the outcome stays as it is. -ENOMEM. */
int refusal_add(Tether__Answer *answer, const char *who, const char *reason, const char *text);

/* What the answer has of these, empty at first. NULL: no memory. */
Tether__EvidenceRows *answer_evidence(Tether__Answer *answer);
Tether__QpRows *answer_qps(Tether__Answer *answer);
Tether__KeyRows *answer_keys(Tether__Answer *answer);
Tether__GidRows *answer_gids(Tether__Answer *answer);
Tether__Counts *answer_counts(Tether__Answer *answer);

/* What STOP says of sent datagrams shortens a wait and is no more: it makes room for the rest. */
void answer_drop_sent(Tether__Answer *answer);

/* It fits a frame. */
bool answer_is_sendable(const Tether__Answer *answer);

#endif
