#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-fabric: moves without a subnet manager are carried out, taken back, gone on with after a kill; and refused where
they must not be made, with nothing changed."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.lft_blocks import count_changed  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.lab import wait_until  # noqa: E402
from simfabric.raw_lab import FAILED, HALFWAY, USAGE, RawLab  # noqa: E402

VM, OTHER = "hyp2_vf1", "hyp3_vf2"
WAYS = [(), ("--route", "lid"), ("--window", 1), ("--order", "consistent"), ("--reach", "minimum"),
        ("--order", "drop-first", "--packet-lifetime-ms", 1), ("--model", "vswitch"),
        ("--order", "consistent", "--route", "lid", "--window", 64)]


def unchanged(lab, before):
    assert lab.tables() == before, "the fabric has changed"


def without(lab, act):
    """@act changes nothing and sets nothing; what it returns."""
    before, sets = lab.tables(), lab.sets()
    answer = act()
    unchanged(lab, before)
    assert lab.sets() == sets, "something was Set"
    return answer


def refused(lab, reason, *words, status=FAILED):
    answer = without(lab, lambda: lab.tool.ask(*words, status=status))
    assert answer["reason"] == reason, answer
    return answer["text"]


def a_master_is_not_written_behind(lab):
    move, path = lab.move(VM, OTHER), lab.tool.new_file()
    for node in (lab.from_node, lab.node):
        lab.from_node, kept = node, lab.from_node
        text = refused(lab, "sm-present", "apply", "--undo", path, move)
        lab.from_node = kept
        assert "subnet manager" in text and not os.path.exists(path), text
    without(lab, lambda: lab.tool.ask("plan", move))
    without(lab, lambda: lab.tool.ask("apply", "--dry-run", move))


def a_master_that_the_own_port_does_not_know_is_found(lab):
    """Of a subnet manager that has come since."""
    move, path = lab.move(VM, OTHER), lab.tool.new_file()
    master = lab.fabric.opensm_start("hyp4", {"sm_priority": 3}, lab.environment())
    lab.fabric.cli("fault", "drop", "--attribute", "SMInfo", "--class", "0x01")
    master.wait_up(30)
    assert "hyp4" in refused(lab, "sm-present", "apply", "--undo", path, "--timeout-ms", 20, move)
    lab.fabric.cli("fault", "clear")
    master.stop()


def moves_and_comes_back(lab, options):
    before, lids = lab.tables(), lab.lids()
    lab.fabric.counters_reset()
    path, answer = lab.tool.apply([lab.move(VM, OTHER)], *options)
    assert answer["done"] == "applied" and answer["resent"] == 0, answer
    assert answer["portinfo_sets"] == 2
    counted = lab.fabric.lft_sets()
    assert (counted["physical"], counted["vswitch"]) == (answer["lft_sets_physical"], answer["lft_sets_vswitch"]), counted
    differing = count_changed(before[0], lab.fabric.lft_dump())
    assert counted["physical"] + counted["vswitch"] == differing + answer["splits"], (counted, differing)
    swapped = {**lids, VM: lids[OTHER], OTHER: lids[VM]}
    assert lab.lids() == swapped, lab.lids()
    lab.all_delivered()
    lab.tool.ask("verify", path)
    without(lab, lambda: lab.tool.ask("resume", path))
    lab.tool.ask("undo", path, "--packet-lifetime-ms", 1)
    unchanged(lab, before)
    assert lab.tool.ask("verify", path, status=FAILED)["reason"] == "not-verified"


def many_moves_are_one_plan(lab):
    before, names = lab.tables(), [name for name in lab.movable() if "_vf" in name]
    moves = [lab.move(a, b) for a, b in zip(names[:4], names[-4:])]
    path, answer = lab.tool.apply(moves)
    counted = answer["lft_sets_physical"] + answer["lft_sets_vswitch"]
    assert counted == count_changed(before[0], lab.fabric.lft_dump()) and answer["moves"] == 4, answer
    lab.all_delivered()
    lab.tool.ask("undo", path)
    unchanged(lab, before)


