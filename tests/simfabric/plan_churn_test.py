#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: plan_churn_test.py [SEED [ACTIONS]]

Random creations, moves to empty slots, swaps and destructions by four connections to the plugin, each with a plan, a lease
for it, and under that a plan made anew, which is applied, while OpenSM sweeps, routes anew, is killed and started again, cables and hypervisors are unplugged and SMPs are
lost. What was applied is verified, and the tables lead there, before any sweep. At the end every VM is in its slot with the
LID that it was created with, guid2lid has those who are alive and nobody else, no table leads to a LID that nobody has, and
SA agrees. SEED (printed) draws the same again; who comes first is another matter."""
import itertools
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import findings, shown  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402
from simfabric.plan_churn import BLUE, DEFAULT, EXPLAINED, KINDS, NO_PORT, WORKERS  # noqa: E402
from simfabric.plan_churn import PlanChurn, PlanChurnLab, is_blue  # noqa: E402
from simfabric.unrest import EVENTS, a_forced_reroute, opensm_is_killed_and_starts_again  # noqa: E402

ACTIONS = 1000 if FULL else 48
UNREST_EVERY = 4
LEAST_DONE = 0.5  # of what would be each kind's part
PLANS_SETS = "LinearForwardingTable", "PortInfo", "P_KeyTable"


def sets_are_lost(lab):
    for number, name in enumerate(PLANS_SETS):
        lab.fabric.cli("fault", "drop", "--attribute", name, "--method", "set", "--chance", 0.3, "--seed", number + 1,
                       "--direction", "both")


def any_smp_is_lost(lab):
    lab.fabric.cli("fault", "drop", "--chance", 0.01, "--seed", 1, "--direction", "both")


def nothing_is_lost_any_more(lab):
    lab.fabric.cli("fault", "clear")


UNREST = (*EVENTS, sets_are_lost, nothing_is_lost_any_more, any_smp_is_lost, nothing_is_lost_any_more)


def unrest_of(lab, churn, chance, happened):
    """Each in turn, losses between the others."""
    def deck():
        while True:
            events = list(EVENTS)
            chance.shuffle(events)
            for event, loss in itertools.zip_longest(events, UNREST[len(EVENTS):]):
                yield from filter(None, (event, loss))

    events = deck()

    def happen():
        event = next(events)
        happened.append(event.__name__)
        if event is opensm_is_killed_and_starts_again:
            nothing_is_lost_any_more(lab)  # it would not come up
        if event is a_forced_reroute:
            churn.reroute(lambda: event(lab))
        else:
            event(lab)

    return happen


def show(churn, happened):
    rows = [(kind, end, str(count)) for (kind, end), count in sorted(churn.ends.items())]
    print_rows([("plans", "end", "times"), *rows])
    rows = [(op, reason, str(count), EXPLAINED[op][reason]) for (op, reason), count in sorted(churn.refusals.items())]
    print_rows([("refused", "as", "times", "since"), *rows])
    print(f"# {len(happened)} times something happened; {churn.judged[True]} were looked at before any sweep, "
          f"{churn.judged[False]} could not be; together went {dict(churn.together)}; "
          f"{churn.lids_differed} times the plan that was applied had other LIDs than the one that the lease was for")


def much_was_done(churn, actions):
    assert churn.most_in_flight == WORKERS, f"no more than {churn.most_in_flight} at a time"
    least = actions / len(KINDS) * LEAST_DONE
    few = {kind: churn.ends[kind, "done"] for kind in KINDS if churn.ends[kind, "done"] < least}
    assert not few, f"of {least} of each kind only {few} were done"
    assert churn.judged[True] > churn.judged[False]


def everybody_is_there(lab, churn):
    wanted = {guest.port_guid: (guest.slot, guest.lid) for guest in churn.book.alive()}
    there = {row["port_guid"]: (row["node"], row["lid"]) for row in lab.truth().end_ports.values()
             if row["node"] in lab.places}
    assert there == wanted, f"differ: {sorted(set(there.items()) ^ set(wanted.items()))}"


def sa_agrees(lab, sa):
    truth = lab.truth()
    found = findings(truth, sa, {guid: [DEFAULT, BLUE] if is_blue(hex(guid)) else [DEFAULT] for guid in truth.end_ports})
    assert not found, shown(found)


def no_row_is_left_over(lab):
    """Ports and switches that are there have a row, and nobody else."""
    with open(lab.path("guid2lid"), encoding="ascii") as text:
        rows = {guid: int(low, 16) for guid, low, _ in map(str.split, filter(str.strip, text))}
    there = {row["port_guid"]: row["lid"] for row in lab.truth().end_ports.values()}
    switches = lab.truth().switch_lids.values()
    known = {guid: lid for guid, lid in rows.items() if lid not in switches}
    assert known == there, f"differ: {sorted(set(known.items()) ^ set(there.items()))}"


def nobody_is_led_to_who_is_gone(lab):
    truth = lab.truth()
    alive = {row["lid"] for row in truth.end_ports.values()} | set(truth.switch_lids.values())
    led = {(switch, lid) for switch, table in truth.lfts.items() for lid, port in enumerate(table)
           if port != NO_PORT and lid not in alive}
    assert not led, f"(switch, LID): {sorted(led)}"


def churned(tap, lab, seed, actions):
    lab.settle()
    churn, happened = PlanChurn(lab, seed), []
    unrest = unrest_of(lab, churn, random.Random(f"{seed}/unrest"), happened)
    went_well = tap.run(f"{actions} plans, four at a time, are applied or undone", churn.run, actions, unrest, UNREST_EVERY,
                        lambda: len(set(happened)) == len({event.__name__ for event in UNREST}))
    show(churn, happened)
    if not went_well:
        return
    tap.run("much of each kind was done", much_was_done, churn, actions)
    nothing_is_lost_any_more(lab)
    lab.settle()
    with lab.sa() as sa:
        tap.run("every VM is in its slot and has kept its LID", everybody_is_there, lab, churn)
        tap.run("SA and fabric agree, partitions too", sa_agrees, lab, sa)
        tap.run("guid2lid has those who are there and nobody else", no_row_is_left_over, lab)
        tap.run("no table leads to a LID that nobody has", nobody_is_led_to_who_is_gone, lab)
        wrote = lab.heavy_sweep()
        tap.check(not any(wrote.values()), "the next sweep writes nothing", wrote)


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else int.from_bytes(os.urandom(4), "big")
    actions = int(sys.argv[2]) if len(sys.argv) > 2 else ACTIONS
    tap = Tap()
    print(f"# plan_churn_test.py {seed} {actions}", flush=True)
    with PlanChurnLab() as lab:
        churned(tap, lab, seed, actions)
    tap.exit()


if __name__ == "__main__":
    main()
