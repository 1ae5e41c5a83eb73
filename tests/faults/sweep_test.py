#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""OpenSM is made to sweep heavily in the middle of a migration, between RELEASE and ATTACH: the migration is done,
rc-verify in both VMs is exact, and SA and fabric agree as they stand.

tether-smd stops itself as it enters a step, before it asks anybody (victims.py). OpenSM is then told to sweep, and
tether-smd goes on once the sweep runs, or, where there is a lease, is seen to wait for it. And where the lease runs out
meanwhile: the sweep sees GUIDs at both slots, or exchanged and no plan applied. Both VMs are in a partition and a group
of their own, since such a sweep leaves the P_Keys with the slots."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.membership import Belongings, partitions  # noqa: E402
from faults.plugin_client import PluginClient  # noqa: E402
from faults.sa_truth import sets  # noqa: E402
from faults.victims import DESTINATION, KillLab, Load, has_stopped, start_migration, verdict_of  # noqa: E402
from lab.deadline import tails, wait_until  # noqa: E402
from lab.system import PATIENT, START_S  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

FREE = ("detaching", "moving", "leasing", "attaching")
LEASED = ("naming", "vacating", "applying", "unleasing")
OUTLIVED = LEASED if FULL else ("vacating", "applying")
LONG_MS = 10000  # the plugin's longest; nobody waits for its end
SHORT_MS = 1500  # its end is waited for; then long enough for one more attempt
END_S = 2 * PATIENT["overall_ms"] / 1000


def node_infos(lab):
    """A heavy sweep asks for them. Nobody else does while tether-smd stands still."""
    return sets(lab.fabric.counters(), "NodeInfo", "get")


class Sweep:
    """A heavy sweep that OpenSM is told to make. Made when it waits for the lease, or runs."""

    def __init__(self, lab, waits):
        self.lab = lab
        self.opensm = lab.fabric.opensms[-1]
        self.up_before = self.opensm.up
        before = node_infos(lab)
        os.kill(self.opensm.pid, signal.SIGHUP)
        if waits:
            with PluginClient(lab.path("osm.sock")) as sm:
                wait_until("the sweep waits", lambda: sm.ask("status")["sweep_waits"], START_S, lab.logs())
        else:
            wait_until("the sweep runs", lambda: node_infos(lab) > before, START_S, lab.logs())

    def wait_over(self):
        """Until it has ended, and none other is under way or owed."""
        self.opensm.wait_up(START_S, self.up_before + 1)
        with PluginClient(self.lab.path("osm.sock")) as sm:
            wait_until("OpenSM is at rest", lambda: sm.ask("status")["quiet"], START_S, self.lab.logs())


def expect_exact(load):
    load.stop()
    for process in (load.client, load.server):
        process.wait(END_S)
        assert verdict_of(process).get("ok"), f"{process.name}: {verdict_of(process)}{tails(load.logs())}"


def sweep_changes_nothing(step, waits, lease_ms):
    with KillLab(settings={**PATIENT, "sm_lease_ms": lease_ms}, partitions=partitions) as lab:
        lab.armed["smd"] = {"TETHER_STOP_AT": f"smd-ask:{step}"}
        lab.start()
        belongings = Belongings(lab)
        load = Load(lab)
        command = start_migration(lab, "vm1", DESTINATION)
        wait_until("tether-smd has stopped", lambda: has_stopped(lab.smd), START_S, lab.logs(), [lab.smd])
        sweep = Sweep(lab, waits)
        lab.smd.signal(signal.SIGCONT)
        assert command.wait(END_S) == 0, f"{command.output()}{tails(lab.logs())}"
        assert lab.place_of("vm1")[0] == DESTINATION
        sweep.wait_over()
        belongings.check()
        expect_exact(load)


def main():
    tap = Tap()
    for step in FREE:
        tap.run(f"sweep_in_{step}_changes_nothing", sweep_changes_nothing, step, False, LONG_MS)
    for step in LEASED:
        tap.run(f"sweep_in_{step}_waits_for_the_lease_and_changes_nothing", sweep_changes_nothing, step, True, LONG_MS)
    for step in OUTLIVED:
        tap.run(f"sweep_in_{step}_after_the_lease_changes_nothing", sweep_changes_nothing, step, False, SHORT_MS)
    tap.exit()


main()
