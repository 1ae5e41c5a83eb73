#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Plans in flight at the same time: what waits goes out as one, each block of a switch is written once, as the fabric
counts it, and what is wrong with one of them is no other one's. All orders, and some more, with TETHER_FULL=1."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.lft_blocks import count_changed  # noqa: E402
from faults.plugin_client import Refused  # noqa: E402
from faults.sa_truth import check_sa_truth, check_sa_truth_now  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.together_lab import LONG_MS, SOON_S, Mover, TogetherLab  # noqa: E402

THERE = [("hyp1_vf1", "hyp3_vf2"), ("hyp1_vf2", "hyp4_vf1"), ("hyp2_vf1", "hyp4_vf3"), ("hyp2_vf2", "hyp3_vf3")]

SHORT_MS = 300


def back(pairs):
    return [(destination, source) for source, destination in pairs]


def and_back(lab, pairs):
    movers = lab.movers(back(pairs))
    answers = lab.apply_at_once(movers)
    assert all(answer["ok"] and answer["together"] == len(pairs) for answer in answers), answers
    check_sa_truth_now(lab)
    release(movers)
    if FULL:
        check_sa_truth(lab)


def release(movers):
    for mover in movers:
        assert mover.release()


def reason_of(ask):
    try:
        ask()
    except Refused as error:
        return error.reason
    return None


def each_block_is_written_once(lab, order):
    """The sum of what each is told is what the fabric has counted; in `fast` that is one Set for each block that is
    another one afterwards."""
    for pairs in (THERE, back(THERE)):
        movers = lab.movers(pairs, order=order)
        tables, before = lab.fabric.lft_dump(), lab.lft_sets()
        answers = lab.apply_at_once(movers)
        sent = lab.lft_sets() - before
        changed = count_changed(tables, lab.fabric.lft_dump())
        assert all(answer["ok"] and answer["verified"] and answer["together"] == len(pairs) for answer in answers), answers
        assert sum(answer["lft_sets"] for answer in answers) == sent, (sent, answers)
        assert not any(answer["resent"] for answer in answers)
        alone = [mover.plan["lft_sets"] for mover in movers]
        if order == "fast":
            assert sent == changed < sum(alone), f"{sent} Sets for {changed} blocks; {alone} alone"
            # What is another one's and wrote for this one, too, is what is missing to its own plan.
            assert [answer["lft_sets"] + answer["lft_sets_shared"] for answer in answers] == alone, (answers, alone)
        check_sa_truth_now(lab)
        assert all(mover.verify() for mover in movers)
        release(movers)
    if FULL:
        check_sa_truth(lab)


def nobody_waits_for_who_has_not_come(lab):
    """Under leases at the same time, but one after the other: as if alone."""
    movers = lab.movers(THERE)
    for mover in movers:
        before = lab.lft_sets()
        answer = mover.apply()
        assert answer["together"] == 1 and answer["lft_sets"] == lab.lft_sets() - before, answer
        assert answer["lft_sets_shared"] == 0
    release(movers)
    and_back(lab, THERE)


def one_whose_guids_are_not_there_is_refused_alone(lab):
    movers = [Mover(lab, *pair) for pair in THERE]
    for mover in movers:
        mover.lease()
    for mover in movers[:1] + movers[2:]:
        mover.exchange()
    answers = lab.apply_at_once(movers)
    assert [answer.get("reason") for answer in answers] == [None, "guids-not-there", None, None], answers
    assert [answer.get("together") for answer in answers] == [3, None, 3, 3], answers
    movers[1].exchange()
    assert movers[1].apply()["verified"]
    release(movers)
    one_whose_slot_does_not_answer_is_refused_alone(lab)


