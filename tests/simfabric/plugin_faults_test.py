#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Lost SMPs while a plan is applied. OpenSM's transport tries each four times; what is lost beyond that the plugin sends
again, or it says so and a sweep mends it. In the end SA and fabric agree."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.plugin_client import Refused  # noqa: E402
from faults.sa_truth import check_sa_truth, check_sa_truth_now  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.dynamic_lab import DynamicLab  # noqa: E402
from simfabric.lab import wait_until  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402

TRIES = 4  # of OpenSM's transport, by its settings in the lab
LOSSY = {"transaction_timeout": 20, "transaction_retries": TRIES - 1}
HIGH = 1100  # a LID
LOSSY_MOVES = 100 if FULL else 12
ATTEMPTS = 6  # at one move under random loss
LEASE_MS = 8000
BLUE = 0x8001


def blue_partition(truth):
    guid = next(guid for guid, row in truth.end_ports.items() if row["node"] == "hyp1_vf1")
    return f"Default=0x7fff, ipoib: ALL=full;\nBlue=0x0001: 0x{guid:016x}=full;\n"


def blue_slot(truth):
    return next(node for (node, port), keys in truth.pkeys.items() if BLUE in keys and "_vf" in node)


class Loss:
    """Drops what the arguments of `simfabric fault drop` name."""

    def __init__(self, lab, *rows):
        self.lab = lab
        self.rows = rows

    def __enter__(self):
        for row in self.rows:
            self.lab.fabric.cli("fault", "drop", *row)

    def __exit__(self, kind, error, trace):
        self.lab.fabric.cli("fault", "clear")


def lost(attribute, method, node, count, direction="request"):
    return ("--attribute", attribute, "--method", method, "--node", node, "--count", str(count), "--direction", direction)


def other_slot(lab, host, besides):
    return next(slot for slot in lab.slots() if slot.startswith(host) and slot != besides)


def move_blue(lab, host, rows):
    """To a slot of @host, with the loss that @rows(source, destination) names; what apply answered."""
    source = blue_slot(lab.truth())
    destination = other_slot(lab, host, source)
    plan = lab.plan(source, destination)
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        lab.exchange_guids(source, destination)
        with Loss(lab, *rows(source, destination)):
            return plan, sm.request("apply", hash=plan["hash"], migration=migration)


def check_resent(lab, host, rows):
    plan, answer = move_blue(lab, host, rows)
    assert answer["ok"] and answer["verified"], answer
    assert answer["resent"] == 1, f"sent again: {answer['resent']}"
    assert plan["pkey_sets"] and plan["pkey_sets"] == answer["pkey_sets"] and plan["lft_sets"] == answer["lft_sets"]
    lab.heavy_sweep()  # the loss is an error to OpenSM, for which it sweeps
    check_sa_truth(lab)


def a_lost_lft_set_is_sent_again(lab):
    check_resent(lab, "hyp2", lambda source, destination: [lost("LinearForwardingTable", "set", "V2", TRIES)])


def a_lost_answer_is_asked_for_again(lab):
    check_resent(lab, "hyp3", lambda source, destination: [lost("LinearForwardingTable", "set", "V3", TRIES, "response")])


def a_lost_pkey_set_is_sent_again(lab):
    check_resent(lab, "hyp2", lambda source, destination: [lost("P_KeyTable", "set", destination, TRIES)])


def a_lost_lid_is_sent_again(lab):
    check_resent(lab, "hyp4", lambda source, destination: [lost("PortInfo", "set", destination, TRIES)])


def a_slot_that_does_not_answer_is_refused_and_can_be_tried_again(lab):
    source = blue_slot(lab.truth())
    destination = other_slot(lab, "hyp1", source)
    plan = lab.plan(source, destination)
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        lab.exchange_guids(source, destination)
        for attribute in ("NodeInfo", "PortInfo", "P_KeyTable"):
            with Loss(lab, lost(attribute, "get", destination, 1000)):
                before = lab.fabric.counters()["total"]
                answer = sm.request("apply", hash=plan["hash"], migration=migration)
                after = lab.fabric.counters()["total"]
            assert answer.get("reason") == "guids-not-there", f"{attribute}: {answer}"
            for name in ("LinearForwardingTable", "PortInfo", "P_KeyTable"):
                assert after[name]["set"] == before[name]["set"], f"{attribute} lost, but {name} was Set"
        assert sm.ask("apply", hash=plan["hash"], migration=migration)["verified"]
    lab.heavy_sweep()
    check_sa_truth(lab)


