/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A migration of one VM with two peers: gate, lease, vote, commit and RTR barrier, as a model for spin. PROTOCOL.md says what stands
 * for what, and what is left out; protocol_test.py searches all of it and has each property fail once.
 *
 * Settings (-D): CRASHES=N of tether-smd, DEATHS=N of processes; CALM: nobody dies, and nothing is late or lost; STANDSTILL: the same,
 * but tether-smd stands still for as long as it likes, and the work is an atomic; ONLY=NAME_NUMBER: that property alone; and what is
 * taken out, by its name in PROTOCOL.md.
 */
#ifdef STANDSTILL
#define CALM
#define IS_ATOMIC true
#else
#define IS_ATOMIC false
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif

/* ---- properties, by the names that a failure shows ---- */
#ifdef ONLY
#define PROPERTY(name) bool name = (ONLY == name##_NUMBER)
#else
#define PROPERTY(name) bool name = 1
#endif
#define executed_once_NUMBER 1
#define success_is_true_NUMBER 2
#define one_owner_NUMBER 3
#define unplugged_when_let_go_NUMBER 4
#define voted_stays_broken_NUMBER 5
#define committed_stays_committed_NUMBER 6
#define both_in_rtr_NUMBER 7
#define never_to_an_old_connection_NUMBER 8
#define everybody_goes_on_NUMBER 9
#define end_is_as_named_NUMBER 10
#define nothing_is_lost_NUMBER 11
PROPERTY(executed_once);
PROPERTY(success_is_true);
PROPERTY(one_owner);
PROPERTY(unplugged_when_let_go);
PROPERTY(voted_stays_broken);
PROPERTY(committed_stays_committed);
PROPERTY(both_in_rtr);
PROPERTY(never_to_an_old_connection);
PROPERTY(everybody_goes_on);
PROPERTY(end_is_as_named);
PROPERTY(nothing_is_lost);
#define HOLDS(property, claim) assert(!property || (claim))

/* ---- tether-smd: states of migration_states.def, each behind all that can lead to it. So a state is the sequence, too ---- */
#define LOCATING 0
#define STOPPING 1
#define SETTLING 2
#define RESTOPPING 3
#define MENDING_STOPPING 4
#define ABORTING 5
#define MENDING_SETTLING 6
#define MENDING_RECONNECTING 7
#define MENDING_RESUMING 8
#define RELEASING 9 /* the commit */
#define DETACHING 10
#define MOVING 11
#define NAMING 12
#define VACATING 13
#define ATTACHING 14
#define REBUILDING 15
#define RECONNECTING 16
#define RESUMING 17
#define BACK_NAMING 18
#define BACK_VACATING 19
#define BACK_MOVING 20
#define STAYING 21
#define BACK_GIVING 22
#define BACK_REBUILDING 23
#define BACK_RECONNECTING 24
#define BACK_RESUMING 25
#define ERRORING 26
/* What is said once more after the end: RESUME, ERROR or ABORT. */
#define DONE 27
#define FAILED_AT_SOURCE 28
#define LOST 29
#define ABORTED 30
#define SILENT 31 /* killed for good, or unheard for ever */

#define IS_TRYING(s) ((s) <= SETTLING)
#define IS_LEAVING(s) ((s) >= RESTOPPING && (s) <= MENDING_RESUMING)
#define IS_END(s) ((s) >= DONE)
#ifdef DETACHING_LAZY
#define IS_DETACHING(s) false
#else
#define IS_DETACHING(s) ((s) == DETACHING)
#endif
#define IS_DURABLE(s)                                                                                                               \
	((s) == RELEASING || IS_DETACHING(s) || (s) == MOVING || (s) == NAMING || (s) == ATTACHING || (s) == RECONNECTING ||        \
	        (s) == BACK_NAMING || (s) == STAYING || (s) == BACK_MOVING || (s) == BACK_GIVING || (s) == BACK_RECONNECTING ||     \
	        (s) == ERRORING || IS_END(s))

byte state = LOCATING;
byte written, durable;           /* the journal: its last record; the last one that is on disk */
byte crashes = CRASHES;
byte got, bad;                   /* whose answer to this state's question is here, as bits; who said no */
bool gave_up;
byte evidence;           /* as bits of parties: whose evidence tether-smd has */
bool vm_is_rebuilt;      /* and whether the VM's new numbers */
bool committed;

/*
 * What was said to all last, and before that, under whatever epoch: either may come, to each any number of times or never, and the
 * former first. What is older does not come: links keep their order, and what was in one that is closed is gone.
 */
#define BEFORE 1
#define NOW 2
byte said[3];            /* as tether-smd's state */
byte rows[3];            /* and the evidence that it brings */
bool brings_vm[3];

/* ---- processes: enum move_state ---- */
#define VM 0
#define PARTIES 3
#define KNOWN 0
#define STOPPED 1
#define VOTED 2
#define RELEASED 3
#define ATTACHED 4
#define CONNECTED 5
#define ENDED 6
#define DEAD 7
byte move[PARTIES];       /* MOVE_* */
byte heard[PARTIES];      /* BEFORE, NOW, or neither */

