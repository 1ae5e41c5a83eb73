#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The plugin's lease on OpenSM's sweeps, and its life and end beside OpenSM's: whatever happens to whoever holds it,
OpenSM goes on."""
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.plugin_client import PluginClient, Refused  # noqa: E402
from faults.sa_truth import check_sa_truth_now, sets  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.lab import wait_until  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402

SOON_S = 5  # less than the leases that must not matter any more
LONG_MS = 10000
CONTENDERS = 4
CONTENDED_LEASES = 300


def node_infos(lab):
    """A heavy sweep asks for many; a move for two."""
    return sets(lab.fabric.counters(), "NodeInfo", "get")


def make_a_sweep_wait(lab):
    lab.ask_for_sweep()
    wait_until("a sweep waits", lambda: lab.ask("status")["sweep_waits"], SOON_S)


def expect_sweep(lab, before):
    wait_until("the sweep that waited", lambda: node_infos(lab) > before, SOON_S)
    wait_until("OpenSM is at rest", lambda: lab.ask("status")["quiet"], SOON_S)


def refusal_of(sm, op, **members):
    try:
        sm.ask(op, **members)
    except Refused as error:
        return error.reason
    return None


def a_heavy_sweep_waits_for_the_move(lab):
    source, destination = "hyp1_vf1", "hyp2_vf3"
    plan = lab.plan(source, destination)
    sm, migration = lab.leased(LONG_MS)
    with sm:
        before = node_infos(lab)
        make_a_sweep_wait(lab)
        lab.exchange_guids(source, destination)
        assert sm.ask("apply", hash=plan["hash"], migration=migration)["verified"]
        assert sm.ask("status")["sweep_waits"]
        assert node_infos(lab) == before + 2, "a sweep has run under the lease"
        sm.ask("release_lease", migration=migration)
        expect_sweep(lab, before + 2)
    check_sa_truth_now(lab)


def a_lease_ends_with_its_time(lab):
    sm, migration = lab.leased(500)
    with sm:
        before = node_infos(lab)
        lab.ask_for_sweep()
        expect_sweep(lab, before)
        assert sm.ask("release_lease", migration=migration)["held"] is False
        assert refusal_of(sm, "apply", hash="0" * 16, migration=migration) == "no-lease"


def its_holder_renews_a_lease_at_once(lab):
    """Also while a sweep waits, which would not let it come to rest: two slots show one GUID when a move turns back."""
    sm, migration = lab.leased(LONG_MS)
    with sm:
        before = node_infos(lab)
        make_a_sweep_wait(lab)
        assert sm.ask("lease", migration=migration, ms=LONG_MS, wait_ms=1)["ms"] == LONG_MS
        assert node_infos(lab) == before, "a sweep has run in between"
        assert refusal_of(sm, "lease", migration="another", ms=1, wait_ms=1) == "busy"
        assert sm.ask("release_lease", migration=migration)["held"]
    expect_sweep(lab, before)


def a_lease_ends_with_its_connection(lab):
    sm, _ = lab.leased(LONG_MS)
    before = node_infos(lab)
    make_a_sweep_wait(lab)
    sm.close()
    expect_sweep(lab, before)


def the_next_holder_waits_for_the_one_before(lab):
    sm, migration = lab.leased(LONG_MS)
    with sm, lab.connect() as other:
        other.send("lease", migration="other", ms=1000, wait_ms=LONG_MS)
        assert sm.ask("release_lease", migration=migration)["held"]
        assert other.receive()["ok"]
        assert other.ask("release_lease", migration="other")["held"]


def contend(lab, over):
    """Want the lease for an instant, again and again."""
    with lab.connect() as sm:
        while not over.is_set():
            sm.request("lease", migration="contender", ms=1, wait_ms=1)
            sm.request("release_lease", migration="contender")


def a_granted_lease_is_not_lost_to_contenders(lab):
    """While sweeps keep them waiting for OpenSM to come to rest."""
    over = threading.Event()
    contenders = [threading.Thread(target=contend, args=(lab, over)) for _ in range(CONTENDERS)]
    for contender in contenders:
        contender.start()
    try:
        for number in range(CONTENDED_LEASES):
            sm, migration = lab.leased(LONG_MS)
            with sm:
                lab.ask_for_sweep()
                for _ in range(5):
                    sm.ask("status")
                assert sm.ask("release_lease", migration=migration)["held"], f"lease {number} was lost"
    finally:
        over.set()
        for contender in contenders:
            contender.join()


def what_an_owed_sweep_finds_comes_before_the_lease(lab):
    """Granted only when the sweep that was asked for has gone through."""
    before = node_infos(lab)
    lab.ask_for_sweep()
    wait_until("the sweep has begun or is owed", lambda: not lab.ask("status")["quiet"] or node_infos(lab) > before, SOON_S)
    sm, _ = lab.leased()
    with sm:
        assert node_infos(lab) > before
        assert not sm.ask("status")["sweep_waits"]


def a_move_is_finished_when_its_orderer_goes_away(lab):
    source, destination = "hyp3_vf1", "hyp4_vf1"
    plan, vm = lab.plan(source, destination), lab.guid_at(source)
    sm, migration = lab.leased()
    lab.exchange_guids(source, destination)
    sm.send("apply", hash=plan["hash"], migration=migration)
    sm.close()
    wait_until("the VM is where it should be",
               lambda: lab.ask("locate", port_guid=vm)["switch_port"] == plan["to"]["switch_port"], SOON_S)
    following, _ = lab.leased()  # granted only after the apply
    following.close()
    check_sa_truth_now(lab)


def a_client_that_does_not_read_holds_nothing_up(lab):
    sm, _ = lab.leased(LONG_MS)
    plan = lab.plan("hyp1_vf1", "hyp4_vf4")
    before = node_infos(lab)
    try:
        for _ in range(10000):
            sm.send("plan", vm_port_guid=plan["vm"]["port_guid"], to_switch_guid=plan["to"]["switch_guid"],
                    to_switch_port=plan["to"]["switch_port"])
    except OSError:
        pass  # the plugin has given up on us
    lab.ask_for_sweep()
    expect_sweep(lab, before)
    sm.close()


def a_guid_at_both_slots_keeps_opensm_busy_until_it_is_mended(lab):
    """What is left when an exchange of GUIDs stops half-way and a sweep sees it. The rest of the exchange needs no lease."""
    source, destination = "hyp1_vf2", "hyp3_vf2"
    plan = lab.plan(source, destination)
    rows = {row["node"]: row for row in lab.fabric.dump("places")}
    lab.fabric.cli("guids", destination, rows[source]["node_guid"], rows[source]["port_guid"])
    before = node_infos(lab)
    lab.ask_for_sweep()
    wait_until("OpenSM sweeps on and on", lambda: node_infos(lab) > before + 10 * len(rows), SOON_S)
    with lab.connect() as sm:
        assert refusal_of(sm, "lease", migration=1, ms=100) == "busy"
        lab.fabric.cli("guids", source, rows[destination]["node_guid"], rows[destination]["port_guid"])
        sm.ask("lease", migration=1, ms=LONG_MS)
        assert sm.ask("apply", hash=plan["hash"], migration=1)["verified"]
    check_sa_truth_now(lab)
    wrote = lab.heavy_sweep()
    assert not any(wrote.values()), f"the heavy sweep wrote {wrote}"


def opensm_ends_while_a_sweep_is_held(lab):
    sm, _ = lab.leased(LONG_MS)
    with sm:
        make_a_sweep_wait(lab)
        assert lab.opensm().stop(SOON_S) == 0
    assert not os.path.exists(lab.socket), "the socket is left behind"


def everything_is_right_after_a_restart(lab):
    lids = {row["port_guid"]: row["lid"] for row in lab.fabric.dump("places")}
    lab.start_opensm()
    assert {row["port_guid"]: row["lid"] for row in lab.fabric.dump("places")} == lids
    check_sa_truth_now(lab)


def a_killed_opensm_leaves_a_socket_that_the_next_replaces(lab):
    plan = lab.plan("hyp1_vf1", "hyp2_vf1")
    lab.opensm().kill()
    assert os.path.exists(lab.socket)
    lab.start_opensm()
    sm, migration = lab.leased()
    with sm:
        assert refusal_of(sm, "apply", hash=plan["hash"], migration=migration) == "unknown-plan"
    check_sa_truth_now(lab)


def wrong_options_are_named_in_the_log(lab):
    """And OpenSM goes on without the plugin."""
    lab.opensm().stop()
    lab.settings["event_plugin_options"] = "sokcet=/tmp/x"
    lab.start_opensm()
    assert "tether: no socket" in lab.opensm().log_text()
    lab.opensm().stop()
    lab.settings["event_plugin_options"] = "socket=/nonexistent/sm.sock"
    lab.start_opensm()
    assert "tether: cannot serve /nonexistent/sm.sock: No such file" in lab.opensm().log_text()
    lab.opensm().stop()
    lab.settings.pop("event_plugin_options")


def a_live_listener_is_not_displaced(lab):
    lab.start_opensm()
    with PluginClient(lab.socket) as sm:
        with PluginLab({"event_plugin_options": f"socket={lab.socket}"}) as other:
            assert f"tether: cannot serve {lab.socket}: Address already in use" in other.opensm().log_text()
        assert sm.ask("status")["quiet"]


def main():
    tap = Tap()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with PluginLab() as lab:
        for test in (a_heavy_sweep_waits_for_the_move, a_lease_ends_with_its_time,
                     its_holder_renews_a_lease_at_once, a_lease_ends_with_its_connection,
                     the_next_holder_waits_for_the_one_before, a_granted_lease_is_not_lost_to_contenders,
                     what_an_owed_sweep_finds_comes_before_the_lease,
                     a_move_is_finished_when_its_orderer_goes_away, a_client_that_does_not_read_holds_nothing_up,
                     a_guid_at_both_slots_keeps_opensm_busy_until_it_is_mended, opensm_ends_while_a_sweep_is_held,
                     everything_is_right_after_a_restart,
                     a_killed_opensm_leaves_a_socket_that_the_next_replaces, wrong_options_are_named_in_the_log,
                     a_live_listener_is_not_displaced):
            tap.run(test.__name__, test, lab)
    tap.exit()


main()