def one_whose_slot_does_not_answer_is_refused_alone(lab):
    movers = lab.movers(back(THERE))
    rule = ("--attribute", "P_KeyTable", "--method", "get", "--node", movers[2].destination)
    answers = lab.apply_at_once(movers, lost=[rule])
    assert [answer.get("reason") for answer in answers] == [None, None, "guids-not-there", None], answers
    assert movers[2].apply()["verified"]
    check_sa_truth_now(lab)
    release(movers)
    lab.heavy_sweep()  # the loss is an error to OpenSM, for which it sweeps


def what_is_lost_of_one_is_not_the_others(lab, order):
    """Nothing gets through to V3, which the second one does not touch, though they have blocks of other switches in
    common. A second attempt finishes the first."""
    movers = lab.movers([("hyp3_vf1", "hyp4_vf2"), ("hyp1_vf1", "hyp2_vf1")], order=order)
    rule = ("--attribute", "LinearForwardingTable", "--method", "set", "--node", "V3")
    before = lab.lft_sets()
    lost, kept = lab.apply_at_once(movers, lost=[rule])
    assert lost["reason"] == "not-acknowledged", lost
    assert kept["ok"] and kept["verified"] and kept["together"] == 2, kept
    assert kept["lft_sets"] == movers[1].plan["lft_sets"] <= lab.lft_sets() - before, kept
    assert movers[1].verify()
    assert lab.ask("status")["sweep_waits"]
    assert movers[0].apply()["verified"]
    assert movers[0].verify()
    check_sa_truth_now(lab)
    release(movers)
    lab.heavy_sweep()  # the loss is an error to OpenSM, for which it sweeps
    check_sa_truth(lab)


def a_plan_back_goes_with_plans_forth(lab):
    there = lab.movers(THERE[:2])
    assert all(answer["ok"] for answer in lab.apply_at_once(there))
    others = lab.movers(THERE[2:])
    for mover in there:
        mover.exchange()
    answers = lab.apply_at_once(there + others, 2 * [Mover.send_undo] + 2 * [Mover.send_apply])
    assert all(answer["ok"] and answer["together"] == 4 for answer in answers), answers
    assert [lab.guid_at(mover.source) for mover in there] == [mover.vm for mover in there]
    check_sa_truth_now(lab)
    release(there + others)
    and_back(lab, THERE[2:])


def plans_of_one_vm_or_slot_exclude_each_other(lab):
    first = Mover(lab, "hyp1_vf1", "hyp3_vf1")
    same_vm, same_slot = Mover(lab, "hyp1_vf1", "hyp4_vf1"), Mover(lab, "hyp2_vf1", "hyp3_vf1")
    other = Mover(lab, "hyp2_vf2", "hyp4_vf2")
    first.lease()
    for mover in (same_vm, same_slot):
        answer = mover.sm.request("lease", migration=mover.migration, hash=mover.plan["hash"], ms=LONG_MS, wait_ms=1)
        assert answer["reason"] == "busy" and answer["about"]["fault"] == "leased", answer
    other.lease(wait_ms=1)
    # Who does not say what moves may move anything.
    assert reason_of(lambda: same_vm.sm.ask("lease", migration="any", ms=LONG_MS, wait_ms=1)) == "busy"
    assert reason_of(lambda: same_vm.sm.ask("lease", migration="any", hash="0" * 16, ms=LONG_MS, wait_ms=1)) == "busy"
    # Nor does a lease for one plan let another one's VM be moved.
    assert reason_of(lambda: other.sm.ask("apply", hash=same_slot.plan["hash"], migration=other.migration)) == "busy"
    release([first, other])
    assert not same_vm.sm.ask("lease", migration="any", ms=LONG_MS)["shared"]
    assert reason_of(lambda: same_slot.lease(wait_ms=1)) == "busy"
    for mover in (same_vm, same_slot):
        mover.sm.close()