/* ---- queue pairs: ends 0 and 1 are the VM's, 2 and 3 the peers'; pair 0 is 0 and 2, pair 1 is 1 and 3 ---- */
#define OLD 0     /* in RTS, as before the move */
#define FLUSHED 1 /* its own transport has given up while it was held */
#define BROKEN 2  /* voted: in ERR, later RESET, INIT or none. Takes nothing */
#define RTR 3     /* of the new connection */
#define RTS 4
#define OVER 5    /* has ended with errors */
byte qp[4];
#define OTHER(end) ((end) ^ 2)
#define PARTY(end) ((end) < 2 -> VM : (end) - 1)
#define IS_SENDER(end) ((end) == sender)

/* ---- one work request for each pair ---- */
#define UNPOSTED 0 /* is posted while the gate is held */
#define KEPT 1     /* in the log behind the gate */
#define SENT 2     /* with the device, nothing heard of it */
#define REPLAYED 3 /* settled: goes out once more */
#define SUCCESS 4
#define ERROR 5
byte sender; /* whose it is: end 0 or 2 */
byte work;
bool old_packet, new_packet; /* have been sent: may arrive any number of times, or never */
bool old_taken, new_taken;   /* the responder's expected PSN is behind it */
bool saw;                       /* what the responder's evidence said of old_taken */
byte executed;

/* ---- places ---- */
#define SOURCE 1
#define DESTINATION 2
byte vf = SOURCE;       /* as bits: at which slots the VM has a VF */
byte guid = SOURCE;     /* as bits: which slots show the VM's identity */
byte memory = SOURCE;
byte device = SOURCE;   /* which one the VM's process has open; 0: none */
byte order[2];          /* the last one that either host got, as tether-smd's state */
bool is_ordered[2];     /* and has not begun: it may yet, or never */
bool has_done[2];

byte deaths = DEATHS;
byte left_behind;       /* as bits: of whom tether-smd knows that RECONNECT was not answered */

#define BIT(x) (1 << (x))
#define HAS(mask, x) (((mask) >> (x)) & 1)

/* ==== queue pairs ==== */

inline end_over(end)
{
	qp[end] = OVER;
	if
	:: IS_SENDER(end) && (work == KEPT || work == SENT || work == REPLAYED) ->
		work = ERROR
	:: else
	fi
}

/* drain_let_go: back to before STOP. */
inline end_let_go(end)
{
	HOLDS(voted_stays_broken, qp[end] == OLD || qp[end] == FLUSHED || qp[end] == OVER);
	if
	:: qp[end] == FLUSHED -> end_over(end)
	:: qp[end] == OLD && IS_SENDER(end) && work == KEPT ->
		work = SENT;
		old_packet = 1
#ifdef VOTED_LETS_GO
	:: qp[end] == BROKEN -> qp[end] = OLD
#endif
	:: else
	fi
}

/* drain_break, and the responder's frontier is read in ERR. */
inline end_break(end)
{
	if
	:: qp[end] == OLD || qp[end] == FLUSHED ->
		saw = (OTHER(end) == sender -> old_taken : saw);
#ifndef NO_VOTE
		qp[end] = BROKEN
#endif
	:: else
	fi
}

#ifdef CONNECTS_UNVOTED
#define HAS_WORD(theirs, x) true
#else
#define HAS_WORD(theirs, x) HAS(theirs, x)
#endif

/* evidence_settle, by the other side's word. Once; without it the queue pair ends. */
inline end_settle(end, theirs)
{
	if
	:: qp[end] != BROKEN && qp[end] != OLD && qp[end] != FLUSHED
	:: else ->
		qp[end] = BROKEN;
		if
		:: !HAS_WORD(theirs, PARTY(OTHER(end))) -> end_over(end)
		:: else ->
			if
			:: IS_SENDER(end) && work == SENT ->
				if
#ifndef NO_EVIDENCE
				:: saw && !IS_ATOMIC -> work = SUCCESS
				/* Executed, and its answer was its responder's alone. */
				:: saw && IS_ATOMIC -> end_over(end)
#endif
				:: else -> work = REPLAYED
				fi
			:: else
			fi
		fi
	fi
}

/* reconnect_to_rtr: who has no row of the other end ends with an error. */
inline end_to_rtr(end, theirs, rebuilt)
{
	if
	:: qp[end] == BROKEN && HAS_WORD(theirs, PARTY(OTHER(end))) && (PARTY(OTHER(end)) != VM || rebuilt) -> qp[end] = RTR
	:: qp[end] == BROKEN && !(HAS_WORD(theirs, PARTY(OTHER(end))) && (PARTY(OTHER(end)) != VM || rebuilt)) -> end_over(end)
	:: else
	fi
}

/* reconnect_resume: RTS, replay, what was kept; what is not connected ends. */
inline end_resume(end)
{
	if
	:: qp[end] == RTR ->
		qp[end] = RTS;
		if
		:: IS_SENDER(end) && (work == REPLAYED || work == KEPT) ->
			work = SENT;
			new_packet = 1
		:: else
		fi
	:: qp[end] == RTS
	:: else -> end_over(end)
	fi
}

inline ends_let_go(x)
{
	if
	:: x == VM -> end_let_go(0); end_let_go(1)
	:: x == 1 -> end_let_go(2)
	:: else -> end_let_go(3)
	fi
}

inline ends_break(x)
{
	if
	:: x == VM -> end_break(0); end_break(1)
	:: x == 1 -> end_break(2)
	:: else -> end_break(3)
	fi
}

inline ends_settle(x, theirs)
{
	if
	:: x == VM -> end_settle(0, theirs); end_settle(1, theirs)
	:: x == 1 -> end_settle(2, theirs)
	:: else -> end_settle(3, theirs)
	fi
}