def places_may_be_named_by_switch_and_port(lab):
    before, lids = lab.tables(), lab.lids()
    rows = {slot["slot"]: slot for slot in lab.fabric.slots()}
    words = [f"{rows[name]['vswitch_guid']}/{rows[name]['vswitch_port']}" for name in (VM, OTHER)]
    path, _ = lab.tool.apply([":".join(words)])
    assert lab.lids() == {**lids, VM: lids[OTHER], OTHER: lids[VM]}
    lab.tool.ask("undo", path)
    unchanged(lab, before)


def killed_and_taken_back(lab, command):
    """In mid-apply, when some Sets have been carried out and one is never answered."""
    before, path = lab.tables(), lab.tool.new_file()
    move = lab.move(VM, OTHER)
    last = lab.switches()[lab.tool.ask("plan", move)["change"]["changes"][-1]["switch_guid"]]
    lab.fabric.cli("fault", "drop", "--attribute", "LinearForwardingTable", "--method", "set", "--node", last)
    lab.fabric.counters_reset()
    child = lab.fabric.start(lab.tool.program, "apply", "--undo", path, "--window", 1, "--tries", 1000, move,
                             node=lab.from_node, env=lab.environment())
    wait_until("a Set that is lost", lambda: lab.fabric.counters()["total"].get("LinearForwardingTable", {})
               .get("dropped"), 30)
    child.kill()
    child.wait()
    assert lab.sets()["LinearForwardingTable"] and lab.tables() != before, "nothing was carried out yet"
    lab.fabric.cli("fault", "clear")
    lab.tool.ask(command, path)
    if command == "resume":
        lab.all_delivered()
        lab.tool.ask("verify", path)
        lab.tool.ask("undo", path)
    unchanged(lab, before)


def killed_in_its_pause(lab, command, ms):
    """When all routes have been dropped. Packets that were under way then may be so still when it is gone on with."""
    before, path = lab.tables(), lab.tool.new_file()
    move = lab.move(VM, OTHER)
    waves = [change["wave"] for change in lab.tool.ask("plan", "--order", "drop-first", move)["change"]["changes"]]
    assert sorted(set(waves)) == [0, 1], waves
    lab.fabric.counters_reset()
    child = lab.fabric.start(lab.tool.program, "apply", "--undo", path, "--order", "drop-first", "--packet-lifetime-ms", 600000,
                             move, node=lab.from_node, env=lab.environment())
    wait_until("all routes are dropped", lambda: lab.sets().get("LinearForwardingTable") == waves.count(0), 30)
    child.kill()
    child.wait()
    answer = lab.tool.ask(command, path, "--packet-lifetime-ms", ms)
    assert answer["sets_us"] >= ms * 1000, f"it did not wait until they are out: {answer}"
    if command == "resume":
        lab.all_delivered()
        lab.tool.ask("undo", path, "--packet-lifetime-ms", 1)
    unchanged(lab, before)


def what_is_never_answered_is_taken_back(lab):
    before, path = lab.tables(), lab.tool.new_file()
    lab.fabric.cli("fault", "drop", "--attribute", "LinearForwardingTable", "--method", "set", "--node", "V3", "--count",
                   3, "--direction", "request")
    answer = lab.tool.ask("apply", "--undo", path, "--timeout-ms", 20, "--tries", 3, lab.move(VM, OTHER), status=FAILED)
    assert answer["reason"] == "not-acknowledged" and answer["done"] == "undone" and "V3" in answer["text"], answer
    unchanged(lab, before)
    assert not os.path.exists(path)
    lab.fabric.cli("fault", "clear")


def what_cannot_be_taken_back_either_is_said(lab):
    before, path = lab.tables(), lab.tool.new_file()
    rows = ("PortInfo", VM), ("LinearForwardingTable", "V3")
    for attribute, node in rows:
        lab.fabric.cli("fault", "drop", "--attribute", attribute, "--method", "set", "--node", node, "--direction",
                       "response")
    answer = lab.tool.ask("apply", "--undo", path, "--timeout-ms", 20, "--tries", 2, lab.move(VM, OTHER), status=HALFWAY)
    assert answer["reason"] == "not-acknowledged" and "taken back" in answer["text"], answer
    lab.fabric.cli("fault", "clear")
    assert lab.tool.ask("undo", path)["done"] == "undone"
    unchanged(lab, before)