def who_waits_to_be_alone_lets_nobody_in_before_him(lab):
    first, second = Mover(lab, *THERE[0]), Mover(lab, *THERE[1])
    first.lease()
    with lab.connect() as alone:
        alone.send("lease", migration="alone", ms=LONG_MS)
        wait_until("he waits", lambda: reason_of(lambda: second.lease(wait_ms=1)) == "busy" or not second.release_lease(), SOON_S)
        assert first.release()
        assert not alone.receive()["shared"]
        assert reason_of(lambda: second.lease(wait_ms=1)) == "busy"
        second.sm.send("lease", migration=second.migration, hash=second.plan["hash"], ms=LONG_MS)
        assert alone.ask("release_lease", migration="alone")["held"]
    assert second.answer()["shared"]
    assert second.release()


def nor_anybody_who_came_before_him(lab):
    """When the last of those who hold it lets go."""
    first, *others = (Mover(lab, "hyp1_vf1", slot) for slot in ("hyp3_vf1", "hyp3_vf2", "hyp3_vf3", "hyp4_vf1", "hyp4_vf2"))
    second = Mover(lab, *THERE[1])
    first.lease()
    for mover in others:
        mover.sm.send("lease", migration=mover.migration, hash=mover.plan["hash"], ms=LONG_MS)
    with lab.connect() as alone:
        alone.send("lease", migration="alone", ms=LONG_MS)
        wait_until("he waits", lambda: reason_of(lambda: second.lease(wait_ms=1)) == "busy" or not second.release_lease(), SOON_S)
        assert first.release()
        answer = alone.receive()
        assert answer["ok"] and not answer["shared"], answer
        assert alone.ask("release_lease", migration="alone")["held"]
    for mover in [*others, second]:
        mover.sm.close()
    wait_until("all have gone", lambda: lab.ask("status")["quiet"], SOON_S)


def a_lease_is_for_what_was_applied_last(lab):
    """Who plans anew under it need not keep others from what he moves no more, and keeps them from what he does."""
    first, again = Mover(lab, *THERE[0]), Mover(lab, "hyp2_vf1", "hyp3_vf1")
    same_as_first, same_as_again = Mover(lab, "hyp1_vf1", "hyp4_vf1"), Mover(lab, "hyp2_vf2", "hyp3_vf1")
    first.lease()
    again.exchange()
    assert first.sm.ask("apply", hash=again.plan["hash"], migration=first.migration)["verified"]
    same_as_first.lease(wait_ms=1)
    assert reason_of(lambda: same_as_again.lease(wait_ms=1)) == "busy"
    # Nor is it renewed for what another one holds it for now; who names no plan keeps what he has it for.
    assert reason_of(first.lease) == "busy"
    first.sm.ask("lease", migration=first.migration, ms=LONG_MS)
    assert reason_of(lambda: same_as_again.lease(wait_ms=1)) == "busy"
    assert same_as_first.release()
    first.lease()
    same_as_again.lease(wait_ms=1)
    release([first, same_as_again])
    again.sm.close()
    and_back(lab, [("hyp2_vf1", "hyp3_vf1")])


def one_whose_time_is_over_is_in_nobodys_way(lab):
    late, other = Mover(lab, "hyp2_vf1", "hyp3_vf1"), Mover(lab, *THERE[0])
    other.lease()
    late.lease(ms=SHORT_MS)
    over = time.monotonic() + SHORT_MS / 1000
    wait_until("its time is over", lambda: time.monotonic() > over, SOON_S)
    late.exchange()
    assert other.sm.ask("apply", hash=late.plan["hash"], migration=other.migration)["verified"]
    assert other.release()
    late.sm.close()
    and_back(lab, [("hyp2_vf1", "hyp3_vf1")])


def a_sweep_that_waits_lets_nobody_join(lab):
    """So leases that overlap do not keep it off for good."""
    first, second, third = (Mover(lab, *pair) for pair in THERE[:3])
    first.lease()
    second.lease()
    lab.ask_for_sweep()
    wait_until("a sweep waits", lambda: lab.ask("status")["sweep_waits"], SOON_S)
    assert reason_of(lambda: third.lease(wait_ms=1)) == "busy"
    third.sm.send("lease", migration=third.migration, hash=third.plan["hash"], ms=LONG_MS)
    first.exchange()
    assert first.apply()["verified"]
    assert first.release()
    assert lab.ask("status")["sweep_waits"], "the second one holds it still"
    second.exchange()
    assert second.apply()["verified"]
    assert second.release()
    assert third.answer()["ok"]
    assert not lab.ask("status")["sweep_waits"]
    assert third.release()
    and_back(lab, THERE[:2])


