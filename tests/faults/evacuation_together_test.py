#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A host with four VMs is emptied by tether-smd while the SM is at work: what they ask to be applied meanwhile goes out as
one plan, forth and back, and what the migrations count adds up to what the fabric has counted."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.lft_blocks import count_changed  # noqa: E402
from faults.sa_truth import check_sa_truth, sets  # noqa: E402
from lab import api  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import MIGRATE_S, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.together_lab import CONF, Held, TogetherLab  # noqa: E402

VMS = {f"vm{n}": f"hyp1_vf{n}" for n in range(1, 5)}
SPARE = ("hyp2_vf1", "hyp4_vf1")
ON_THE_WAY = "moving"  # so long that all of them are there at the same time
COPY_MS = 2000


class Lab(System):
    def __init__(self):
        super().__init__(vms=VMS, copy_ms=COPY_MS)

    def opensm_conf(self):
        return {**super().opensm_conf(), **CONF}

    def plugin(self):
        """As PluginLab has it, beside tether-smd."""
        plugin = TogetherLab()
        plugin.fabric = self.fabric
        return plugin

    def lft_sets(self):
        return sets(self.fabric.counters(), "LinearForwardingTable")

    def moving(self):
        return [row for row in self.ask("/v1/migrations")["migrations"] if not row["ended"]]

    def evacuate(self, host, to):
        status, answer = api.request(self.api_socket, "POST", "/v1/evacuations", {"host": host, "to": [to]})
        assert status == 202, answer
        return answer["id"]

    def end_of(self, number):
        def ended():
            row = self.ask(f"/v1/evacuations/{number}")
            return row if row["ended"] else None

        return wait_until("the evacuation has ended", ended, MIGRATE_S, self.logs())

    def met_while_the_sm_was_at_work(self, host, to):
        """The evacuation's migrations when they have ended."""
        number = self.evacuate(host, to)
        wait_until("all of them are on the way", lambda: [row["state"] for row in self.moving()] == 4 * [ON_THE_WAY],
                   MIGRATE_S, self.logs())
        with Held(self.plugin(), *SPARE) as held:
            held.wait_for(4)
        row = self.end_of(number)
        assert row["outcome"] == "done", row
        return [self.ask(f"/v1/migrations/{vm['migration']}") for vm in row["vms"]]


def their_plans_go_out_as_one(lab, host, to):
    tables, before = lab.fabric.lft_dump(), lab.lft_sets()
    migrations = lab.met_while_the_sm_was_at_work(host, to)
    sent, changed = lab.lft_sets() - before, count_changed(tables, lab.fabric.lft_dump())
    counts = [migration["counts"] for migration in migrations]
    assert sum(count["lft_sets"] for count in counts) == sent == changed, (sent, changed, counts)
    assert sum(count["lft_sets_shared"] for count in counts) > 0, counts
    assert {row["vm"]: row["slot"].rsplit("_", 1)[0] for row in lab.fabric.slots() if row["vm"]} == dict.fromkeys(VMS, to)
    check_sa_truth(lab)


def main():
    tap = Tap()
    with Lab() as lab:
        lab.start()
        tap.run("their_plans_go_out_as_one", their_plans_go_out_as_one, lab, "hyp1", "hyp3")
        if FULL:
            tap.run("and_again", their_plans_go_out_as_one, lab, "hyp3", "hyp1")
    tap.exit()


main()
