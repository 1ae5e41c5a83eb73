#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs whose ports are Ethernet: no SM, no LIDs. They are known by names of GIDs, and peers are told the GIDs of where they are."""
import contextlib
import ipaddress
import json

from command import tether
from crowd import Held
from fake_ethernet import EthernetWorld, gids_in, name_of
from fake_host import OLDEST
from smd import Stage as AnyStage, equal, run, wait_until
from wire import rows_of


class Stage(AnyStage):
    def __init__(self, **named):
        super().__init__(fabric="none", world=EthernetWorld, **named)

    def shim(self, vm="vm1"):
        return next(s for s in self.world.shims.values() if s.vm == vm)

    def all_well(self, **hosts):
        equal({vm: self.world.vms[vm]["host"] for vm in self.world.vms}, {"vm1": "hyp1", "vm2": "hyp3", **hosts})
        equal(self.world.complaints(), [])
        equal({s.state for s in self.world.shims.values()}, {"running"})

    def restart(self, **env):
        self.smd.start(**env)
        self.smd.hosts_here(3)


def asks(stage, host, vm, request=1):
    """A late peer: what it is told."""
    stage.world.hosts[host].connects_to(vm, request)
    return wait_until("it is told", lambda: [a for a in stage.world.hosts[host].told if a["request"] == request and a["outcome"] != "OUTCOME_NONE"])[0]


def it_moves_and_peers_are_told_where_it_is():
    with Stage() as stage:
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        stage.all_well(vm1="hyp2")
        events = stage.shim("vm2").events
        equal({tuple(e["known_lids"]) for e in events}, {(stage.world.vms["vm1"]["lid"],)})
        own = {(e["address"]["lid"], e["address"]["gid"]) for e in events}
        equal(len(own), 1)
        lid, gid = own.pop()
        equal((lid, gid[:8].hex(), any(e["shared_port"] for e in events)), (name_of(gid), "fd746574686572ff", False))
        reconnect = next(e for e in events if e["step"] == "STEP_RECONNECT")
        equal(stage.world.gid_now("vm1") in gids_in(reconnect["gids"]).values(), True, gids_in(reconnect["gids"]))


def to_and_fro_and_both_ends():
    with Stage() as stage:
        for vm, to in (("vm1", "hyp2"), ("vm2", "hyp1"), ("vm1", "hyp3"), ("vm2", "hyp2"), ("vm1", "hyp1"), ("vm2", "hyp3")):
            equal(stage.smd.move(vm, to)["outcome"], "done", f"{vm} to {to}")
            equal(stage.world.complaints(), [])
        stage.all_well()


def both_ends_asked_for_at_once_move_one_after_the_other():
    with Stage() as stage:
        numbers = [stage.smd.migrate(vm, to)[1]["id"] for vm, to in (("vm1", "hyp2"), ("vm2", "hyp1"))]
        equal([stage.smd.wait_for(number)["outcome"] for number in numbers], ["done", "done"])
        stage.all_well(vm1="hyp2", vm2="hyp1")


def who_connects_later_is_told_number_and_gid(kill=False):
    with Stage() as stage:
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        if kill:
            stage.smd.kill()
            stage.restart()
        answer = asks(stage, "hyp3", "vm1")
        row, = rows_of(answer["qps"])
        now = stage.world.gid_now("vm1")
        equal((answer["outcome"], row["local_qpn"], row["real_qpn"], row["real_lid"]), ("OUTCOME_DONE", 0x100, 0x1100, name_of(now)))
        equal(gids_in(answer["gids"]), {name_of(now): now})
        equal(len(rows_of(answer["keys"])), 1)


def after_a_restart_as_well():
    who_connects_later_is_told_number_and_gid(kill=True)


def who_would_connect_meanwhile_waits():
    with Stage() as stage:
        held = Held(stage.world)
        stage.world.fault("hyp1", "HOST_DETACH", held)
        number = stage.smd.migrate("vm1", "hyp2")[1]["id"]
        equal(held.there.wait(20), True)
        stage.world.hosts["hyp3"].connects_to("vm1")
        wait_until("it is held", lambda: stage.world.hosts["hyp3"].outcomes() == ["OUTCOME_NONE"])
        held.go.set()
        equal(stage.smd.wait_for(number)["outcome"], "done")
        wait_until("it is let go", lambda: stage.world.hosts["hyp3"].outcomes() == ["OUTCOME_NONE", "OUTCOME_DONE"])
        stage.all_well(vm1="hyp2")