def one_who_goes_away_while_he_waits_is_finished(lab):
    movers = lab.movers(THERE)
    with lab.held() as held:
        for number, mover in enumerate(movers):
            mover.send_apply()
            held.wait_for(number + 1)
        movers[1].sm.close()
    rest = movers[:1] + movers[2:]
    assert all(mover.answer()["together"] == 4 for mover in rest)
    assert lab.guid_at(movers[1].destination) == movers[1].vm
    release(rest)
    wait_until("the lease of the one that is gone has ended", lambda: lab.ask("status")["quiet"], SOON_S)
    check_sa_truth_now(lab)
    and_back(lab, THERE)


def whose_lease_runs_out_while_he_waits_hears_so(lab):
    movers = lab.movers(THERE)
    with lab.held() as held:
        for number, mover in enumerate(movers[1:]):
            mover.send_apply()
            held.wait_for(number + 1)
        movers[0].lease(ms=SHORT_MS)
        over = time.monotonic() + SHORT_MS / 1000
        movers[0].send_apply()
        wait_until("its time is over", lambda: time.monotonic() > over, SOON_S)
    assert movers[0].answer()["reason"] == "no-lease"
    assert all(mover.answer()["together"] == 3 for mover in movers[1:])
    movers[0].lease()
    assert movers[0].apply()["verified"]
    release(movers)
    and_back(lab, THERE)


def told_to_end_opensm_lets_nobody_wait(lab):
    movers = lab.movers(THERE)
    held = lab.held()
    held.__enter__()
    for number, mover in enumerate(movers):
        mover.send_apply()
        held.wait_for(number + 1)
    assert lab.opensm().stop(SOON_S) == 0
    for mover in movers:
        try:
            assert mover.answer()["reason"] == "shutting-down"
        except ConnectionError:
            pass  # its end came before the answer
        mover.sm.close()
    held.mover.sm.close()
    lab.fabric.cli("fault", "clear")
    lab.start_opensm()
    assert [lab.guid_at(mover.destination) for mover in movers] == [mover.vm for mover in movers]
    check_sa_truth(lab)


QUICK = (one_whose_guids_are_not_there_is_refused_alone, plans_of_one_vm_or_slot_exclude_each_other,
         who_waits_to_be_alone_lets_nobody_in_before_him, nor_anybody_who_came_before_him,
         a_lease_is_for_what_was_applied_last, one_whose_time_is_over_is_in_nobodys_way, a_sweep_that_waits_lets_nobody_join,
         whose_lease_runs_out_while_he_waits_hears_so)
LONGER = (nobody_waits_for_who_has_not_come, a_plan_back_goes_with_plans_forth, one_who_goes_away_while_he_waits_is_finished)


def main():
    tap = Tap()
    with TogetherLab() as lab:
        for order in ("fast", "consistent", "drop-first") if FULL else ("fast",):
            tap.run(f"each_block_is_written_once_{order}", each_block_is_written_once, lab, order)
        for order in ("fast", "consistent") if FULL else ("consistent",):
            tap.run(f"what_is_lost_of_one_is_not_the_others_{order}", what_is_lost_of_one_is_not_the_others, lab, order)
        for test in QUICK + LONGER if FULL else QUICK:
            tap.run(test.__name__, test, lab)
        tap.run("a_heavy_sweep_writes_nothing", check_sa_truth, lab)
        tap.run("told_to_end_opensm_lets_nobody_wait", told_to_end_opensm_lets_nobody_wait, lab)
    tap.exit()


main()
