#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The logs of all daemons and programs that took part in a migration, put together by its number and sorted by time, as an
administrator does it: each step begins in tether-smd's log before anybody is at it, ends with everybody before the next one begins,
and who refuses is named, with the reason, where it was said and up to tether-smd."""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.system import CommandFailed, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.verbs_peer import SQD, Peer, connect  # noqa: E402

# As tether-smd(8) says: grep -hE 'migration:? N/' FILE... | sort
LINE = re.compile(r"^(?P<time>\S+Z) (?P<program>[a-z-]+)\[\d+\] (?P<level>[a-z]+) (?P<room>[a-z-]+): "
                  r"(?:migration )?(?P<number>\d+)/(?P<epoch>\d+):? (?P<text>.*)$")
STATE = re.compile(r"vm1 from hyp1 to hyp3: ([a-z-]+) \(")
# What is asked of VM 1 and of its peer in a state, and of hosts.
STEPS = {"preparing": "PREPARE", "stopping": "STOP", "settling": "SETTLE", "releasing": "RELEASE", "rebuilding": "ATTACH",
         "reconnecting": "RECONNECT", "resuming": "RESUME"}
ORDERS = {"detaching": "detach vm1", "moving": "move vm1", "naming": "set-guids vm1", "vacating": "set-guids vm1", "attaching": "attach vm1"}
# Peers are not waited for after the commit, but where both ends are to be ready.
BY_VM_ALONE = ("RELEASE",)
OF_VM_ALONE = ("ATTACH",)


class Story(list):
    """Its lines, in order; each is a match."""

    def __init__(self, lab, number):
        texts = [text for log in glob.glob(lab.path("*.log")) for text in open(log, errors="replace").read().splitlines()
                 if re.search(rf"migration:? {number}/", text)]
        super().__init__(LINE.match(text) for text in sorted(texts))
        assert all(self), [text for text in texts if not LINE.match(text)]

    def at(self, what, program=None):
        """Where lines that begin so stand."""
        return [at for at, line in enumerate(self) if line["text"].startswith(what) and program in (None, line["program"])]

    def states(self):
        """[(state, where it was entered)]"""
        found = [(STATE.match(line["text"]), at) for at, line in enumerate(self) if line["program"] == "tether-smd"]
        return [(match[1], at) for match, at in found if match]

    def text(self):
        return "\n".join(line[0] for line in self)


def between(story, begin, end, what, program, count):
    found = [at for at in story.at(what, program) if begin < at < end]
    assert len(found) == count, f"{what} of {program}: {len(found)} of {count}\n{story.text()}"


def step_is_told(story, begin, end, step):
    """By the agents and the programs that it is asked of: that it begins, and that it is done."""
    asked = next(line["text"] for line in story[begin:] if line["program"] == "libtether" and line["text"].startswith(f"{step}."))
    ends = 1 if step in OF_VM_ALONE else 2
    for program in ("tether-agent", "libtether"):
        lines = [line["text"] for line in story[begin:] if line["program"] == program and line["text"].split()[0] == asked]
        assert (lines.count(asked), sum(text.startswith(f"{asked} DONE") for text in lines), len(lines)) == (ends, ends, 2 * ends), \
            f"{asked} of {program}: {lines}\n{story.text()}"
        if step not in BY_VM_ALONE:
            between(story, begin, end, asked, program, 2 * ends)


def one_that_is_done_is_read_from_top_to_bottom(lab):
    answer = lab.tether("migrate", "vm1", "hyp3")
    story = Story(lab, answer["id"])
    states = story.states()
    assert [state for state, _ in states] == [step["state"] for step in answer["steps"]], story.text()
    assert story.at("vm1 is to move from hyp1 (hyp1_vf1) to hyp3 (") == [0], story.text()
    for (state, begin), (_, end) in zip(states, states[1:]):
        if state in STEPS:
            step_is_told(story, begin, end, STEPS[state])
        if state in ORDERS:
            between(story, begin, end, f"order {ORDERS[state].replace(' ', ' vm ')} ", "tether-agent", 1)
            between(story, begin, end, f"{ORDERS[state]}: done, ", "tether-agent", 1)
    assert {line["epoch"] for line in story} == {str(answer["epoch"])}, story.text()
    assert {line["level"] for line in story} <= {"info", "debug"}, story.text()
    assert len(story.at("ended done after ", "tether-smd")) == 1 and not story.at("MOVED.", "libtether"), story.text()
    assert lab.tether("migrate", "vm1", "hyp1")["outcome"] == "done"


def who_refuses_is_named_from_the_process_to_the_end(lab, vm):
    vm.do("state", 0, SQD)
    try:
        answer = lab.tether("migrate", "vm1", "hyp3")
    except CommandFailed as error:
        answer = error.answer
    assert answer.get("outcome") == "refused", answer
    story, why = Story(lab, answer["id"]), answer["refusals"][0]
    reason = f"{why['reason']}: {why['text']}"
    said = [next((at for at, line in enumerate(story) if line["program"] == program and line["level"] == "warn" and line["text"].endswith(words)), None)
            for program, words in (("libtether", f": {why['reason']}: {why['text']}"), ("tether-agent", f"{why['who']}: {reason}"),
                                   ("tether-smd", f"{why['who']}: {reason}"))]
    assert None not in said and said == sorted(said), f"{said}\n{why}\n{story.text()}"
    assert said[-1] < dict(story.states())["dropping"], story.text()
    end = story[story.at("ended refused after ", "tether-smd")[0]]["text"]
    assert end.endswith("; nothing was changed; remove the reasons above"), end


def peer(lab, vm):
    environment = {**lab.environment(vm=vm, tether=True), "TETHER_LOG": lab.path(f"shim-{vm}.log")}
    return Peer(lab.fabric, vm=vm, preload=environment["LD_PRELOAD"], env=environment).open()


def main():
    tap = Tap()
    with System(hosts=("hyp1", "hyp2", "hyp3")) as lab:
        lab.start()
        ends = [peer(lab, vm) for vm in ("vm1", "vm2")]
        for end in ends:
            end.qp()
        connect(*ends, 0, 0, psn=1000)
        tap.run("one_that_is_done_is_read_from_top_to_bottom", one_that_is_done_is_read_from_top_to_bottom, lab)
        tap.run("who_refuses_is_named_from_the_process_to_the_end", who_refuses_is_named_from_the_process_to_the_end, lab, ends[0])
        for end in ends:
            end.end()
    tap.exit()


main()
