#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A called migration of a real guest: a script in the place of an orchestrator unplugs, migrates and plugs by QMP, each when tether waits
for it, under a program that has the device open. Then it cannot: the way back is tether's, and the next one works."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from vm.orchestrator import Failed, Orchestrator  # noqa: E402
from vm.system import VmSystem  # noqa: E402

# Those who have a verbs device open, by name.
HOLDERS = "for fd in /proc/[0-9]*/fd/*; do case $(readlink $fd) in /dev/infiniband/uverbs*) cat ${fd%/fd/*}/comm;; esac; done"
NAME, PORT = "ibv_rc_pingpong", 18515
SERVER = f"exec tether run -- {NAME} -g 0 -n 200"


class Program:
    """In VM 1: has its device open and a queue pair made before the first move, and waits for whoever comes by TCP. That nothing is lost
    of what is under way is shown by others; here the device is what matters."""

    def __init__(self, lab):
        self.lab, self.vm, self.peer = lab, lab.guests["vm1"], lab.guests["vm2"]
        self.server = self.vm.start(SERVER)
        self.vm.wait_listening(PORT, self.server)
        assert self.holders() == [NAME], self.server.output()

    def holders(self):
        return self.vm.run(HOLDERS).split()

    def is_back(self):
        """It has not ended, and has the device that the VM has now."""
        assert self.server.status is None and self.holders() == [NAME], f"{self.holders()}{self.server.output()}"

    def serves(self):
        """All of its rounds, to one that comes now."""
        client = self.peer.start(f"{SERVER} {self.lab.address('vm1')}")
        statuses = self.peer.wait(client), self.vm.wait(self.server)
        assert statuses == (0, 0), f"{statuses}\n{client.output()}{self.server.output()}{self.lab.words()}"


def nothing_is_touched_before_release_is_acknowledged(lab, program):
    """The first time that the orchestrator is told to do anything, the device is there, and nobody has it open."""
    seen = []

    def look(orchestrator):
        seen.append((orchestrator.machine.qmp.has_event("DEVICE_DELETED"), program.holders()))

    migration = Orchestrator(lab, "vm1", "h2", {"detached": look}).run()
    assert migration["outcome"] == "done", f"{migration}{lab.words()}"
    assert seen == [(False, [])], seen
    assert migration["mode"] == "called" and not migration["refusals"], migration
    program.is_back()


def it_goes_back_as_it_came(lab, program):
    migration = Orchestrator(lab, "vm1", "h1").run()
    assert migration["outcome"] == "done", f"{migration}{lab.words()}"
    program.is_back()


def what_is_reported_as_failed_is_led_back(lab, program):
    """Before the memory moves, with the VF out of the VM; and where QEMU's migration fails, since nobody waits for it any more."""

    def no(orchestrator):
        raise Failed()

    def kill(orchestrator):
        orchestrator.there.quit()

    for before in ({"moved": no}, {"moved": kill}):
        migration = Orchestrator(lab, "vm1", "h2", before).run()
        assert (migration["outcome"], migration["refusals"][0]["reason"]) == ("failed-at-source", "reported-failed"), f"{migration}{lab.words()}"
        program.is_back()


def main():
    tap = Tap()
    with VmSystem() as lab:
        lab.start(("vm1", "h1"), ("vm2", "h3"))
        program = Program(lab)
        for test in (nothing_is_touched_before_release_is_acknowledged, it_goes_back_as_it_came, what_is_reported_as_failed_is_led_back,
                     nothing_is_touched_before_release_is_acknowledged):
            if not tap.run(test.__name__, test, lab, program):
                break  # the next would not begin where it thinks
        else:
            tap.run("what_was_begun_before_it_all_serves_now", program.serves)
    tap.exit()


main()
