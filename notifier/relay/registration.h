/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Registrations of interest on their way to the root and back, and the barriers that hold them
 * while the VM that they are about moves. Pure; belongs to one relay and its thread. Keeps the
 * relay's set of interests: a member's address is in it from its registration on, and is known
 * above once the root has acknowledged it.
 *
 * `up` and `down` may be called from any call below that is not const; `up` may call back into this
 * room, `down` may not.
 */
#ifndef TETHER_REGISTRATION_H
#define TETHER_REGISTRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notifier/relay/interest.h"

struct registration;

struct request;

struct registration_outputs {
	void (*up)(void *owner, const Tether__Interest *interest);
	void (*down)(void *owner, uint32_t member, const Tether__InterestAnswer *answer);
	/* P_Keys of all VMs at @address; NULL: not known. Until the next call. */
	const uint32_t *(*pkeys)(void *owner, const struct address *address, size_t *count);
	/* It may announce @address as its own. @asker: whose process does; NULL: not said. */
	bool (*may_announce)(
	        void *owner, uint32_t member, const char *asker, const struct address *address);
	/* Who asks may talk to somebody with @pkeys. Not for the relay itself. */
	bool (*may_talk)(
	        void *owner, const struct request *request, const uint32_t *pkeys, size_t count);
};

/* What the members of a VM may have together, in quotas of one member. */
enum {
	VM_INTERESTS_TIMES = 4,  /* different ones */
	VM_HOLDINGS_TIMES = 256, /* the same by several is that many */
	VM_REQUESTS_TIMES = 16,
};

/* @interests_max and @requests_max are quotas per member; announcements have one of their own, four
 * times as many. */
struct registration *registration_create(size_t interests_max, size_t requests_max,
        const struct registration_outputs *outputs, void *owner);
void registration_destroy(struct registration *registration);

/* So often one was refused because of what others of its VM have. */
uint64_t registration_crowded(const struct registration *registration);

bool registration_holds(
        const struct registration *registration, uint32_t member, const struct address *address);

/*
 * What a member asks. It is told when that is held (NONE), and when it is not held any more and
 * there is nobody above to ask (PARTIAL). @weight: for so many it speaks, each with those quotas.
 * @vm: whose channel it came through, NULL: nobody's; kept until the member is gone. Who may not
 * talk to the VM at the address is refused (foreign-partition), who announces what is at another's
 * LID as well (foreign-lid), or a GID of another's (foreign-gid); and whoever asks for a GID whose
 * name is another one's already (gid-collision).
 */
void registration_take(struct registration *registration, uint32_t member, unsigned weight,
        const char *vm, const Tether__Interest *interest);

/*
 * The addresses and announcements of a member's HELLO. It held them before, so they are not held up
 * by a barrier; what it held and does not name any more is dropped, behind a barrier only when that
 * is lifted. What is beyond its quotas, or not its to announce, is left out. @vm: it is in that
 * one; NULL: announcements say themselves whose they are. @keep: another member of the same child,
 * which holds from now on the addresses that it does not name any more; 0: none. -EINVAL: a bad
 * address; -ENOMEM: nothing was changed.
 */
int registration_hello(struct registration *registration, uint32_t member, unsigned weight,
        const char *vm, Tether__Address *const *addresses, size_t count, uint32_t keep);
/* @member holds nothing any more, behind a barrier only when that is lifted. */
void registration_let_all_go(struct registration *registration, uint32_t member);

/* @member is the relay itself: nobody waits for an answer, and no barrier holds it. -ENOMEM */
int registration_own(struct registration *registration, uint32_t member,
        const struct address *address, bool drop);

/* What is announced under @address, a queue pair with its context; NULL: nothing. Until the next
 * call. */
const struct address *registration_announced(
        const struct registration *registration, const struct address *address);

/* Which names of GIDs are held, and whose they are. */
const struct gid_book *registration_names(const struct registration *registration);

/* It refuses somebody for the partition of his VM. */
bool answer_is_of_partition(const Tether__InterestAnswer *answer);

void registration_member_gone(struct registration *registration, uint32_t member);

/* From above. Unknown requests are ignored. */
void registration_answer(struct registration *registration, const Tether__InterestAnswer *answer);

/*
 * A HELLO goes up: *@addresses are what is held, as much as a frame carries, with the VMs whose
 * announcements they are, until the next call (the caller frees them); nothing more goes up until
 * registration_parent_up, which acknowledges these, asks for the rest and asks again what is open.
 * -ENOMEM.
 */
int registration_hello_up(
        struct registration *registration, struct address **addresses, size_t *count);
void registration_parent_up(struct registration *registration);
/* Nothing goes up before the next HELLO. */
void registration_parent_lost(struct registration *registration);

/* Hold what concerns @address and what @vm itself registers until the barrier of @migration is
 * lifted, or until @until_ms. -ENOMEM */
int registration_barrier(struct registration *registration, uint64_t migration, const char *vm,
        const struct address *address, uint64_t until_ms);
void registration_barrier_extend(
        struct registration *registration, uint64_t migration, uint64_t until_ms);
/* What it held is carried out, so much at once; the rest by registration_tick. */
void registration_barrier_lift(struct registration *registration, uint64_t migration);
bool registration_has_barrier(const struct registration *registration);

/* What was on its way up when the barrier was set has been acknowledged, or is held above. */
bool registration_is_flushed(const struct registration *registration, uint64_t migration);

/* When the first barrier ends by itself; 0: there is more to do at once; UINT64_MAX: none. */
uint64_t registration_next(const struct registration *registration);
void registration_tick(struct registration *registration, uint64_t now_ms);

#endif
