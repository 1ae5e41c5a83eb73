#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Moves beside an OpenSM that has troubles of its own: it sweeps, is told to route anew, is killed and started again; links
flap, switches go and come back, before a plan is applied and in mid-apply. Whoever drives the move does what tether-smd
does: plans again what is stale. Whenever an apply says that it is done SA and fabric agree on every VM, P_Key and group while the
lease still keeps sweeps off, and in the end before and after a heavy sweep."""
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap, print_rows  # noqa: E402
from simfabric.unrest import EVENTS, FROM_CACHE, ROUTED, Move, UnrestLab, a_sweep, a_switch_goes  # noqa: E402

ROUNDS = 100 if FULL else 3
MOVES_MAX = 3  # in one plan
ORDERS, REACHES = ("fast", "consistent", "drop-first"), ("deterministic", "minimum")
SPINES = ("spine1", "spine2")


def draw_move(lab, draw):
    """Of a VM in the partition as often as not."""
    slots = draw.sample(lab.slots(), len(lab.slots()))
    if draw.random() < 0.5:
        slots.sort(key=lambda slot: int(lab.guid_at(slot), 16) not in lab.blue)
        slots[1], slots[2] = slots[2], slots[1]
    slots = slots[:2 * draw.randint(1, MOVES_MAX)]
    return Move(lab, list(zip(slots[::2], slots[1::2])), order=draw.choice(ORDERS), reach=draw.choice(REACHES))


def between_plan_and_apply(lab, draw, event):
    move = draw_move(lab, draw)
    event(lab)
    lab.rest()
    move.finish()
    lab.check()


def in_mid_apply(lab, draw, event):
    move = draw_move(lab, draw)
    if not move.apply_beside(event)["ok"]:
        move.finish()
    lab.check()


def a_switch_that_is_away_does_not_hold_the_move_up(lab, draw):
    """It goes between plan and apply; it comes back when the VM has moved, with tables that lead to the old place."""
    for spine in SPINES:
        move = draw_move(lab, draw)
        lab.cables(spine, "down")
        lab.settle()
        move.finish()
        lab.check_truth()
        lab.cables(spine, "up")
        lab.check()


def a_switch_lost_in_mid_apply_is_routed_around(lab, draw):
    move = draw_move(lab, draw)
    ended = move.apply_beside(a_switch_goes)
    lab.settle()
    if not ended["ok"]:
        move.finish()
    lab.settle()
    lab.check_truth()
    lab.cables("spine1", "up")
    lab.check()


def a_hypervisor_that_comes_back_knows_where_the_others_are(lab, draw):
    """Its switch has the tables of before; OpenSM's unicast cache keeps those of leaves that are away."""
    lab.fabric.link("V4", 1, "down")
    lab.settle()
    for _ in range(2):
        source, destination = draw.sample([slot for slot in lab.slots() if not slot.startswith("hyp4")], 2)
        assert lab.move(source, destination)[1]["verified"]
    lab.fabric.link("V4", 1, "up")
    lab.check()


def a_move_invalidates_the_unicast_cache(lab, draw):
    """The sweep after it computes routes, and finds that there is nothing to write; the next one has a cache again. What OpenSM
    logs before it is granted the lease is of sweeps that were owed."""
    lab.settle()
    assert FROM_CACHE in lab.routings_since(0), "the cache is not in use"
    move = draw_move(lab, draw)
    move.finish()
    wrote = lab.heavy_sweep()
    assert lab.routings_since(move.mark)[0] == ROUTED, "routes of before the move were used"
    assert not any(wrote.values()), f"the heavy sweep wrote {wrote}"
    before = lab.cached_routings()
    lab.check()
    assert lab.cached_routings() > before, "there is no cache any more"


def a_switch_that_was_away_is_not_given_the_table_of_before_the_move(lab, draw):
    """The cache keeps it for its coming back, and it has ways that are no more."""
    lab.fabric.link("V4", 1, "down")
    mark = lab.log_mark()
    lab.settle()
    assert FROM_CACHE in lab.routings_since(mark), "the cache does not stand a leaf that goes"
    source, destination = draw.sample([slot for slot in lab.slots() if not slot.startswith("hyp4")], 2)
    move = Move(lab, [(source, destination)])
    move.is_whole = False
    move.finish()
    lab.fabric.link("V4", 1, "up")
    lab.check()
    assert lab.routings_since(move.mark)[0] == ROUTED, "routes of before the move were used"


def moves_end_well_whatever_happens(lab, draw):
    happened = []
    for _ in range(ROUNDS):
        event, when = draw.choice(EVENTS), draw.choice((between_plan_and_apply, in_mid_apply))
        happened.append(f"{when.__name__} {event.__name__}")
        try:
            when(lab, draw, event)
        except AssertionError as error:
            raise AssertionError(f"{'; '.join(happened)}: {error}") from error


def main():
    seed = int(os.environ.get("TETHER_SEED", "1"))
    print(f"# seed {seed}")
    tap = Tap()
    away = (a_switch_that_is_away_does_not_hold_the_move_up, a_switch_lost_in_mid_apply_is_routed_around,
            a_hypervisor_that_comes_back_knows_where_the_others_are, moves_end_well_whatever_happens)
    with UnrestLab() as lab:
        draw = random.Random(seed)
        lab.settle()
        for event in EVENTS:
            tap.run(f"{event.__name__}_between_plan_and_apply", between_plan_and_apply, lab, draw, event)
            tap.run(f"{event.__name__}_in_mid_apply", in_mid_apply, lab, draw, event)
        for test in away:
            tap.run(test.__name__, test, lab, draw)
        print_rows(list(lab.ends.rows()))
        tap.run("every_event_has_met_an_apply_and_some_were_refused", lab.ends.check, (*EVENTS, a_switch_goes), (a_sweep,))
        tap.run("partitions_and_groups_were_among_what_moved", lab.ends.check_identities)
    with UnrestLab(use_ucast_cache="TRUE") as lab:
        draw = random.Random(seed)
        lab.settle()
        for test in (a_move_invalidates_the_unicast_cache, a_switch_that_was_away_is_not_given_the_table_of_before_the_move, *away):
            tap.run(f"with_ucast_cache: {test.__name__}", test, lab, draw)
        print_rows(list(lab.ends.rows()))
    tap.exit()


main()
