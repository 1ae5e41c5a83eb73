#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""An agent in a VM that finds its new host only after the move is over, or after a move has begun. Nobody waits for it where no
process of the VM takes part: programs that start meanwhile go on as soon as it is there, whichever agent was started again."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.background import Background  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import PATIENT, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

# What nobody tells of ends with the overall deadline: far beyond what is waited for here.
SETTINGS = {**PATIENT, "overall_ms": 300000, "away_ms": 60000}
SOON_S = 30
RELEASED = re.compile(r" RELEASE\.\d+ DONE$", re.M)


class LateLab(System):
    """The agent in VM 1 finds its host by a way that can be closed; the link that it has stays."""

    def __init__(self):
        super().__init__(guests=True, copy_ms=5, settings=SETTINGS)
        self.programs = 0
        self.way = self.path("way")
        self.open_way()

    def guest_parent(self, vm):
        return f"unix:{self.way}" if vm == "vm1" else super().guest_parent(vm)

    def open_way(self):
        os.symlink(self.path("vms", "vm1.guest"), self.way)

    def close_way(self):
        os.unlink(self.way)

    def log_of(self, name):
        with open(self.path(f"{name}.log")) as log:
            return log.read()

    def wait_log(self, name, text, times=1):
        wait_until(f"{name} says {text!r}", lambda: self.log_of(name).count(text) >= times, SOON_S, [self.path(f"{name}.log")])

    def restart_agent(self, host):
        self.agents[host].kill()
        self.start_agent(host)
        self.wait_connected([host])

    def restart_guest(self):
        self.guests["vm1"].kill()
        self.start_guest("vm1")


def program(lab):
    """That opens the device, in VM 1; the agent there has told it that there is none."""
    lab.programs += 1
    name = f"devinfo-{lab.programs}"
    started = lab.run_in_vm("vm1", name, ["ibv_devinfo"], env={"TETHER_LOG": lab.path(f"{name}-shim.log")})
    wait_until("it is held", lambda: os.path.exists(lab.path(f"{name}-shim.log")) and RELEASED.search(lab.log_of(f"{name}-shim")), SOON_S,
               [started.log, lab.path("guest-vm1.log")], [started])
    return started


def goes_on(lab, waiting):
    """A program that waits for the end of the move, and one that starts after it; and the next move is one as any."""
    lab.open_way()
    assert waiting.wait(SOON_S) == 0, lab.log_of(waiting.name)
    with RcVerify(lab, "vm2", "vm1", ["-q", "2"]) as verify:
        wait_until("rc-verify works", verify.is_working, SOON_S, [*verify.logs(), lab.path("guest-vm1.log")], [verify.client])
        assert lab.migrate("vm1", "hyp1")["outcome"] == "done"
        verify.end_exactly()


def moved_without_its_guest(lab):
    lab.close_way()
    assert lab.migrate("vm1", "hyp3")["outcome"] == "done"
    lab.wait_log("guest-vm1", "the root is away")
    return program(lab)


def guest_comes_after_the_move(lab):
    goes_on(lab, moved_without_its_guest(lab))


def hosts_agent_is_started_again_after_the_move(lab):
    """It has forgotten the move."""
    waiting = moved_without_its_guest(lab)
    lab.restart_agent("hyp3")
    goes_on(lab, waiting)


def guest_is_started_again_after_the_move(lab):
    """It has forgotten both: that the VM is without its device, and whom it has told so."""
    waiting = moved_without_its_guest(lab)
    lab.restart_guest()
    goes_on(lab, waiting)


class Migration(Background):
    def __init__(self, lab):
        super().__init__()
        self.lab, self.answer = lab, None

    def work(self):
        self.answer = self.lab.migrate("vm1", "hyp3")


def prepare_waits_for_the_guest(lab):
    """The host's agent was started again, and knows of nobody in the VM."""
    with RcVerify(lab, "vm2", "vm1", ["-q", "2"]) as verify:
        wait_until("rc-verify works", verify.is_working, SOON_S, verify.logs(), [verify.client])
        prepared = lab.log_of("agent-hyp1").count("PREPARE.1\n")
        lab.close_way()
        lab.restart_agent("hyp1")
        with Migration(lab) as migration:
            lab.wait_log("agent-hyp1", "PREPARE.1\n", prepared + 1)
            lab.open_way()
        assert migration.answer["outcome"] == "done", migration.answer
        assert lab.migrate("vm1", "hyp1")["outcome"] == "done"
        verify.end_exactly()


def main():
    tap = Tap()
    with LateLab() as lab:
        lab.start()
        for test in (guest_comes_after_the_move, hosts_agent_is_started_again_after_the_move,
                     guest_is_started_again_after_the_move, prepare_waits_for_the_guest):
            tap.run(test.__name__, test, lab)
    tap.exit()


main()