inline ends_to_rtr(x, theirs, rebuilt)
{
	if
	:: x == VM -> end_to_rtr(0, theirs, rebuilt); end_to_rtr(1, theirs, rebuilt)
	:: x == 1 -> end_to_rtr(2, theirs, rebuilt)
	:: else -> end_to_rtr(3, theirs, rebuilt)
	fi
}

inline ends_resume(x)
{
	if
	:: x == VM -> end_resume(0); end_resume(1)
	:: x == 1 -> end_resume(2)
	:: else -> end_resume(3)
	fi
}

inline ends_over(x)
{
	if
	:: x == VM -> end_over(0); end_over(1)
	:: x == 1 -> end_over(2)
	:: else -> end_over(3)
	fi
}

/* Nothing is lost, so what was executed is answered, and a transport's retries take longer than what has been said takes to arrive. */
#ifdef STANDSTILL
#define IS_GIVEN_UP (!old_taken && (heard[PARTY(sender)] == NOW || move[PARTY(sender)] == STOPPED))
#else
#define IS_GIVEN_UP true
#endif

/* The fabric between the ends of one pair. */
proctype Fabric()
{
end:	do
	/* A packet arrives. What the responder has had it acknowledges, and does not do again. */
	:: d_step { old_packet && !old_taken && (qp[OTHER(sender)] == OLD) ->
		old_taken = 1; executed++;
		HOLDS(executed_once, executed <= 1) }
#ifdef SAME_PSN
	:: d_step { old_packet && !new_taken && (qp[OTHER(sender)] == RTR || qp[OTHER(sender)] == RTS) ->
		new_taken = 1; executed++;
		HOLDS(executed_once, executed <= 1) }
#endif
	:: d_step { new_packet && !new_taken && (qp[OTHER(sender)] == RTR || qp[OTHER(sender)] == RTS) ->
		new_taken = 1; executed++;
		HOLDS(executed_once, executed <= 1) }
	/* One of the new connection that meets the old one is acknowledged there as a repeat, and is not executed. */
	:: d_step { new_packet && work == SENT && qp[sender] == RTS && qp[OTHER(sender)] == OLD ->
		HOLDS(never_to_an_old_connection, false); work = SUCCESS;
		HOLDS(success_is_true, executed == 1) }
	/* One that meets nobody yet is lost, and the sender's transport may give up before there is somebody. */
	:: d_step { new_packet && work == SENT && qp[sender] == RTS &&
		(qp[OTHER(sender)] == BROKEN || qp[OTHER(sender)] == OVER) ->
		HOLDS(both_in_rtr, qp[OTHER(sender)] == OVER || HAS(left_behind, PARTY(OTHER(sender))));
		end_over(sender) }

	/* An acknowledgement arrives. */
	:: d_step { old_taken && work == SENT && qp[sender] == OLD ->
		work = SUCCESS;
		HOLDS(success_is_true, executed == 1) }
	:: d_step { new_taken && work == SENT && qp[sender] == RTS ->
		work = SUCCESS;
		HOLDS(success_is_true, executed == 1) }
	/* The other end of the old connection does not answer any more. */
	:: d_step { old_packet && work == SENT && qp[sender] == OLD && qp[OTHER(sender)] != OLD && IS_GIVEN_UP ->
		if
		:: move[PARTY(sender)] == STOPPED -> qp[sender] = FLUSHED
		:: else -> end_over(sender)
		fi }
	od
}

/* ==== a process: preload/steps.c, step_prepare.c, step_vote.c, step_rebuild.c, step_ends.c ==== */

/*
 * An older epoch, or one that was overtaken, is refused; the same again gets the same answer. Who has ended refuses all but the
 * last words, which change nothing: tether-smd's side knows (IS_IN).
 */
#define COMES(x, e, s) (state != SILENT && move[x] < ENDED && said[e] == (s) && heard[x] < (e))
#define IS_AWAITED(e, s) ((e) == NOW && (s) == state)

/* An answer arrives at once or never: later, or again, comes to the same. That it was lost shows where it has evidence. */
inline take(x, e, s)
{
	heard[x] = e;
	got = (IS_AWAITED(e, s) -> got | BIT(x) : got)
}

inline says_no(x, e, s)
{
	bad = (IS_AWAITED(e, s) -> bad | BIT(x) : bad)
}

inline testify(x, e, s)
{
	evidence = (IS_AWAITED(e, s) -> evidence | BIT(x) : evidence)
}

inline ended(x)
{
	move[x] = ENDED;
	heard[x] = 0
}

inline let_go(x)
{
	HOLDS(committed_stays_committed, !committed);
	ends_let_go(x);
	move[x] = KNOWN
}

inline end_post(end)
{
	work = (IS_SENDER(end) && work == UNPOSTED -> KEPT : work)
}

inline hold(x)
{
	move[x] = STOPPED;
	if
	:: x == VM -> end_post(0); end_post(1)
	:: x == 1 -> end_post(2)
	:: else -> end_post(3)
	fi
}

inline do_stop(x, e, s)
{
	if
	:: move[x] >= VOTED -> testify(x, e, s)
	:: move[x] < VOTED && IS_ATOMIC && PARTY(sender) == (x) && qp[sender] == FLUSHED -> hold(x); says_no(x, e, s)
	:: else -> hold(x)
	fi
}

/*
 * Who has gone on alone, its lease being over, is held, and has no vote before it was stopped again, or is told that another has voted.
 * Who was never stopped votes; only where nothing is late nobody is that.
 */
