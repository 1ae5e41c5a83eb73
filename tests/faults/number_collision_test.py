#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""An adapter gives a new process of a VM the very QPN by which another one is known since before the VM moved: peers reach
both, whoever connects when, also after the agent was restarted."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.system import START_S, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.verbs_peer import Peer, connect  # noqa: E402


def process(lab, vm, log=""):
    env = {"TETHER_AGENT": "unix:" + lab.path("vms", f"{vm}.sock"), "TETHER_LOG": log, "TETHER_LOG_LEVEL": "debug"}
    return Peer(lab.fabric, vm=vm, preload=lab.build.preload(True), env=env).open("plain")


def says(a, b, a_qp, b_qp, word):
    """A SEND from @a arrives at @b and nowhere else."""
    b.do("recv", b_qp, 100 + word, 0, 64)
    a.do("fill", 0, 64, word)
    a.do("send", a_qp, word, 0, 64)
    assert a.poll("send") == (word, "success"), "not sent"
    assert b.poll("recv") == (100 + word, "success"), "not received"
    assert "same" in b.do("same", 0, 64, word)


class Scene:
    """Process `known` of vm1 is connected to `peer` in vm2, and has moved: what was its number is now free on the device."""

    def __init__(self, lab):
        self.lab = lab
        lab.fabric.cli("data-fault", "colliding_numbers=1")
        first = process(lab, "vm1")
        first.qp()
        self.log = lab.path("known.log")
        self.known = process(lab, "vm1", self.log)
        self.peer = process(lab, "vm2")
        self.known.qp()
        self.peer.qp()
        connect(self.known, self.peer)
        says(self.peer, self.known, 0, 0, 1)
        first.end()
        lab.migrate("vm1", "hyp3")

    def welcomes(self):
        return open(self.log, errors="replace").read().count("welcomed by")

    def newcomer(self, word):
        """Another process of vm1, connected to the peer."""
        new = process(self.lab, "vm1")
        new.qp()
        assert new.qps[0] != self.known.qps[0], "two processes of one VM have one number"
        which = self.peer.qp()
        connect(new, self.peer, 0, which)
        says(self.peer, new, which, 0, word)
        says(new, self.peer, 0, which, word + 1)
        says(self.peer, self.known, 0, 0, word + 2)
        return new, which


def newcomer_gets_a_number_of_its_own(lab, scene):
    scene.append(Scene(lab))
    scene[0].newcomer(10)


def newcomer_gets_one_behind_a_restarted_agent(lab, scene):
    welcomes = scene[0].welcomes()
    lab.agents["hyp3"].kill()
    lab.start_agent("hyp3")
    lab.wait_connected(lab.hosts)
    wait_until("the process is back", lambda: scene[0].welcomes() > welcomes, START_S, lab.logs(), [lab.smd])
    scene.append(scene[0].newcomer(20))


def all_go_on_after_another_move(lab, scene):
    new, which = scene[1]
    lab.migrate("vm1", "hyp1")
    says(scene[0].peer, scene[0].known, 0, 0, 30)
    says(scene[0].peer, new, which, 0, 31)
    scene[0].newcomer(40)


def main():
    tap = Tap()
    scene = []
    with System() as lab:
        lab.start()
        for test in (newcomer_gets_a_number_of_its_own, newcomer_gets_one_behind_a_restarted_agent, all_go_on_after_another_move):
            tap.run(test.__name__, test, lab, scene)
    tap.exit()


main()
