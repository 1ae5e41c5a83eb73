#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A process of the VM that holds the device and runs without libtether, connected or idle: the migration is refused by its
pid and name before anything is stopped, also with --force; when it has gone the next one works. Where agents cannot see that
(no device nodes), the VF does not leave, and the VM goes on at the source."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.ports import free_port, is_listening  # noqa: E402
from lab.process import CONTAINER  # noqa: E402
from lab.system import PATIENT, CommandFailed, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import Pair, RcVerify  # noqa: E402
from simfabric.verbs_peer import Peer, connect  # noqa: E402

VMS = {"vm1": "hyp1_vf1", "vm2": "hyp2_vf1"}
DETACH_MS = 5000  # the driver gives up after nine tenths, and has the rest to say so
LABS = {"seen by the host's agent": {}, "seen by the agent in the VM": {"guests": True}}


def bare(lab, vm):
    environment = lab.environment(vm=vm)
    return Peer(lab.fabric, vm=vm, preload=environment["LD_PRELOAD"], env=environment).open()


def state_of(lab):
    return lab.fabric.lft_dump(), lab.fabric.slots()


def outcome_of(lab, *words):
    """(outcome, {(who, reason)}, states) of a migration of VM 1 to hyp3."""
    try:
        answer = lab.migrate("vm1", "hyp3", *words)
    except CommandFailed as error:
        answer = error.answer
    return (answer["outcome"], {(row["who"], row["reason"]) for row in answer["refusals"]}, [step["state"] for step in answer["steps"]])


def refused(lab, pid, program, also=()):
    before = state_of(lab)
    for words in ((), ("--force",)):
        outcome, said, states = outcome_of(lab, *words)
        assert outcome == "refused" and "stopping" not in states, (outcome, said, states)
        assert (f"hyp1/vm1/{pid} {program}", "veto-device-held") in said, said
        assert not words or said == {(f"hyp1/vm1/{pid} {program}", "veto-device-held")} or also, said
    assert state_of(lab) == before, "something has changed"


def programs_go_on(lab, cause):
    """@cause(): begins it and gives back how it ends."""
    with RcVerify(lab, "vm2", "vm1", ["-q", "2"]) as verify:
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        end = cause()
        assert verify.is_running(), verify.words()
        end()
        assert outcome_of(lab)[0] == "done"
        assert lab.migrate("vm1", "hyp1")["outcome"] == "done"
        verify.end_exactly()


def an_idle_holder_is_named(lab):
    def hold():
        holder = bare(lab, "vm1")
        refused(lab, holder.child.pid, "verbs-shell")
        return holder.end
    programs_go_on(lab, hold)


def a_program_that_is_connected_is_named(lab):
    """A stranger's, which waits for its peer."""
    def hold():
        port = free_port()
        server = lab.run_in_vm("vm1", "pingpong", ["ibv_rc_pingpong", "-p", str(port)], tether=False)
        wait_until("it listens", lambda: is_listening(port), 20, [server.log], [server])
        refused(lab, server.pid, "ibv_rc_pingpong")
        return server.kill
    programs_go_on(lab, hold)


def one_whose_peer_has_libtether_is_named_at_both_ends(lab):
    holder = bare(lab, "vm1")
    environment = lab.environment(vm="vm2", tether=True)
    other = Peer(lab.fabric, vm="vm2", preload=environment["LD_PRELOAD"], env=environment).open()
    holder.qp()
    other.qp()
    connect(holder, other, timeout=12, retry=4)
    refused(lab, holder.child.pid, "verbs-shell", also=["vm-qp-without-shim"])
    holder.end()
    other.end()
    assert outcome_of(lab)[0] == "done"
    assert lab.migrate("vm1", "hyp1")["outcome"] == "done"


def a_covered_program_in_a_pid_namespace_moves(lab):
    """A container's: what it calls itself is nobody's number outside."""
    port = free_port()
    program = [lab.build.program("rc-verify"), "-p", str(port)]
    with Pair(lab, "contained", "vm1", "vm2", CONTAINER + program, [*program, "localhost"], port) as verify:
        wait_until("rc-verify works", lambda: RcVerify.is_working(verify), 30, verify.logs(), [verify.client])
        for host in ("hyp3", "hyp1"):
            assert lab.migrate("vm1", host)["outcome"] == "done"
        verify.client.signal(15)
        assert verify.wait(60) == (0, 0), verify.words()


def who_cannot_be_seen_keeps_the_vm_where_it_is(lab):
    """The VF does not leave: the migration goes back, and what is covered goes on exactly."""
    def hold():
        holder = bare(lab, "vm1")
        outcome, said, _ = outcome_of(lab)
        assert outcome == "failed-at-source" and ("hyp1", "driver-failed") in said, (outcome, said)
        return holder.end
    programs_go_on(lab, hold)


def main():
    tap = Tap()
    for what, named in LABS.items():
        with System(hosts=("hyp1", "hyp2", "hyp3"), copy_ms=5, vms=VMS, devices=True, **named) as lab:
            lab.start()
            for test in (a_covered_program_in_a_pid_namespace_moves, an_idle_holder_is_named, a_program_that_is_connected_is_named,
                         one_whose_peer_has_libtether_is_named_at_both_ends):
                tap.run(f"{test.__name__}: {what}", test, lab)
    with System(hosts=("hyp1", "hyp2", "hyp3"), copy_ms=5, vms=VMS, settings={**PATIENT, "detach_ms": DETACH_MS}) as lab:
        lab.start()
        tap.run("who_cannot_be_seen_keeps_the_vm_where_it_is", who_cannot_be_seen_keeps_the_vm_where_it_is, lab)
    tap.exit()


main()