#ifdef LATE_VOTES
#define HAS_NO_VOTE(x, e) false
#else
#define HAS_NO_VOTE(x, e) (move[x] < STOPPED && !rows[e])
#endif
#ifdef STANDSTILL
#define MAY_VOTE(x, e) (!HAS_NO_VOTE(x, e))
#else
#define MAY_VOTE(x, e) true
#endif

inline do_settle(x, e, s)
{
	if
	:: HAS_NO_VOTE(x, e) -> hold(x); says_no(x, e, s)
	:: MAY_VOTE(x, e) ->
		if
		:: move[x] < VOTED -> hold(x)
		:: else
		fi;
		ends_break(x);
		move[x] = VOTED;
		testify(x, e, s)
	fi
}

inline do_release(x, e)
{
	if
	:: move[x] < VOTED -> says_no(x, e, RELEASING)
	:: else ->
		ends_settle(x, rows[e]);
		move[x] = RELEASED;
		device = (x == VM -> 0 : device)
	fi
}

inline do_attach(e, s)
{
	if
	:: vf == 0 || move[VM] < VOTED -> says_no(VM, e, s)
	:: else ->
		device = vf;
		move[VM] = ATTACHED;
		vm_is_rebuilt = vm_is_rebuilt || IS_AWAITED(e, s)
	fi
}

/* Who heard nothing of ATTACH, or of RECONNECT, has nothing to go on with. */
inline do_resume(x)
{
	if
	:: move[x] < VOTED
	:: else ->
		if
		:: x == VM && device == 0 -> ends_over(x)
		:: else ->
			ends_resume(x);
			HOLDS(one_owner, x != VM || (qp[0] != RTS && qp[1] != RTS) || guid == device)
		fi;
		ended(x)
	fi
}

inline do_reconnect(x, e, rebuilt)
{
	if
	:: move[x] < VOTED
	:: else ->
		ends_settle(x, rows[e]);
		ends_to_rtr(x, rows[e], rebuilt);
		move[x] = CONNECTED
#ifdef NO_BARRIER
		;
		do_resume(x)
#endif
	fi
}

inline do_abort(x, e, s)
{
	if
	:: move[x] >= RELEASED -> says_no(x, e, s)
#ifdef ABORT_LETS_GO
	:: move[x] == VOTED -> let_go(x)
#else
	:: move[x] == VOTED -> testify(x, e, s)
#endif
	:: move[x] < VOTED -> let_go(x)
	fi
}

inline do_error(x)
{
	if
	:: move[x] < VOTED -> let_go(x)
	:: else -> ends_over(x); ended(x)
	fi
}

inline do_die(x)
{
	ends_over(x);
	ended(x);
	move[x] = DEAD;
	device = (x == VM -> 0 : device);
	deaths--
}

#define HEARS(x, e, s) d_step { COMES(x, e, s) -> take(x, e, s);
/* STOP and SETTLE of who has an atomic: it is held, and answers when that is answered, or its transport has given up. */
#ifdef STANDSTILL
#define AWAITS(x) (PARTY(sender) == (x) && work == SENT && qp[sender] == OLD)
#define STOPS(x, e, s)                                                                                                              \
	:: d_step { COMES(x, e, s) && move[x] < STOPPED && AWAITS(x) -> hold(x) }                                                   \
	:: d_step { COMES(x, e, s) && !AWAITS(x) -> take(x, e, s); do_stop(x, e, s) }
#define SETTLES(x, e, s)                                                                                                            \
	:: d_step { COMES(x, e, s) && move[x] < STOPPED && AWAITS(x) && !HAS_NO_VOTE(x, e) -> hold(x) }                             \
	:: d_step { COMES(x, e, s) && (!AWAITS(x) || HAS_NO_VOTE(x, e)) -> take(x, e, s); do_settle(x, e, s) }
#else
#define STOPS(x, e, s) :: HEARS(x, e, s) do_stop(x, e, s) }
#define SETTLES(x, e, s) :: HEARS(x, e, s) do_settle(x, e, s) }
#endif
/* What it says is lost. */
#ifdef CALM
#define UNHEARD(x, e, s) d_step { false ->
#else
#define UNHEARD(x, e, s) d_step { COMES(x, e, s) && IS_AWAITED(e, s) -> heard[x] = e;
#endif
/* An atomic without its answer: it says so, and has not voted. Who could answer STOP has none when SETTLE comes, if nothing is late. */
#ifdef CALM
#define CANNOT(x, e, s) d_step { (s) == STOPPING && COMES(x, e, s) && move[x] < VOTED -> take(x, e, s); says_no(x, e, s); hold(x) }
#else
#define CANNOT(x, e, s) d_step { COMES(x, e, s) && move[x] < VOTED -> take(x, e, s); says_no(x, e, s); hold(x) }
#endif