def killed_anywhere_it_is_gone_on_with_or_given_up():
    outcomes = {}
    for state, outcome in (("preparing", "aborted"), ("stopping", "aborted"), ("settling", "aborted"), ("releasing", "done"), ("detaching", "done"),
                           ("moving", "done"), ("attaching", "done"), ("rebuilding", "done"), ("reconnecting", "done"), ("resuming", "done")):
        for place in ("smd-recorded", "smd-asked"):
            with Stage(env={"TETHER_DIE_AT": f"{place}:{state}"}) as stage:
                with contextlib.suppress(OSError):  # it may die before it has answered
                    stage.smd.migrate("vm1", "hyp2")
                stage.smd.wait()
                stage.restart()
                ended = stage.smd.wait_for(1)
                outcomes[place, state] = ended["outcome"] == outcome or f"{ended['outcome']}: {ended['refusals']}"
                stage.all_well(**({"vm1": "hyp2"} if outcome == "done" else {}))
                equal(stage.smd.move("vm1", "hyp3" if outcome == "done" else "hyp2")["outcome"], "done", f"after {place}:{state}")
                equal(stage.world.complaints(), [], f"after {place}:{state}")
    equal({at: said for at, said in outcomes.items() if said is not True}, {})


def while_it_is_recovered_nobody_connects():
    """The barrier is at each name, though no agent has said anything yet."""
    with Stage(env={"TETHER_DIE_AT": "smd-recorded:moving"}) as stage:
        stage.smd.migrate("vm1", "hyp2")
        stage.smd.wait()
        held = Held(stage.world)
        stage.world.fault("hyp1", "HOST_MOVE", held)
        stage.restart()
        equal(held.there.wait(20), True)
        stage.world.hosts["hyp3"].connects_to("vm1")
        wait_until("it is held", lambda: stage.world.hosts["hyp3"].outcomes() == ["OUTCOME_NONE"])
        held.go.set()
        equal(stage.smd.wait_for(1)["outcome"], "done")
        stage.all_well(vm1="hyp2")


def what_goes_wrong_leaves_it_where_it_was():
    for who, what, kind, outcome in (
            ("vm2/21.147", "STEP_PREPARE", "refuse", "refused"), ("vm1/11.77", "STEP_STOP", "fail", "aborted"),
            ("vm2/22.154", "STEP_SETTLE", "refuse", "aborted"), ("vm1/12.84", "STEP_SETTLE", "silent", "aborted"),
            ("hyp2", "HOST_CHECK", "refuse", "refused"), ("hyp1", "HOST_DETACH", "fail", "failed-at-source"),
            ("hyp1", "HOST_MOVE", "fail", "failed-at-source"), ("hyp2", "HOST_ATTACH", "fail", "failed-at-source")):
        with Stage(settle_ms=300) as stage:
            stage.world.fault(who, what, kind)
            equal(stage.smd.move("vm1", "hyp2")["outcome"], outcome, f"{who} {what} {kind}")
            stage.all_well()
            equal(stage.smd.move("vm1", "hyp2")["outcome"], "done", f"after {who} {what} {kind}")
            stage.all_well(vm1="hyp2")


def given_up_by_whoever_asked_it_stays():
    with Stage() as stage:
        held = Held(stage.world)
        stage.world.fault("vm1/11.77", "STEP_SETTLE", held)
        number = stage.smd.migrate("vm1", "hyp2")[1]["id"]
        equal(held.there.wait(20), True)
        equal(stage.smd.ask("POST", f"/v1/migrations/{number}/abort")[0], 202)
        held.go.set()
        equal(stage.smd.wait_for(number)["outcome"], "aborted")
        stage.all_well()


