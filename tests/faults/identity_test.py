#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a VM is known by goes with it on the whole road: its partition, its multicast group, what the SA says. Both VMs
are in a partition of their own, whose P_Key their programs' packets carry, while either end moves. And a program comes
through a move that was started as a user would, by `tether run`."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.membership import Belongings, partitions  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify, perftest  # noqa: E402

RUN_S = 6
MANY_WORDS = 1 << 20  # more than the asking itself makes
ROUNDS = 10 if FULL else 1
# Each end in turn, to every hypervisor, into slots that the other has left and onto one hypervisor with it.
ROUTE = [("vm1", "hyp3"), ("vm2", "hyp1"), ("vm1", "hyp4"), ("vm2", "hyp4"), ("vm2", "hyp3"), ("vm1", "hyp2"),
         ("vm1", "hyp1"), ("vm2", "hyp2")]


def everything_goes_with_the_vm(lab, belongings):
    belongings.check()
    with RcVerify(lab, "vm2", "vm1", ["-q", "4"]) as verify:
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        for vm, host in ROUTE * ROUNDS:
            lab.migrate(vm, host)
            belongings.check()
            assert verify.is_running(), f"rc-verify ended when {vm} went to {host}{verify.words()}"
        verify.stop()
        verdicts = verify.results()
    for verdict in verdicts:
        assert verdict.get("ok") and verdict["lid_before"] == verdict["lid_after"], f"{verdict}{verify.words()}"


def sent_by(lab, vm):
    """What the VM's port has sent since it was made, in words, as its PerfMgt agent says."""
    answer = lab.fabric.run("perfquery", "-x", "-G", f"0x{lab.vm_guids[vm]:016x}", 1, node="sm").stdout
    return int(re.search(r"PortXmitData:\.*(\d+)", answer).group(1))


def program_under_tether_run_survives(lab):
    """Nothing but the fabric is preloaded; `tether run` has to find libtether.so by itself."""
    before = sent_by(lab, "vm1")
    launcher = [lab.build.program("tether"), "run", "--"]
    with perftest(lab, "ib_write_bw", "vm2", "vm1", ["-D", str(RUN_S)], tether=False, launcher=launcher) as pair:
        wait_until("data flows", lambda: sent_by(lab, "vm1") > before + MANY_WORDS, 20, pair.logs(), [pair.server, pair.client])
        lab.migrate("vm1", "hyp3")
        assert pair.is_running(), f"the programs ended before the migration was over{pair.words()}"
        assert pair.wait(RUN_S + 60) == (0, 0), pair.words()


def main():
    tap = Tap()
    with System(copy_ms=5, partitions=partitions) as lab:
        lab.start()
        belongings = Belongings(lab)
        tap.run("partition_and_group_and_sa_records_go_with_the_vm", everything_goes_with_the_vm, lab, belongings)
        tap.run("program_under_tether_run_survives", program_under_tether_run_survives, lab)
        tap.run("sa_and_fabric_agree_afterwards", belongings.check)
    tap.exit()


main()