#define ALL_HEAR(x, e)                                                                                                              \
	STOPS(x, e, STOPPING)                                                                                                       \
	:: UNHEARD(x, e, STOPPING) do_stop(x, e, LOCATING) }                                                                        \
	:: CANNOT(x, e, STOPPING)                                                                                                   \
	SETTLES(x, e, SETTLING)                                                                                                     \
	:: UNHEARD(x, e, SETTLING) do_settle(x, e, LOCATING) }                                                                      \
	:: CANNOT(x, e, SETTLING)                                                                                                   \
	STOPS(x, e, MENDING_STOPPING)                                                                                               \
	:: UNHEARD(x, e, MENDING_STOPPING) do_stop(x, e, LOCATING) }                                                                \
	:: CANNOT(x, e, MENDING_STOPPING)                                                                                           \
	STOPS(x, e, RESTOPPING)                                                                                                     \
	:: UNHEARD(x, e, RESTOPPING) do_stop(x, e, LOCATING) }                                                                      \
	:: HEARS(x, e, ABORTING) do_abort(x, e, ABORTING) }                                                                         \
	:: UNHEARD(x, e, ABORTING) do_abort(x, e, LOCATING) }                                                                       \
	SETTLES(x, e, MENDING_SETTLING)                                                                                             \
	:: UNHEARD(x, e, MENDING_SETTLING) do_settle(x, e, LOCATING) }                                                              \
	:: CANNOT(x, e, MENDING_SETTLING)                                                                                           \
	:: HEARS(x, e, MENDING_RECONNECTING) do_reconnect(x, e, true) }                                                             \
	:: HEARS(x, e, MENDING_RESUMING) do_resume(x) }                                                                             \
	:: HEARS(x, e, RELEASING) do_release(x, e) }                                                                                \
	:: HEARS(x, e, RECONNECTING) do_reconnect(x, e, brings_vm[e]) }                                                         \
	:: HEARS(x, e, RESUMING) do_resume(x) }                                                                                     \
	:: HEARS(x, e, BACK_RECONNECTING) do_reconnect(x, e, brings_vm[e]) }                                                    \
	:: HEARS(x, e, BACK_RESUMING) do_resume(x) }                                                                                \
	:: HEARS(x, e, ERRORING) do_error(x) }                                                                                      \
	:: HEARS(x, e, DONE) do_resume(x) }                                                                                         \
	:: HEARS(x, e, FAILED_AT_SOURCE) do_resume(x) }                                                                             \
	:: HEARS(x, e, LOST) do_error(x) }                                                                                          \
	:: HEARS(x, e, ABORTED) do_abort(x, e, ABORTED) }

#define VM_HEARS(e)                                                                                                                 \
	:: HEARS(VM, e, REBUILDING) do_attach(e, REBUILDING) }                                                                      \
	:: UNHEARD(VM, e, REBUILDING) do_attach(e, LOCATING) }                                                                      \
	:: HEARS(VM, e, BACK_REBUILDING) do_attach(e, BACK_REBUILDING) }                                                            \
	:: UNHEARD(VM, e, BACK_REBUILDING) do_attach(e, LOCATING) }

/* What a process does by itself: in the end nobody is held for ever. */
#ifdef NO_LEASE
#define LEASE(x)
#else
#define LEASE(x) :: d_step { move[x] == STOPPED -> let_go(x) }
#endif
#ifdef LEASE_AFTER_VOTE
#define VOTED_LEASE(x) :: d_step { move[x] == VOTED -> let_go(x) }
#else
#define VOTED_LEASE(x)
#endif
#ifdef NO_OVERALL
#define OVERALL(x)
#else
#define OVERALL(x) :: d_step { move[x] >= VOTED && move[x] <= CONNECTED -> ends_over(x); ended(x) }
#endif
#ifdef STANDSTILL
/* tether-smd stands still once, in front of the votes. */
#define ALONE(x) :: d_step { move[x] == STOPPED && (state < SETTLING || (state == SETTLING && heard[x] != NOW)) -> let_go(x) }
#elif defined(CALM)
#define ALONE(x)
#else
#define ALONE(x)                                                                                                                    \
	LEASE(x)                                                                                                                    \
	VOTED_LEASE(x)                                                                                                              \
	OVERALL(x)                                                                                                                  \
	:: d_step { deaths > 0 && move[x] < ENDED && state < DONE -> do_die(x) }
#endif

proctype VmProcess()
{
end:	do
	ALL_HEAR(VM, BEFORE)
	ALL_HEAR(VM, NOW)
	VM_HEARS(BEFORE)
	VM_HEARS(NOW)
	ALONE(VM)
	od
}

proctype Peer(byte x)
{
end:	do
	ALL_HEAR(x, BEFORE)
	ALL_HEAR(x, NOW)
	ALONE(x)
	od
}

/* ==== the hosts' drivers: an order that comes ends the one before ==== */

#define AT_SOURCE 0
#define AT_DESTINATION 1
#define ORDERED(h, s) d_step { is_ordered[h] && order[h] == (s) && state != SILENT -> is_ordered[h] = 0; has_done[h] = 1;

inline attach_at(h, place)
{
#ifdef ATTACHES_ANYWHERE
	vf = vf | place;
#else
	has_done[h] = memory == place;
	vf = (memory == place -> vf | place : vf);
#endif
	HOLDS(one_owner, vf != (SOURCE | DESTINATION))
}