def what_fails_is_kept_where_that_is_asked_for(lab):
    before, path = lab.tables(), lab.tool.new_file()
    lab.fabric.cli("fault", "drop", "--attribute", "LinearForwardingTable", "--method", "set", "--node", "V3")
    answer = lab.tool.ask("apply", "--keep", "--undo", path, "--timeout-ms", 20, "--tries", 2, lab.move(VM, OTHER),
                          status=HALFWAY)
    assert answer["reason"] == "not-acknowledged" and "V3" in answer["text"], answer
    assert lab.tables() != before
    lab.fabric.cli("fault", "clear")
    lab.tool.ask("resume", path)
    lab.all_delivered()
    lab.tool.ask("undo", path)
    unchanged(lab, before)


def a_hole_is_named(lab, attribute, node, named):
    lab.fabric.cli("fault", "drop", "--attribute", attribute, "--method", "get", "--node", node)
    move, path = lab.move(VM, OTHER), lab.tool.new_file()
    for words in (("plan", move), ("apply", "--undo", path, move)):
        text = refused(lab, "not-read", *words, "--timeout-ms", 10, "--tries", 2)
        assert named in text, text
    lab.fabric.cli("fault", "clear")
    assert not os.path.exists(path)


def one_guid_at_two_places_is_named(lab):
    """As hosts show it while they exchange GUIDs."""
    rows = lab.places()
    move, path = lab.move(VM, "hyp4_vf1"), lab.tool.new_file()
    for node_guid, reason, guid in ((rows[VM]["node_guid"], "not-read", rows[VM]["node_guid"]),
                                    (rows[OTHER]["node_guid"], "bad-view", rows[VM]["port_guid"])):
        lab.fabric.cli("guids", OTHER, node_guid, rows[VM]["port_guid"])
        assert guid in refused(lab, reason, "apply", "--undo", path, move)
    lab.fabric.cli("guids", OTHER, rows[OTHER]["node_guid"], rows[OTHER]["port_guid"])
    assert not os.path.exists(path)


def another_plan_in_between(lab):
    """Its own entries: the first plan's are stale. Others', in the same blocks: they stay."""
    before = lab.tables()
    first, _ = lab.tool.apply([lab.move(VM, OTHER)])
    second, _ = lab.tool.apply([lab.move(VM, "hyp4_vf1")])
    assert refused(lab, "stale-plan", "undo", first)
    lab.tool.ask("undo", second)
    third, _ = lab.tool.apply([lab.move("hyp2_vf3", "hyp3_vf3")])
    lab.tool.ask("undo", first)
    lab.all_delivered()
    lab.tool.ask("undo", third)
    unchanged(lab, before)


def a_bad_undo_file_is_refused(lab):
    path, _ = lab.tool.apply([lab.move(VM, OTHER)])
    text = open(path).read()
    other = lab.tool.new_file()
    for what in (text[:-1], text.replace('"lid_after":', '"lid_after":1', 1), '{"moves":1}', "", "\0" * 100):
        with open(other, "w") as out:
            out.write(what)
        for command in ("undo", "resume", "verify"):
            refused(lab, "undo-file", command, other)
        assert open(other).read() == what, "the file was changed"
    refused(lab, "undo-file", "undo", other + "-not-there")
    refused(lab, "undo-file", "apply", "--undo", path, lab.move(VM, OTHER))
    assert open(path).read() == text
    lab.tool.ask("undo", path)


def what_cannot_be_is_refused(lab):
    path, ports = lab.tool.new_file(), lab.places()
    vm = ports[VM]["port_guid"]
    for reason, move, status in (("unknown-port", f"{vm}:0xdead", FAILED), ("unknown-port", f"{vm}:0xdead/3", FAILED),
                                 ("same-place", f"{vm}:{vm}", FAILED), ("bad-request", vm, USAGE),
                                 ("bad-request", f"{vm}:7", USAGE), ("bad-request", f"{vm}:{vm}/0", USAGE),
                                 ("bad-request", f"{vm}:{vm}/x", USAGE)):
        refused(lab, reason, "apply", "--undo", path, move, status=status)
    assert refused(lab, "not-a-vswitch-slot", "plan", "--model", "vswitch", lab.move(VM, "sm"))
    assert not os.path.exists(path)