def what_stays_unacknowledged_is_said_and_mended_by_a_sweep(lab):
    plan, answer = move_blue(lab, "hyp2", lambda source, destination: [lost("LinearForwardingTable", "set", "V2", 10000)])
    assert answer.get("reason") == "not-acknowledged", answer
    wait_until("the sweep that follows", lambda: lab.ask("status")["quiet"], 20)
    check_sa_truth(lab)
    sm, migration = lab.leased()
    with sm:
        again = sm.ask("apply", hash=plan["hash"], migration=migration)
    assert again["verified"] and again["lft_sets"] == 0


def nobody_is_misled(lab):
    """By the switches' own tables, from everywhere to everywhere, with no sweep first."""
    truth = lab.truth()
    rows = truth.end_ports
    misled = [(source, row["node"]) for source in rows for guid, row in rows.items()
              if source != guid and truth.walk(source, row["lid"]) != (row["node"], row["port"])]
    assert not misled, f"{len(misled)} pairs, the first {misled[0]}"


def nobody_goes_in_circles(lab):
    truth = lab.truth()
    ends = {str(truth.walk(source, row["lid"])) for source in truth.end_ports for row in truth.end_ports.values()}
    assert not [end for end in ends if "loop" in end], ends


def check_second_attempt(lab, attempt, node, between):
    """Twice while no LFT Set reaches @node, once when all do, under one lease. @between looks at the fabric after a refusal."""
    with Loss(lab, lost("LinearForwardingTable", "set", node, 10000)):
        for _ in range(2):
            answer = attempt()
            assert answer.get("reason") == "not-acknowledged", answer
            between(lab)
    answer = attempt()
    assert answer["ok"] and answer["verified"] and answer["resent"], answer
    nobody_is_misled(lab)


def second_attempt(lab, order, host, vswitch, between):
    source = blue_slot(lab.truth())
    destination = other_slot(lab, host, source)
    vm, back = lab.guid_at(source), lab.place_of(source)
    plan = lab.ask("plan", vm_port_guid=vm, order=order, **lab.place_of(destination))
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        lab.exchange_guids(source, destination)
        check_second_attempt(lab, lambda: sm.request("apply", hash=plan["hash"], migration=migration), vswitch,
                             between)
        assert sm.ask("verify", hash=plan["hash"])["verified"]
        lab.exchange_guids(source, destination)
        undo = {"hash": plan["hash"], "vm_port_guid": vm, "migration": migration, **back}
        check_second_attempt(lab, lambda: sm.request("undo", **undo), vswitch, between)
    lab.heavy_sweep()
    check_sa_truth(lab)


def a_second_attempt_sends_again_what_no_switch_has_taken(lab):
    second_attempt(lab, "fast", "hyp2", "V2", lambda lab: None)


def a_second_attempt_ends_the_wave_that_was_begun(lab):
    """Consistent: the new place's switch is the first to be written."""
    second_attempt(lab, "consistent", "hyp4", "V4", nobody_goes_in_circles)


def what_a_switch_port_lets_through(lab, direction, then):
    """The P_Key Sets to V2 are lost, or its answers; then the test goes on under the same lease."""
    source = blue_slot(lab.truth())
    destination = other_slot(lab, "hyp2", source)
    vm, back = lab.guid_at(source), lab.place_of(source)
    plan = lab.plan(source, destination)
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        lab.exchange_guids(source, destination)
        with Loss(lab, lost("P_KeyTable", "set", "V2", 10000, direction)):
            answer = sm.request("apply", hash=plan["hash"], migration=migration)
        assert answer.get("reason") == "not-acknowledged", answer
        if then == "apply":
            assert not sm.ask("verify", hash=plan["hash"])["verified"]
            assert sm.ask("apply", hash=plan["hash"], migration=migration)["pkey_sets"]
            assert sm.ask("verify", hash=plan["hash"])["verified"]
        else:
            lab.exchange_guids(source, destination)
            assert sm.ask("undo", hash=plan["hash"], vm_port_guid=vm, migration=migration, **back)["verified"]
        check_sa_truth_now(lab)
    lab.heavy_sweep()
    check_sa_truth(lab)


def a_second_attempt_puts_what_a_switch_port_lets_through(lab):
    lab.move(blue_slot(lab.truth()), other_slot(lab, "hyp1", blue_slot(lab.truth())))
    what_a_switch_port_lets_through(lab, "request", "apply")


def a_switch_port_that_has_not_answered_is_read_before_an_undo(lab):
    lab.move(blue_slot(lab.truth()), other_slot(lab, "hyp3", blue_slot(lab.truth())))
    what_a_switch_port_lets_through(lab, "response", "undo")