proctype Hosts()
{
end:	do
	:: ORDERED(AT_SOURCE, DETACHING) vf = vf & ~SOURCE;
		HOLDS(unplugged_when_let_go, device != SOURCE) }
	:: ORDERED(AT_SOURCE, MOVING) has_done[AT_SOURCE] = !(vf & SOURCE);
		memory = (vf & SOURCE -> memory : DESTINATION) }
	:: ORDERED(AT_SOURCE, VACATING) guid = guid & ~SOURCE }
	:: ORDERED(AT_SOURCE, BACK_NAMING) guid = guid | SOURCE }
	:: ORDERED(AT_SOURCE, BACK_GIVING) attach_at(AT_SOURCE, SOURCE) }
	:: ORDERED(AT_DESTINATION, NAMING) guid = guid | DESTINATION }
	:: ORDERED(AT_DESTINATION, ATTACHING) attach_at(AT_DESTINATION, DESTINATION) }
	:: ORDERED(AT_DESTINATION, BACK_VACATING) guid = guid & ~DESTINATION }
	:: ORDERED(AT_DESTINATION, BACK_MOVING) memory = SOURCE; vf = vf & ~DESTINATION;
		HOLDS(unplugged_when_let_go, device != DESTINATION) }
	:: ORDERED(AT_DESTINATION, STAYING) attach_at(AT_DESTINATION, DESTINATION) }
	od
}

/* ==== tether-smd: migration_states.def ==== */

/* The last words are answered by who has ended, too. */
#define IS_WORD_OF_END (state == RESUMING || state == MENDING_RESUMING || state == BACK_RESUMING || state == ABORTING || state == ERRORING)
#define IS_IN(x) (HAS(got, x) || move[x] >= ENDED)
#define IS_BAD(x) (HAS(bad, x) || (move[x] == ENDED && !HAS(got, x) && !IS_WORD_OF_END))
#define ALL_ARE_IN (IS_IN(VM) && IS_IN(1) && IS_IN(2))
#define ANY_IS_BAD (IS_BAD(VM) || IS_BAD(1) || IS_BAD(2))
/* After the commit the VM's own processes decide. */
#define VM_HAS_DONE (IS_IN(VM) && !IS_BAD(VM))
#define ANY_IS_BROKEN (evidence != 0)
#define HOST_HAS_DONE(h) (order[h] == state && !is_ordered[h] && has_done[h])
#define MISSING (7 & ~got)

#define IS_OF_SOURCE(s) ((s) == DETACHING || (s) == MOVING || (s) == VACATING || (s) == BACK_NAMING || (s) == BACK_GIVING)
#define IS_OF_DESTINATION(s) ((s) == NAMING || (s) == ATTACHING || (s) == BACK_VACATING || (s) == BACK_MOVING || (s) == STAYING)

inline put_order(h)
{
	order[h] = state;
	is_ordered[h] = 1;
	has_done[h] = 0
}

#define HAS_ROWS(s) ((s) == MENDING_SETTLING || (s) == RELEASING || (s) == RECONNECTING || (s) == BACK_RECONNECTING || (s) == MENDING_RECONNECTING)

/* What has been carried out is not looked at in another state. */
inline forget_order(h)
{
	order[h] = (is_ordered[h] -> order[h] : 0);
	has_done[h] = 0
}

/* Whose queue pairs were told to end has no steps of its own left. */
#define IS_POINTLESS(s) ((s) == RELEASING || ((s) >= REBUILDING && (s) <= RESUMING) || ((s) >= BACK_REBUILDING && (s) <= BACK_RESUMING))

/* Nobody reads what is written for a successor that does not come. */
inline record()
{
	if
	:: crashes == 0 || IS_END(state) -> written = 0; durable = 0
#ifdef COMMIT_UNWRITTEN
	:: crashes > 0 && state == RELEASING
#endif
	:: else ->
		written = state;
		durable = (IS_DURABLE(state) -> state : durable)
	fi
}

inline say(s)
{
	said[BEFORE] = said[NOW];
	rows[BEFORE] = rows[NOW];
	brings_vm[BEFORE] = brings_vm[NOW];
	said[NOW] = s;
	rows[NOW] = (HAS_ROWS(s) -> evidence : 0);
	brings_vm[NOW] = HAS_ROWS(s) && vm_is_rebuilt;
	heard[0] = (heard[0] == NOW -> BEFORE : 0);
	heard[1] = (heard[1] == NOW -> BEFORE : 0);
	heard[2] = (heard[2] == NOW -> BEFORE : 0)
}

inline enter(s)
{
	HOLDS(committed_stays_committed, !committed || !(IS_LEAVING(s) || (s) == ABORTED));
	state = (gave_up && IS_POINTLESS(s) -> LOST : (s));
	committed = committed || state == RELEASING;
	forget_order(AT_SOURCE);
	forget_order(AT_DESTINATION);
	got = 0;
	bad = 0;
	record();
	if
	:: IS_OF_SOURCE(state) -> put_order(AT_SOURCE)
	:: IS_OF_DESTINATION(state) -> put_order(AT_DESTINATION)
	:: else -> say(state)
	fi
}

/* The VM's queue pairs are told to end; the hosts' part of the road is gone on with. */
inline give_up()
{
	gave_up = 1;
	say(ERRORING);
	durable = (crashes > 0 -> state : 0);
	written = durable
}

/* Deadlines and failures are one: an answer may be lost, a driver slow. CALM: there are none. */
#ifdef CALM
#define LATE(s) d_step { false ->
#else
#define LATE(s) d_step { state == (s) ->
#endif

#define STEP_AFTER_COMMIT(s, next, others)                                                                                             \
	:: d_step { state == (s) && VM_HAS_DONE && (others) -> enter(next) }                                                      \
	:: d_step { state == (s) && IS_BAD(VM) -> enter(ERRORING) }                                                                 \
	:: LATE(s) enter(ERRORING) }                                                                                                \
	:: LATE(s) if                                                                                                               \
		:: IS_BAD(VM) -> enter(ERRORING)                                                                                    \
		:: else -> left_behind = ((s) == RECONNECTING || (s) == BACK_RECONNECTING -> MISSING : left_behind); enter(next)    \
		fi }