def a_called_migration_reports_each_step():
    for last, outcome in (("attached", "done"), ("failed", "failed-at-source")):
        with Stage() as stage:
            number = stage.smd.migrate("vm1", "hyp2", mode="called")[1]["id"]
            for step in ("detached", "moved", last):
                wait_until(f"{step} is awaited", lambda: stage.smd.get(f"/v1/migrations/{number}")[1].get("awaits") in (step, "attached"))
                equal(stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": step})[0], 202, step)
            equal(stage.smd.wait_for(number)["outcome"], outcome)
            stage.all_well(**({"vm1": "hyp2"} if outcome == "done" else {}))


def who_speaks_an_older_version_is_refused():
    with Stage() as stage:
        host = stage.world.hosts["hyp3"]
        host.version = OLDEST
        host.stop()
        stage.smd.hosts_here(2)
        host.start()
        stage.smd.hosts_here(3)
        ended = stage.smd.move("vm1", "hyp2")
        equal((ended["outcome"], [r["reason"] for r in ended["refusals"]]), ("refused", ["older-protocol"]), ended)
        stage.all_well()


def announce_more(stage, vm, host, count):
    shim = stage.shim(vm)
    for number in range(count):
        gid = ipaddress.IPv6Address(f"fe80:0:0:7::{number + 1:x}").packed
        stage.world.gids[name_of(gid)] = gid
        shim.shown.append(gid)
        stage.world.hosts[host].announce(vm, {**stage.world.address_of(name_of(gid)), "context": shim.pid}, 5000 + number)
    wait_until("all are taken", lambda: len([a for a in stage.world.hosts[host].told if a["request"] >= 5000]) == count)


def a_vm_moves_with_64_addresses_and_no_more():
    for more, outcome in ((63, "done"), (64, "refused")):
        with Stage() as stage:
            announce_more(stage, "vm1", "hyp1", more)
            ended = stage.smd.move("vm1", "hyp2")
            equal((ended["outcome"], [r["reason"] for r in ended["refusals"]]), (outcome, ["too-many-addresses"] if more > 63 else []))
            if more > 63:
                equal("vm1 announces 65 addresses" in ended["refusals"][0]["text"], True, ended["refusals"])
                equal({e["step"] for shim in stage.world.shims.values() for e in shim.events} - {"STEP_ABORT"}, set(), "nobody is asked")
                stage.all_well()
                continue
            stage.all_well(vm1="hyp2")
            equal({len(e["known_lids"]) for e in stage.shim("vm2").events}, {64})


def another_vms_gid_is_not_announced():
    with Stage() as stage:
        host, gid = stage.world.hosts["hyp3"], stage.world.vms["vm1"]["lid"]
        for vm, reason in (("vm2", "foreign-gid"), ("vm1", "foreign-lid")):
            host.told.clear()
            host.announce(vm, {**stage.world.address_of(gid), "context": 99}, 7000)
            answer, = wait_until("it is told", lambda: [a for a in host.told if a["request"] == 7000])
            equal((answer["outcome"], answer["refusals"][0]["reason"]), ("OUTCOME_REFUSED", reason))
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        stage.all_well(vm1="hyp2")


def a_vm_that_announces_nothing_moves_alone():
    with Stage() as stage:
        for shim in stage.world.shims.values():
            shim.qps.clear()
            shim.shown = shim.shown if shim.vm == "vm2" else []
        for host in stage.world.hosts.values():
            host.stop()
        stage.smd.hosts_here(0)
        for host in stage.world.hosts.values():
            host.start()
        stage.smd.hosts_here(3)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        stage.all_well(vm1="hyp2")
        equal(stage.shim("vm2").history, [])


def a_host_is_emptied():
    with Stage() as stage:
        status, out, err = tether(stage, "evacuate", "hyp1")
        equal((status, out), (0, "evacuation 1: done: 1 of 1 VMs have left hyp1\n"), err)
        equal(stage.world.complaints(), [])


def a_vm_that_was_left_without_gets_its_vf_again():
    with Stage(attach_ms=300, overall_ms=3000) as stage:
        stage.world.fault("hyp2", "HOST_ATTACH", "fail", times=9)
        stage.world.fault("hyp1", "HOST_GIVE_BACK", "fail", times=9)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "lost")
        with stage.world.lock:
            stage.world.faults.clear()
        host = stage.world.vms["vm1"]["host"]
        equal(stage.smd.move("vm1", host)["outcome"], "done")
        equal([bad for bad in stage.world.complaints() if "leads to" not in bad], [])


def ends_that_nobody_shows_are_named_by_their_gids():
    with Stage() as stage:
        del stage.world.shims["vm2/21.147"]
        ended = stage.smd.move("vm1", "hyp2")
        vm1, vm2 = (str(ipaddress.IPv6Address(stage.world.vms[vm]["gid"])) for vm in ("vm1", "vm2"))
        equal((ended["outcome"], [(r["who"], r["reason"]) for r in ended["refusals"]]), ("refused", [(f"gid {vm2} qp 0x101", "peer-without-shim")]))
        equal(f"is connected to gid {vm1} qp 0x100, " in ended["refusals"][0]["text"], True, ended)


def gids_are_shown():
    with Stage() as stage:
        number = stage.smd.migrate("vm1", "hyp2")[1]["id"]
        migration = stage.smd.wait_for(number)
        shown = str(ipaddress.IPv6Address(stage.world.vms["vm1"]["gid"]))
        equal((migration["outcome"], migration["gids"], migration["lid"]), ("done", [shown], 0))
        vms = {vm["name"]: vm for vm in json.loads(tether(stage, "vms", "--json")[1])["vms"]}
        equal((vms["vm1"]["gids"], stage.smd.get("/v1/vms/vm1")[1]["gids"]), ([shown], [shown]))
        equal(json.loads(tether(stage, "status", str(number), "--json")[1])["gids"], [shown])


if __name__ == "__main__":
    run([it_moves_and_peers_are_told_where_it_is, to_and_fro_and_both_ends, both_ends_asked_for_at_once_move_one_after_the_other,
         who_connects_later_is_told_number_and_gid, after_a_restart_as_well, who_would_connect_meanwhile_waits,
         killed_anywhere_it_is_gone_on_with_or_given_up, while_it_is_recovered_nobody_connects, what_goes_wrong_leaves_it_where_it_was,
         given_up_by_whoever_asked_it_stays, a_called_migration_reports_each_step, who_speaks_an_older_version_is_refused,
         a_vm_moves_with_64_addresses_and_no_more, another_vms_gid_is_not_announced, a_vm_that_announces_nothing_moves_alone,
         a_host_is_emptied, a_vm_that_was_left_without_gets_its_vf_again, gids_are_shown,
         ends_that_nobody_shows_are_named_by_their_gids])
