#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a program does that cannot be moved, on a whole system: the migration is refused by the veto's name, with pid and
program and a sentence, also with --force, before anything is stopped; connections go on, nothing has changed, and when the
cause is gone the next migration works. (Every row of preload/vetoes.def: unit/shim_vetoes.)"""
import os
import re
import resource
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import TOP  # noqa: E402
from lab.system import CommandFailed, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.verbs_peer import RTS, SQD, Peer, connect  # noqa: E402

SIZE = 64
HALF = 4096


def sentences():
    with open(os.path.join(TOP, "preload", "vetoes.def")) as table:
        return dict(re.findall(r'^VETO\(\w+,\s*"([^"]+)",\s*"([^"]+)"\)', table.read(), re.M))


class Pair:
    """Two connections between programs in VM 1 and VM 2: what is done to the second leaves the first alone."""

    def __init__(self, lab):
        self.vm, self.peer = (self.program(lab, vm) for vm in ("vm1", "vm2"))
        for end in (self.vm, self.peer):
            end.qp()
            end.qp()
        for number in range(2):
            connect(self.vm, self.peer, number, number, psn=1000 * (1 + number))
        self.sent = 0

    @staticmethod
    def program(lab, vm):
        environment = lab.environment(vm=vm, tether=True)
        return Peer(lab.fabric, vm=vm, preload=environment["LD_PRELOAD"], env=environment).open()

    def message(self, a, b, qp):
        self.sent += 1
        a.do("fill", 0, SIZE, self.sent)
        b.do("recv", qp, self.sent, HALF, SIZE)
        a.do("send", qp, self.sent, 0, SIZE)
        assert a.poll("send") == (self.sent, "success") and b.poll("recv") == (self.sent, "success")
        b.do("same", HALF, SIZE, self.sent)

    def works(self, qps=(0, 1)):
        for qp in qps:
            self.message(self.vm, self.peer, qp)
            self.message(self.peer, self.vm, qp)

    def end(self):
        for end in (self.vm, self.peer):
            end.end()


# What is done to the program, and undone: what begin() gives back end() is given.

def drained(pair):
    pair.vm.do("state", 1, SQD)


def undrained(pair, _):
    pair.vm.do("state", 1, RTS)


def forked(pair):
    return pair.vm.do("fork")["pid"]


def unforked(_, child):
    os.kill(child, signal.SIGKILL)


def no_descriptors(pair):
    """None beside the first three; what it has stays open."""
    pid = pair.vm.child.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))


def descriptors_again(pair, limits):
    resource.prlimit(pair.vm.child.pid, resource.RLIMIT_NOFILE, limits)


CAUSES = {
    "veto-qp-state": (drained, undrained, (0,), set()),
    "veto-forked": (forked, unforked, (0, 1), set()),
    # Whether there is a child cannot be found out either.
    "veto-cannot-reopen": (no_descriptors, descriptors_again, (0, 1), {"veto-forked"}),
}


def refused(lab, pid, name, sentence, also):
    before = lab.fabric.lft_dump(), lab.fabric.slots()
    for words in ((), ("--force",)):
        try:
            lab.migrate("vm1", "hyp3", *words)
        except CommandFailed as error:
            answer = error.answer
        else:
            raise AssertionError(f"{name}: the command has succeeded")
        assert answer["outcome"] == "refused" and "stopping" not in [step["state"] for step in answer["steps"]], answer
        said = {(row["who"], row["reason"], row["text"]) for row in answer["refusals"] if row["reason"] not in also}
        assert said == {(f"hyp1/vm1/{pid} verbs-shell", name, sentence)}, said
    assert (lab.fabric.lft_dump(), lab.fabric.slots()) == before, "something has changed"


def is_refused_by_name_and_moves_afterwards(lab, name, sentence):
    begin, end, untouched, also = CAUSES[name]
    pair = Pair(lab)
    pair.works()
    cause = begin(pair)
    refused(lab, pair.vm.child.pid, name, sentence, also)
    pair.works(untouched)
    end(pair, cause)
    pair.works()
    assert lab.migrate("vm1", "hyp3")["outcome"] == "done"
    pair.works()
    assert lab.migrate("vm1", "hyp1")["outcome"] == "done"
    pair.works()
    pair.end()


def main():
    tap = Tap()
    texts = sentences()
    with System(hosts=("hyp1", "hyp2", "hyp3"), copy_ms=5, vms={"vm1": "hyp1_vf1", "vm2": "hyp2_vf1"}) as lab:
        lab.start()
        for name in CAUSES:
            tap.run(f"{name}: is_refused_by_name_and_moves_afterwards", is_refused_by_name_and_moves_afterwards, lab, name, texts[name])
    tap.exit()


main()