/* REENTER of migration_states.def. @knows: the agents were there by the overall deadline to say where the VM is. */
inline recover(from, knows)
{
	evidence = (from >= MENDING_RECONNECTING -> evidence : 0);
	vm_is_rebuilt = vm_is_rebuilt &&
		(from == RECONNECTING || from == RESUMING || from == BACK_RECONNECTING || from == BACK_RESUMING);
	gave_up = gave_up || (!knows && from >= RELEASING);
	crashes--;
	if
	:: from == LOCATING -> enter(ABORTING)
	:: from == STOPPING -> enter(RESTOPPING)
	:: from == SETTLING || from == MENDING_SETTLING -> enter(MENDING_STOPPING)
	:: from == DETACHING && knows && memory == SOURCE && !(vf & SOURCE) -> enter(MOVING)
	:: (from == DETACHING || from == MOVING) && knows && memory == DESTINATION -> enter(NAMING)
	:: from == VACATING -> enter(NAMING)
	:: from == ATTACHING && knows && (vf & DESTINATION) -> enter(REBUILDING)
	:: from == BACK_VACATING -> enter(BACK_NAMING)
	:: from == BACK_MOVING && knows && memory == SOURCE -> enter(BACK_GIVING)
	:: from == BACK_GIVING && knows && (vf & SOURCE) -> enter(BACK_REBUILDING)
	:: else -> enter(from)
	fi;
	if
	:: gave_up && !IS_END(state) && said[NOW] != ERRORING -> say(ERRORING)
	:: else
	fi
}

#define IS_AT_REST(x) (move[x] == KNOWN || move[x] == ENDED || move[x] == DEAD)

inline fall_silent()
{
	said[BEFORE] = 0; rows[BEFORE] = 0; brings_vm[BEFORE] = 0;
	said[NOW] = 0; rows[NOW] = 0; brings_vm[NOW] = 0;
	evidence = 0; vm_is_rebuilt = 0;
	state = SILENT;
	written = 0; durable = 0; crashes = 0; deaths = 0; got = 0; bad = 0; gave_up = 0;
	order[0] = 0; is_ordered[0] = 0; has_done[0] = 0;
	order[1] = 0; is_ordered[1] = 0; has_done[1] = 0;
	heard[0] = 0; heard[1] = 0; heard[2] = 0;
	left_behind = 7
}

proctype TetherSmd()
{
	d_step { enter(STOPPING) }
end:	do
	:: d_step { state == STOPPING && ALL_ARE_IN && !ANY_IS_BAD -> enter(SETTLING) }
	:: d_step { state == STOPPING && ALL_ARE_IN && ANY_IS_BAD -> enter((ANY_IS_BROKEN -> MENDING_SETTLING : ABORTING)) }
	:: d_step { state == STOPPING -> enter((ANY_IS_BROKEN -> MENDING_SETTLING : RESTOPPING)) }
	:: d_step { state == SETTLING && ALL_ARE_IN && !ANY_IS_BAD -> enter(RELEASING) }
	:: d_step { state == SETTLING -> enter(MENDING_STOPPING) }

	:: d_step { state == RESTOPPING && ALL_ARE_IN -> enter((ANY_IS_BROKEN -> MENDING_SETTLING : ABORTING)) }
	:: LATE(RESTOPPING) enter((ANY_IS_BROKEN -> MENDING_SETTLING : ABORTING)) }
	:: d_step { state == MENDING_STOPPING && ALL_ARE_IN -> enter((ANY_IS_BROKEN || ANY_IS_BAD -> MENDING_SETTLING : ABORTING)) }
	:: LATE(MENDING_STOPPING) enter(MENDING_SETTLING) }
	:: d_step { state == ABORTING && ALL_ARE_IN -> enter((ANY_IS_BROKEN -> MENDING_SETTLING : ABORTED)) }
	:: LATE(ABORTING) enter((ANY_IS_BROKEN -> MENDING_SETTLING : ABORTED)) }
	:: d_step { state == MENDING_SETTLING && ALL_ARE_IN -> enter(MENDING_RECONNECTING) }
	:: LATE(MENDING_SETTLING) enter(MENDING_RECONNECTING) }
	:: d_step { state == MENDING_RECONNECTING && ALL_ARE_IN -> enter(MENDING_RESUMING) }
	:: LATE(MENDING_RECONNECTING) left_behind = MISSING; enter(MENDING_RESUMING) }
	:: d_step { state == MENDING_RESUMING && ALL_ARE_IN -> enter(ABORTED) }
	:: LATE(MENDING_RESUMING) enter(ABORTED) }
	:: LATE(MENDING_SETTLING) enter(ERRORING) }
	:: LATE(MENDING_RECONNECTING) enter(ERRORING) }
	:: LATE(MENDING_RESUMING) enter(ERRORING) }

	:: d_step { state == RELEASING && VM_HAS_DONE && ALL_ARE_IN -> enter(DETACHING) }
	:: LATE(RELEASING) if
		:: VM_HAS_DONE -> enter(DETACHING)
		:: else -> enter(BACK_REBUILDING)
		fi }
#ifdef MOVES_UNRELEASED
	:: LATE(RELEASING) enter(DETACHING) }
