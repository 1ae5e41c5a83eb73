# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""In which phase of a migration a device is lost, and what preload/DESIGN.md ("Unplanned loss") promises of it. Nobody sleeps:
tether-smd stops itself at the place, the device goes, tether-smd goes on."""
import signal
from dataclasses import dataclass

from faults.victims import has_stopped
from lab.deadline import tails, wait_until
from lab.system import START_S

# What becomes of VM 1's program.
ENDS = "it is told at once"  # while tether-smd is stopped still
GOES_ON = "it goes on, and is told nothing"
ENDS_LATER = "it is told at RESUME"


@dataclass(frozen=True)
class Phase:
    name: str
    vm: str  # it migrates; the device is VM 1's
    place: str
    outcome: str
    reason: str
    program: str
    begun: bool = False  # tether-smd goes on before, the other has done the step, and VM 1's agent is stopped


ABORTED, DONE = ("aborted", "device-lost"), ("done", "")
PHASES = [
    Phase("PREPARE", "vm1", "smd-ask:stopping", *ABORTED, ENDS),
    Phase("STOP", "vm1", "smd-ask:settling", *ABORTED, ENDS),
    Phase("SETTLE", "vm1", "smd-ask:settling", *ABORTED, ENDS, begun=True),
    Phase("vote", "vm1", "smd-record:releasing", *DONE, GOES_ON),
    Phase("commit", "vm1", "smd-ask:releasing", *DONE, GOES_ON),
    Phase("next device, attached", "vm1", "smd-ask:reconnecting", *DONE, ENDS_LATER),
    Phase("next device, connected", "vm1", "smd-ask:resuming", *DONE, ENDS_LATER),
    Phase("peer's, before its vote", "vm2", "smd-ask:settling", *DONE, ENDS),
    Phase("peer's, behind its vote", "vm2", "smd-ask:releasing", *DONE, ENDS),
]


def arm(lab, phase):
    """tether-smd begins anew, and stops itself there in the next migration."""
    lab.restart_smd({"TETHER_STOP_AT": phase.place})
    lab.wait_connected(lab.hosts)


def wait_until_stopped(lab):
    wait_until("tether-smd has stopped itself in the phase", lambda: has_stopped(lab.smd), START_S, lab.logs(), [lab.smd])


def let_begin(lab, source, is_done):
    """The phase's step, everywhere but at the agent @source, until @is_done. Nobody has heard of it in VM 1."""
    lab.agents[source].signal(signal.SIGSTOP)
    lab.smd.signal(signal.SIGCONT)
    wait_until("the other has done the step", is_done, START_S, lab.logs(), [lab.smd])


def go_on(lab, source):
    for daemon in lab.smd, lab.agents[source]:
        daemon.signal(signal.SIGCONT)


def check_end(phase, move, logs):
    """As promised, by name."""
    assert move.outcome == phase.outcome and phase.reason in move.said, f"{phase}: {move.outcome}, {move.said}{tails(logs)}"