def a_subnet_manager_that_comes_afterwards_finds_it_right(lab):
    """The hosts exchange the GUIDs, and an OpenSM that knows which GUID had which LID starts: nothing is left for it to do."""
    path, _ = lab.tool.apply([lab.move(VM, OTHER)], "--order", "consistent")
    rows = lab.places()
    for slot, row in ((OTHER, rows[VM]), (VM, rows[OTHER])):
        lab.fabric.cli("guids", slot, row["node_guid"], row["port_guid"])
    before = lab.fabric.lft_dump(), lab.lids()
    lab.opensm_up(OSM_CACHE_DIR=lab.fabric.opensms[0].directory)
    assert (lab.fabric.lft_dump(), lab.lids()) == before, "OpenSM has changed LIDs or routes"
    check_sa_truth(lab, settle=True)
    lab.fabric.opensm_stop()
    for slot, row in ((OTHER, rows[OTHER]), (VM, rows[VM])):
        lab.fabric.cli("guids", slot, row["node_guid"], row["port_guid"])
    lab.tool.ask("undo", path)
    lab.all_delivered()


def what_takes_long_shows_that_it_goes_on(lab):
    lab.fabric.cli("fault", "delay", "--attribute", "NodeDescription", "--us", 80000)
    done = lab.run([lab.tool.program, "plan", "--window", "1", "--timeout-ms", "10000", lab.move(VM, OTHER)], 60)
    assert done.returncode == 0 and "SMPs so far" in done.stderr, done
    lab.fabric.cli("fault", "clear")


def usage_is_told(lab):
    for words in ((), ("swap",), ("plan",), ("apply", "a:b"), ("undo",), ("undo", "a", "b"), ("plan", "--order", "x", "a:b"),
                  ("plan", "--window", "0", "a:b"), ("plan", "--window", "257", "a:b"), ("plan", "--what", "a:b")):
        done = lab.run([lab.tool.program, *words], 30)
        assert done.returncode == USAGE and "tether-fabric" in done.stderr and not done.stdout, (words, done)
    for words, said in ((["swap"], "no command swap"), (["plan"], "plan takes a move or more"), (["undo", "a", "b"], "undo takes one file")):
        assert f"tether-fabric: {said}\n" in lab.run([lab.tool.program, *words], 30).stderr, words
    done = lab.run([lab.tool.program, "--help"], 30)
    assert done.returncode == 0 and "usage" in done.stdout


def an_m_key_is_refused(tap):
    with RawLab(conf={"m_key": "0x1234"}) as lab:
        lab.fabric.opensm_stop()
        path = lab.tool.new_file()
        tap.run("who_has_an_m_key_is_refused", lambda: refused(lab, "m-key", "apply", "--undo", path, lab.move(VM, OTHER)))


def main():
    tap = Tap()
    with RawLab() as lab:
        tap.run("a_master_is_not_written_behind", a_master_is_not_written_behind, lab)
        lab.fabric.opensm_stop()
        tap.run("a_master_that_the_own_port_does_not_know_is_found", a_master_that_the_own_port_does_not_know_is_found, lab)
        for options in WAYS:
            words = "_".join(str(option).lstrip("-") for option in options) or "as_it_is"
            tap.run(f"a_move_and_its_way_back_{words}", moves_and_comes_back, lab, options)
        for test in (many_moves_are_one_plan, places_may_be_named_by_switch_and_port, what_is_never_answered_is_taken_back,
                     what_cannot_be_taken_back_either_is_said,
                     what_fails_is_kept_where_that_is_asked_for, one_guid_at_two_places_is_named, another_plan_in_between, a_bad_undo_file_is_refused,
                     what_cannot_be_is_refused, usage_is_told, what_takes_long_shows_that_it_goes_on,
                     a_subnet_manager_that_comes_afterwards_finds_it_right):
            tap.run(test.__name__, test, lab)
        for command in ("undo", "resume"):
            tap.run(f"killed_in_mid_apply_{command}", killed_and_taken_back, lab, command)
            tap.run(f"killed_in_its_pause_{command}", killed_in_its_pause, lab, command, 300)
        for attribute, node, named in (("SwitchInfo", "spine1", "spine1"), ("LinearForwardingTable", "leaf2", "leaf2"),
                                       ("PortInfo", "V3", "V3"), ("NodeInfo", "spine2", "leaf")):
            tap.run(f"a_switch_that_does_not_answer_{attribute}_is_named", a_hole_is_named, lab, attribute, node, named)
    an_m_key_is_refused(tap)
    tap.exit()


main()
