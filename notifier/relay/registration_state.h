/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a registration room knows; shared by registration.c (what members ask, and the barriers),
 * registration_above.c (what the parent knows and is asked), registration_hello.c (who says HELLO,
 * to us and we to the parent), registration_partitions.c (who may not ask for what) and
 * registration_replies.c (what those who ask are told), and by nobody else.
 */
#ifndef TETHER_REGISTRATION_STATE_H
#define TETHER_REGISTRATION_STATE_H

#include "notifier/relay/barrier.h"
#include "notifier/relay/registration.h"
#include "notifier/relay/requests.h"

enum { ABOVE = 1 }; /* the one member of the set of what is acknowledged above */

struct registration {
	struct interest *held;
	struct interest *above;
	size_t interests_max, requests_max;
	uint64_t crowded;
	struct requests requests;
	struct barrier *barriers;
	uint32_t last_id;
	bool parent_is_up;
	const struct registration_outputs *outputs;
	void *owner;
};

/* registration_replies.c */
void request_reply(
        const struct registration *r, const struct request *request, Tether__Outcome outcome);
void request_say_held(const struct registration *r, struct request *request);
/* If it was said. */
void request_say_not_held(const struct registration *r, struct request *request);
void request_pass_down(const struct registration *r, const struct request *request,
        const Tether__InterestAnswer *answer);
/* Before there is one: it was @member's, under @number. */
void request_refuse(const struct registration *r, uint32_t member, uint32_t number,
        const char *reason, const char *text);

/* registration_above.c */
bool registration_knows_above(const struct registration *r, const struct address *address);
/* Takes @request, which is answered later. @is_new: nobody held its address before. */
void registration_ask_above(struct registration *r, struct request *request, bool is_new);
/* @member holds @address no more; where nobody else does, neither does the parent for us. */
void registration_let_go(struct registration *r, uint32_t member, const struct address *address);
void registration_drop_above(struct registration *r, const struct address *address);

/* registration_partitions.c */
const uint32_t *registration_pkeys(
        const struct registration *r, const struct address *address, size_t *count);
/* As far as is known here. */
bool request_may_talk(const struct registration *r, const struct request *request);
/* The parent has acknowledged the address, for somebody with whom the VM there may talk, too. */
bool request_is_known_above(const struct registration *r, const struct request *request);
void request_refuse_foreign(const struct registration *r, const struct request *request);
/* Where @answer refuses one VM's process: those of other VMs that waited along are taken out, and
 * ask by themselves when it has been told. */
void registration_set_apart(
        struct registration *r, const Tether__InterestAnswer *answer, struct request_list *others);
void registration_ask_again(struct registration *r, struct request_list *others);

/* registration.c */
/* Takes @request: it is held, or carried out. */
void registration_take_up(struct registration *r, struct request *request);
/* Takes @request, which no barrier holds (any more). */
void registration_process(struct registration *r, struct request *request);
/* It is none, or of the member's own. */
bool registration_may_announce(const struct registration *r, uint32_t member, const char *asker,
        const struct address *address);
/* Why @address cannot be held beside what is (and *@text), whoever asks; NULL: it can. */
const char *registration_name_taken(
        const struct registration *r, const struct address *address, bool drop, const char **text);
/* NULL: @member may have @address as well, which it does not hold; else whose quota it is that is
 * full. */
const char *registration_full(const struct registration *r, uint32_t member, unsigned weight,
        const struct address *address);

#endif
