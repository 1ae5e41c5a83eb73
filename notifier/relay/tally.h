/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One event's answers: who has to answer, who has, and the one answer that all of theirs make.
 * Pure; belongs to one relay and its thread. Participants are known by name, since a child that
 * lost its link comes back as another link but under the same name.
 */
#ifndef TETHER_TALLY_H
#define TETHER_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notifier/relay/name_index.h"
#include "notifier/wire/answer.h"

struct roster;
struct tally;

/*
 * @prefix stands before each `who` ("hyp1"; "" for none) and is copied. @roster has the names that
 * the event expects, and is held; NULL: none. NULL: no memory.
 */
struct tally *tally_create(const struct event_key *key, const char *prefix, struct roster *roster);
void tally_destroy(struct tally *tally);
const struct event_key *tally_key(const struct tally *tally);

/* The names that the event expects, each once, and in its order: from 1 to that number. */
uint32_t tally_named_count(const struct tally *tally);
const char *tally_named(const struct tally *tally, uint32_t at);
/* Those of @vm, until 0. */
uint32_t tally_named_of(const struct tally *tally, const struct name *vm);
uint32_t tally_named_next(const struct tally *tally, uint32_t at);

/*
 * @name has to answer. A child that gets the event is `handed`; a name that the event expects may
 * also be answered for by another's answer that lists it (a relay between) as one that has
 * answered, is missing or has ended. Repeating is harmless. -ENOMEM.
 */
int tally_expect(struct tally *tally, const char *name);
void tally_expect_named(struct tally *tally, uint32_t at);
int tally_hand(struct tally *tally, const char *name);
/* It is handed the event and not waited for: its answer counts if it comes while others are. */
int tally_pass_over(struct tally *tally, const char *name);
/* Handed the event and not yet answered. */
bool tally_awaits(const struct tally *tally, const char *name);
bool tally_has_answered(const struct tally *tally, const char *name);
/* @name has to answer and has not been handed the event. */
bool tally_expects(const struct tally *tally, const char *name);
/* Some name of @vm ("VM/...") does. */
bool tally_expects_vm(const struct tally *tally, const struct name *vm);
/* @name has to answer, has answered, or was to. */
bool tally_knows(const struct tally *tally, const char *name);
/* What @name was handed it has not kept: it has to be handed it again. */
void tally_take_back(struct tally *tally, const char *name);
/* The process @name has ended; the answer says so, if it was to answer. -ENOMEM: it is missing. */
int tally_end(struct tally *tally, const char *name);
/* @name is somewhere else: it is neither waited for nor missing, unless somebody tells of it. */
void tally_forget(struct tally *tally, const char *name);
/* The same for names of @vm ("VM/...") that are expected and have not been handed the event. */
void tally_forget_vm(struct tally *tally, const struct name *vm);
/* These will not be answered for: they are missing. -ENOMEM */
int tally_miss_vm(struct tally *tally, const struct name *vm);

/*
 * Take the answer of @name. @label stands for `who` in a refusal that names nobody. With
 * @is_process the answer speaks for @name alone, whatever it lists. 0: taken; -EALREADY: the first
 * one counts; -ENOENT: it was not asked; -ENOMEM. A malformed answer (an unknown outcome, a table
 * with unequal columns) is taken as FAILED with a refusal that says so.
 */
int tally_take(struct tally *tally, const char *name, const char *label, bool is_process,
        const Tether__Answer *answer);

/* The relay itself has something to say: worsen the outcome, with a refusal. -ENOMEM */
int tally_note(struct tally *tally, Tether__Outcome outcome, const char *reason, const char *text);

/* Nobody has asked @label, and it is refused for it. -ENOMEM */
int tally_refuse(struct tally *tally, const char *label, const char *reason, const char *text);

/* Why @label did not answer. -ENOMEM */
int tally_blame(struct tally *tally, const char *label, const char *reason, const char *text);

/* So many names are known to have answered, or to have ended. */
size_t tally_told(const struct tally *tally);

/* Everybody has answered. */
bool tally_complete(const struct tally *tally);

/*
 * The one answer; with participants still awaited it is PARTIAL and names them. It is the tally's,
 * which can only be destroyed then. NULL: no memory. An answer that would not fit a frame becomes
 * FAILED, without its tables.
 */
const Tether__Answer *tally_finish(struct tally *tally);

#endif
