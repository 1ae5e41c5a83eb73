#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Processes that start, open their device or fork while their VM moves; the test is their agent."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import Build  # noqa: E402
from lab.tap import Tap  # noqa: E402
from net.agent_harness import Links  # noqa: E402
from simfabric.lab import demo_fabric, wait_until  # noqa: E402
from simfabric.verbs_peer import Peer  # noqa: E402

END_S = 20
DONE = "OUTCOME_DONE"


class Agent:
    """Of vm1, which moves from where it is."""

    def __init__(self, fabric, preload):
        self.fabric, self.preload = fabric, preload
        self.path = os.path.join(fabric.directory, "vm1.sock")
        self.sequence = 0
        self.lid = None

    def __enter__(self):
        self.links = Links("listen", self.path)
        self.links.wait("listening", lambda line: line.get("listening"))
        return self

    def __exit__(self, *unused):
        self.links.end()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def process(self):
        return Peer(self.fabric, vm="vm1", preload=self.preload, env={"TETHER_AGENT": f"unix:{self.path}"})

    def meet(self, *before):
        """Its link, when it has said HELLO and was made welcome; it is given the steps @before that."""
        link = self.links.opened()
        self.links.frame("hello", link)
        for step in before:
            self.event(link, step)
        self.links.send({"hello_answer": {"outcome": DONE, "epoch": 1, "name": "hyp1"}}, link)
        return link

    def event(self, link, step):
        self.sequence += 1
        self.links.send({"event": {"migration": 1, "epoch": 1, "step": f"STEP_{step}", "sequence": self.sequence, "vm": "vm1",
                                   "address": {"lid": self.lid or 5}, "to_vm": True, "deadline_ms": 5000,
                                   "overall_ms": 20000}}, link)

    def step(self, link, step):
        self.event(link, step)
        return self.answer(link, step)

    def answer(self, link, step):
        return self.links.frame("answer", link, step=f"STEP_{step}", sequence=self.sequence)

    def bring(self, link, slot):
        """The VM's processes go on with another VF."""
        assert self.fabric.detach("vm1"), "the old VF is held"
        self.give(link, slot)

    def give(self, link, slot):
        self.fabric.attach("vm1", slot)
        for step in ("ATTACH", "RECONNECT", "RESUME"):
            answer = self.step(link, step)
            assert answer["outcome"] == DONE, answer


def holds_vf(fabric):
    return any(slot["vm"] == "vm1" for slot in fabric.slots())


def lid_of(fabric, name):
    return next(slot["lid"] for slot in fabric.slots() if slot["slot"] == name)


def who_starts_while_the_vf_is_away_waits_for_the_new_one(fabric, agent):
    process = agent.process()
    process.put("open")
    link = agent.meet("RELEASE")
    assert agent.answer(link, "RELEASE")["outcome"] == DONE
    agent.bring(link, "hyp3_vf1")
    # Where the agent was too slow to be waited for, the device was opened, and let go at RELEASE.
    assert process.get()["lid"] in (lid_of(fabric, "hyp1_vf1"), lid_of(fabric, "hyp3_vf1"))
    process.qp()


def who_opens_again_while_the_vf_is_away_waits_for_the_new_one(fabric, agent):
    process = agent.process()
    process.put("open")
    link = agent.meet()
    agent.lid = process.get()["lid"]
    process.do("close")
    for step in ("PREPARE", "STOP", "SETTLE", "RELEASE"):
        assert agent.step(link, step)["outcome"] == DONE
    assert fabric.detach("vm1"), "the old VF is held"
    process.put("open")  # and finds no device in the list
    agent.give(link, "hyp3_vf1")
    assert process.get()["lid"] == lid_of(fabric, "hyp3_vf1")


def an_agent_that_does_not_speak_is_waited_for_only_a_moment(fabric, agent):
    process = agent.process()
    process.put("open")
    agent.links.frame("hello", agent.links.opened())
    assert process.get()["lid"]


def reasons(answer):
    return {refusal["reason"] for refusal in answer.get("refusals", [])}


def a_forked_child_is_named_until_it_ends(fabric, agent):
    process = agent.process()
    process.put("open")
    link = agent.meet()
    agent.lid = process.get()["lid"]
    assert "veto-forked" not in reasons(agent.step(link, "PREPARE"))
    child = process.do("fork")["pid"]
    assert "veto-forked" in reasons(agent.step(link, "PREPARE"))
    os.kill(child, signal.SIGKILL)
    wait_until("the child is gone", lambda: "veto-forked" not in reasons(agent.step(link, "PREPARE")), END_S)


def a_child_that_goes_on_with_the_device_says_who_it_is(fabric, agent):
    process = agent.process()
    process.put("open")
    agent.meet()
    agent.lid = process.get()["lid"]
    process.do("daemon")
    process.put("rereg")
    link = agent.meet()
    assert reasons(agent.step(link, "PREPARE")) == {"veto-forked"}
    process.child.stdin.close()


TESTS = [who_starts_while_the_vf_is_away_waits_for_the_new_one, who_opens_again_while_the_vf_is_away_waits_for_the_new_one,
         an_agent_that_does_not_speak_is_waited_for_only_a_moment, a_forked_child_is_named_until_it_ends,
         a_child_that_goes_on_with_the_device_says_who_it_is]


def run(test, fabric, preload):
    with Agent(fabric, preload) as agent:
        try:
            test(fabric, agent)
        finally:
            for child in [c for c in fabric.children if c.stdin is not None]:
                child.kill()
                child.wait()
                fabric.children.remove(child)


def main():
    tap = Tap()
    preload = Build().preload(True)
    with demo_fabric() as fabric:
        fabric.cli("vm", "add", "vm1", "hyp1_vf1")
        for test in TESTS:
            if holds_vf(fabric):
                assert fabric.detach("vm1")
            fabric.attach("vm1", "hyp1_vf1")
            tap.run(test.__name__, run, test, fabric, preload)
    tap.exit()


main()