def half_a_plan_is_undone(lab):
    source = blue_slot(lab.truth())
    destination = other_slot(lab, "hyp3", source)
    before = lab.fabric.lft_dump(), lab.fabric.dump("places"), lab.fabric.dump("pkeys")
    vm, back = lab.guid_at(source), lab.place_of(source)
    plan = lab.plan(source, destination)
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        lab.exchange_guids(source, destination)
        with Loss(lab, lost("LinearForwardingTable", "set", "V3", 10000), lost("PortInfo", "set", destination, 10000)):
            answer = sm.request("apply", hash=plan["hash"], migration=migration)
        assert answer.get("reason") == "not-acknowledged", answer
        sm.close()
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        lab.exchange_guids(source, destination)
        assert sm.ask("undo", vm_port_guid=vm, migration=migration, hash=plan["hash"], **back)["verified"]
    assert (lab.fabric.lft_dump(), lab.fabric.dump("places"), lab.fabric.dump("pkeys")) == before
    lab.heavy_sweep()
    check_sa_truth(lab)


def a_linear_top_that_no_switch_has_taken_is_sent_again():
    """It is in the way of all routes to a LID beyond it, so these are not written before."""
    with DynamicLab(("hyp1_vf1", "hyp3_vf1"), settings=LOSSY) as lab:
        lab.heavy_sweep()
        guids = [f"0x{guid:016x}" for guid in lab.new_guids("hyp3_vf2")]
        move = {"kind": "create", "vm_node_guid": guids[0], "vm_port_guid": guids[1], "lid": HIGH, **lab.place_of("hyp3_vf2")}
        plan = lab.ask("plan", moves=[move])
        sm, migration = lab.leased(LEASE_MS)
        with sm:
            before = lab.fabric.counters()["total"]["LinearForwardingTable"]["set"]
            with Loss(lab, lost("SwitchInfo", "set", "leaf1", 10000)):
                answer = sm.request("apply", hash=plan["hash"], migration=migration)
            assert answer.get("reason") == "not-acknowledged", answer
            assert lab.fabric.counters()["total"]["LinearForwardingTable"]["set"] == before
            with Loss(lab, lost("SwitchInfo", "set", "leaf1", TRIES)):
                answer = sm.ask("apply", hash=plan["hash"], migration=migration)
            assert answer["switchinfo_sets"] == 1 and answer["resent"] == 1 and answer["verified"], answer
            assert len(lab.fabric.lft_dump()["leaf1"]) > HIGH, "leaf1 looks at no such entry"
            lab.fabric.link("hyp3_vf2", 1, "up")
        lab.heavy_sweep()
        check_sa_truth(lab)


def attempt(lab, plan):
    """Once; True when applied."""
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        answer = sm.request("apply", hash=plan["hash"], migration=migration)
    return answer["ok"]


def moves_succeed_under_random_loss(lab):
    """Of a fifth of the Sets, requests and responses, and a hundredth of everything. Whatever a first attempt leaves, a
    later one finishes."""
    slots = lab.slots()
    attempts = 0
    for number in range(LOSSY_MOVES):
        source, destination = slots[number * 5 % len(slots)], slots[(number * 7 + 3) % len(slots)]
        if source == destination:
            continue
        plan = lab.plan(source, destination)
        sm, _ = lab.leased(LEASE_MS)
        with sm:
            lab.exchange_guids(source, destination)
        seed = ("--direction", "both", "--seed", str(number))
        rows = [("--attribute", name, "--method", "set", "--chance", "0.2", *seed)
                for name in ("LinearForwardingTable", "P_KeyTable", "PortInfo")]
        with Loss(lab, *rows, ("--chance", "0.01", *seed)):
            for _ in range(ATTEMPTS):
                attempts += 1
                try:
                    if attempt(lab, plan):
                        break
                except Refused:
                    continue
        assert attempt(lab, plan), "not even without loss"
    lab.heavy_sweep()
    check_sa_truth(lab)
    print(f"# {LOSSY_MOVES} moves, {attempts} attempts")


def main():
    tap = Tap()
    with PluginLab(LOSSY, partitions=blue_partition) as lab:
        lab.heavy_sweep()
        for test in (a_lost_lft_set_is_sent_again, a_lost_answer_is_asked_for_again, a_lost_pkey_set_is_sent_again,
                     a_lost_lid_is_sent_again, a_slot_that_does_not_answer_is_refused_and_can_be_tried_again,
                     what_stays_unacknowledged_is_said_and_mended_by_a_sweep,
                     a_second_attempt_sends_again_what_no_switch_has_taken,
                     a_second_attempt_ends_the_wave_that_was_begun,
                     a_second_attempt_puts_what_a_switch_port_lets_through,
                     a_switch_port_that_has_not_answered_is_read_before_an_undo, half_a_plan_is_undone,
                     moves_succeed_under_random_loss):
            tap.run(test.__name__, test, lab)
    test = a_linear_top_that_no_switch_has_taken_is_sent_again
    tap.run(test.__name__, test)
    tap.exit()


main()
