#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Migrations while others are hostile, on a simulated fabric with all links over TLS. One hypervisor's agent lies: it has a
valid certificate and a VM that may rightly talk to the one that moves, so that it is told, and answers to something else,
twice, in the name of others, and with rows of another VM's queue pairs. Meanwhile a host with a valid certificate and nothing
else, and the guest of a VM beside the one that moves, go through all that hostile_attacks.py has. Every migration is done,
rc-verify loses nothing, and whatever is hostile is refused and counted."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.siege import COUNTED_S, LyingPeer, Siege, Target, tls_link, unix_link  # noqa: E402
from hostile_attacks import GUEST, HOST, UNDER_WAY  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.journal import ask  # noqa: E402
from lab.system import PATIENT, START_S, System  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

# Whoever is attacked is not to be given up for being slow under a checker.
SETTINGS = {**PATIENT, "prepare_ms": 30000, "stop_ms": 30000, "settle_ms": 30000, "lease_ms": 90000, "detach_ms": 30000,
            "attach_ms": 30000, "reconnect_ms": 30000, "resume_ms": 30000, "overall_ms": 240000, "heartbeat_ms": 5000, "metrics": "unix:metrics.sock", "log_level": "warn"}
WORK = ["-q", "4", "--ack-timeout", "18"]
# VMs, LIDs and partitions there are others than here.
ELSEWHERE = {"foreign_lids", "foreign_partings", "foreign_partitions", "foreign_vms"}
MIGRATIONS = 20 if FULL else 4
ROUNDS = 3 if FULL else 1


class HostileLab(System):
    """vm2 moves, vm3 talks to it, the guest of vm1 is hostile, and so is the agent of hyp4, which has vm4."""

    def __init__(self):
        super().__init__(hosts=("hyp1", "hyp2", "hyp3"), settings=SETTINGS, copy_ms=5, guests=True, tls=True,
                         vms={"vm1": "hyp1_vf2", "vm2": "hyp1_vf1", "vm3": "hyp2_vf1", "vm4": "hyp4_vf1"})

    def start_guest(self, vm, env=None):
        if vm in ("vm2", "vm3"):
            super().start_guest(vm, env)

    def root(self):
        """For a host that has a certificate and nothing else."""
        evil = (), "ROLE_HOST", "evil"
        return Target(self.path("metrics.sock"), "tether_smd_", lambda: tls_link(self, "host/evil"), evil, evil)

    def source(self):
        """Its agent, for the guest of vm1."""
        home = self.path("hosts", "hyp1")
        return Target(os.path.join(home, "metrics.sock"), "tether_agent_",
                      lambda name="vm1.sock": unix_link(os.path.join(home, name)),
                      (("vm1.guest",), "ROLE_GUEST", "vm1"), ((), "ROLE_SHIM", "vm1/1.1"))


def move(lab, times):
    """To and fro; tether says that each is done."""
    for number in range(times):
        done = lab.migrate("vm2", ("hyp3", "hyp1")[number % 2], seconds=240)
        assert done["outcome"] == "done", done


def located(lab):
    return {vm for (vm,) in ask(lab.path("journal"), "SELECT vm FROM directory_vms WHERE located")}


def counts(root, peer):
    """[(counted, said)] of what the peer does wrong."""
    return [(root.counted("unasked_answers+late_answers"), peer.wrong), (root.counted("foreign_claims"), peer.foreign)]


def who_lies_is_not_believed(lab, verify, peer):
    root = lab.root()
    wait_until("it is a peer", lambda: peer.failure or peer.is_registered, START_S, lab.logs())
    wait_until("the SM has said where VMs are", lambda: located(lab) >= {"vm2", "vm3"}, START_S, lab.logs())
    move(lab, MIGRATIONS)
    steps = {event["step"] for event in peer.events}
    assert {"STEP_PREPARE", "STEP_STOP", "STEP_SETTLE", "STEP_RECONNECT", "STEP_RESUME"} <= steps, steps
    wait_until("all of it is counted", lambda: all(counted >= said for counted, said in counts(root, peer)), COUNTED_S, lab.logs())
    assert all(counted == said for counted, said in counts(root, peer)), counts(root, peer)
    assert verify.is_running(), verify.words()


def answered_above(attack):
    """What a guest says twice is under way twice only where nobody acknowledges it, and is held once."""
    if attack.name != "interests that are held twice":
        return attack
    return attack._replace(allowed=2 * UNDER_WAY, least=2 * UNDER_WAY + 1000)


def others_are_hostile_meanwhile(lab, verify):
    at_host = [attack for attack in HOST if attack.kind not in ELSEWHERE]
    at_guest = [answered_above(attack) for attack in GUEST if attack.kind not in ELSEWHERE]
    with Siege(lab.root(), at_host) as at_root, Siege(lab.source(), at_guest) as at_source:
        sieges = (at_root, at_source)
        moves = 0
        while moves < MIGRATIONS or not all(siege.rounds >= ROUNDS or siege.failure for siege in sieges):
            move(lab, 2)
            moves += 2
            assert verify.is_running(), verify.words()
    print_rows([("attack, refused", "at tether-smd", "at an agent"),
                *((name, *(str(siege.said.get(name, "-")) for siege in sieges)) for name in {**at_root.said, **at_source.said})])
    print(f"# | {moves} migrations", flush=True)


def nothing_was_lost(lab, verify):
    verify.end_exactly()
    assert not lab.obituary(), lab.obituary()
    check_sa_truth(lab)


def main():
    tap = Tap()
    with HostileLab() as lab:
        lab.start()
        for who in ("host/hyp4", "host/evil"):
            lab.tls.authority.issue(who)
        with RcVerify(lab, "vm3", "vm2", WORK) as verify:
            wait_until("rc-verify works", verify.is_working, START_S, verify.logs(), [verify.client])
            # To the end: a hypervisor that is away is waited for.
            with LyingPeer(lab, "hyp4", "vm4", lab.lid_of("vm2"), lab.lid_of("vm3")) as peer:
                tap.run("a peer that lies is not believed, and migrations are done", who_lies_is_not_believed, lab, verify, peer)
                tap.run("migrations are done while others are hostile", others_are_hostile_meanwhile, lab, verify)
            tap.run("nothing was lost", nothing_was_lost, lab, verify)
    tap.exit()


main()
