#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""TETHER_UNPLANNED=reconnect: VM 1's device is taken away by surprise under perftest; the VM is given it again and moved, and
perftest goes on, on both sides, where what was open can be settled: what the VM sends, and what is read of it. So it is whether
the device says that it goes, or answers no more, or gives its work back before. Of rc-verify, whose work goes both ways, what
nobody can tell ends with an error, and nothing is repeated. Where nobody comes in time, the programs are told."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import FINDINGS, RcVerify, perftest  # noqa: E402

END_S = 60
QPS = 4
RUNS_S = 8
# How the device goes: with DEVICE_FATAL, without, and with all its queue pairs in ERR before.
WAYS = {"mlx5": [], "rxe": ["loss_is_fatal=0"], "flushed": ["loss_flushes=1"],
        "flushed_without_a_word": ["loss_flushes=1", "loss_is_fatal=0"]}
# The VM that serves, and the one that asks.
SETTLED = (("ib_write_bw", "vm2", "vm1"), ("ib_send_bw", "vm2", "vm1"), ("ib_read_bw", "vm2", "vm1"), ("ib_read_bw", "vm1", "vm2"))


def pair(lab, program, server, client, seconds, wait, name=""):
    return perftest(lab, program, server, client, ["-D", str(seconds), "-s", "4096"], env={"TETHER_UNPLANNED": wait, "TETHER_LOG": "stderr"},
                    launcher=("stdbuf", "-oL"), name=f"{program}-of-{client}-{name}")


def runs(pair):
    """Both are connected."""
    return all("#bytes" in process.output() for process in (pair.server, pair.client))


def goes_on_with_the_next_device(lab, source, destination, attached):
    """@attached: the VM gets it back before it is moved. It need not: the destination's is the next as well."""
    pairs = [pair(lab, *kind, RUNS_S, "reconnect", source) for kind in SETTLED]
    try:
        for each in pairs:
            wait_until(f"{each.name} runs", lambda: runs(each), END_S, each.logs())
        assert lab.fabric.detach("vm1", surprise=True)
        of_vm1 = [each.server if server == "vm1" else each.client for each, (_, server, _) in zip(pairs, SETTLED)]
        for process in of_vm1:
            wait_until(f"{process.name} has noticed", lambda: "another one is waited for" in open(process.log).read(), END_S, [process.log])
        if attached:
            lab.fabric.attach("vm1", f"{source}_vf1")
        lab.migrate("vm1", destination)
        for each in pairs:
            assert each.wait(END_S) == (0, 0), f"{each.name}{each.words()}"
    finally:
        for each in pairs:
            each.kill()


def work_both_ways_is_never_repeated(lab, source, destination):
    with RcVerify(lab, "vm2", "vm1", ["-q", str(QPS)], env={"TETHER_UNPLANNED": "reconnect", "TETHER_LOG": "stderr"}) as verify:
        wait_until("rc-verify works", verify.is_working, END_S, verify.logs(), [verify.client])
        assert lab.fabric.detach("vm1", surprise=True)
        wait_until("its peer waits for each", lambda: open(verify.server.log).read().count("does not answer, held") >= QPS, END_S,
                   verify.logs())
        lab.fabric.attach("vm1", f"{source}_vf1")
        lab.migrate("vm1", destination)
        verify.stop()
        for verdict in verify.results():
            assert not any(verdict[name] for name in FINDINGS if name != "errors"), f"{verdict}{verify.words()}"


def is_told_when_nobody_comes(lab):
    with pair(lab, "ib_write_bw", "vm2", "vm1", END_S, "reconnect:1") as each:
        wait_until("perftest runs", lambda: runs(each), END_S, each.logs())
        assert lab.fabric.detach("vm1", surprise=True)
        wait_until("the program is told", lambda: each.client.poll() is not None, END_S, each.logs())
        assert each.client.poll() != 0
        assert "all of it ends" in open(each.client.log).read(), each.words()


def main():
    tap = Tap()
    with System(copy_ms=5) as lab:
        lab.start()
        tap.run("goes_on_with_the_destinations", goes_on_with_the_next_device, lab, "hyp1", "hyp3", False)
        source, destination = "hyp3", "hyp1"
        for way in WAYS if FULL else ("rxe", "flushed"):
            lab.fabric.cli("data-fault", "preset=mlx5", *WAYS[way])
            tap.run(f"goes_on_when_it_has_a_device_again_{way}", goes_on_with_the_next_device, lab, source, destination, True)
            source, destination = destination, source
        lab.fabric.cli("data-fault", "preset=mlx5")
        tap.run("work_both_ways_is_never_repeated", work_both_ways_is_never_repeated, lab, source, destination)
        tap.run("is_told_when_nobody_comes", is_told_when_nobody_comes, lab)
    tap.exit()


main()