#endif
	:: d_step { state == RELEASING && IS_BAD(VM) -> enter(BACK_REBUILDING) }
	:: LATE(RELEASING) enter(ERRORING) }

	:: d_step { state == DETACHING && HOST_HAS_DONE(AT_SOURCE) -> enter(MOVING) }
	:: d_step { state == DETACHING -> enter(BACK_GIVING) }
	:: d_step { state == MOVING && HOST_HAS_DONE(AT_SOURCE) -> enter(NAMING) }
	/* LOOKING: the source's driver says what it has, and is not at it any more; or nobody says anything. */
	:: d_step { state == MOVING -> is_ordered[AT_SOURCE] = 0;
		enter((memory == DESTINATION -> NAMING : BACK_GIVING)) }
	:: LATE(MOVING) enter(BACK_GIVING) }
	:: d_step { state == NAMING && HOST_HAS_DONE(AT_DESTINATION) -> enter(VACATING) }
	:: d_step { state == NAMING -> enter(BACK_NAMING) }
	:: d_step { state == VACATING && HOST_HAS_DONE(AT_SOURCE) -> enter(ATTACHING) }
	:: d_step { state == VACATING -> enter(BACK_NAMING) }
	:: d_step { state == ATTACHING && HOST_HAS_DONE(AT_DESTINATION) -> enter(REBUILDING) }
	:: d_step { state == ATTACHING -> enter(BACK_NAMING) }
#ifndef CALM
	:: d_step { state >= DETACHING && state <= ATTACHING && !gave_up -> give_up() }
	:: d_step { state >= BACK_NAMING && state <= BACK_GIVING && !gave_up -> give_up() }
#endif
	STEP_AFTER_COMMIT(REBUILDING, RECONNECTING, true)
	STEP_AFTER_COMMIT(RECONNECTING, RESUMING, ALL_ARE_IN)
	STEP_AFTER_COMMIT(RESUMING, DONE, ALL_ARE_IN)

	:: d_step { state == BACK_NAMING && HOST_HAS_DONE(AT_SOURCE) -> enter(BACK_VACATING) }
	:: LATE(BACK_NAMING) give_up(); enter(STAYING) }
	:: d_step { state == BACK_VACATING && HOST_HAS_DONE(AT_DESTINATION) -> enter(BACK_MOVING) }
	:: LATE(BACK_VACATING) give_up(); enter(BACK_MOVING) }
	:: d_step { state == BACK_MOVING && HOST_HAS_DONE(AT_DESTINATION) -> enter(BACK_GIVING) }
	:: LATE(BACK_MOVING) enter(BACK_GIVING) }
	:: d_step { state == BACK_GIVING && HOST_HAS_DONE(AT_SOURCE) -> enter(BACK_REBUILDING) }
	:: LATE(BACK_GIVING) enter(ERRORING) }
	:: d_step { state == STAYING && HOST_HAS_DONE(AT_DESTINATION) -> enter(LOST) }
	:: LATE(STAYING) enter(LOST) }
	STEP_AFTER_COMMIT(BACK_REBUILDING, BACK_RECONNECTING, true)
	STEP_AFTER_COMMIT(BACK_RECONNECTING, BACK_RESUMING, ALL_ARE_IN)
	STEP_AFTER_COMMIT(BACK_RESUMING, FAILED_AT_SOURCE, ALL_ARE_IN)
	:: d_step { state == ERRORING && ALL_ARE_IN -> enter(LOST) }
	:: LATE(ERRORING) enter(LOST) }

#if CRASHES > 0
	/* Killed and started again: from its last record, or, where the machine has died, from the last one on disk. */
	:: d_step { crashes > 0 && state < DONE -> recover(written, 1) }
#ifndef CALM
	:: d_step { crashes > 0 && state < DONE -> recover(written, 0) }
	:: d_step { crashes > 0 && state < DONE && durable != written -> recover(durable, 1) }
#endif
#endif

	/* Everybody is partitioned for good: nothing that was said, or is, counts any more. */
#ifndef CALM
	:: d_step { state != SILENT && !(IS_AT_REST(VM) && IS_AT_REST(1) && IS_AT_REST(2)) -> fall_silent() }
#endif
	od
}

/* ==== when nothing more can happen ==== */

#define IS_SETTLED (work == SUCCESS || work == ERROR || work == UNPOSTED)
#define IS_UNHARMED (work == SUCCESS && executed == 1)

proctype AtTheEnd()
{
	timeout -> d_step {
		HOLDS(everybody_goes_on, IS_END(state));
		HOLDS(everybody_goes_on, IS_AT_REST(VM) && IS_AT_REST(1) && IS_AT_REST(2));
		HOLDS(everybody_goes_on, IS_SETTLED);
		HOLDS(end_is_as_named, state != DONE || (vf == DESTINATION && guid == DESTINATION && memory == DESTINATION));
		HOLDS(end_is_as_named, (state != ABORTED && state != FAILED_AT_SOURCE) || (vf == SOURCE && guid == SOURCE && memory == SOURCE));
#ifdef CALM
		HOLDS(nothing_is_lost, state != LOST && IS_UNHARMED)
#endif
	}
}

init
{
	if
	:: sender = 0
	:: sender = 2
	fi;
	if
	:: old_packet = 1; work = SENT
	:: skip
	fi;
	atomic {
		run TetherSmd();
		run VmProcess();
		run Peer(1);
		run Peer(2);
		run Hosts();
		run Fabric();
		run AtTheEnd()
	}
}
