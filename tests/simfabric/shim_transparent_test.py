#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libtether.so without an agent changes nothing: perftest and ibv_rc_pingpong over simfabric."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import Build  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import demo_fabric  # noqa: E402
from simfabric.verbs_programs import perftest, pingpong  # noqa: E402

ITERATIONS = 5000 if FULL else 500
PERFTEST = [f"ib_{verb}_{what}" for verb in ("send", "write", "read", "atomic") for what in ("bw", "lat")]
VARIANTS = {"ib_send_bw": [["-e"], ["-b"], ["-q", "4", "--use-srq"]], "ib_write_bw": [["-a"], ["-q", "8"]],
            "ib_read_bw": [["-e"]]}


def is_loaded(fabric, shim):
    maps = fabric.run(*shim, "cat", "/proc/self/maps", node="hyp1").stdout
    assert "/libtether.so" in maps and "/libsimfabric.so" in maps, maps


def main():
    tap = Tap()
    shim = ["env", "LD_PRELOAD=" + Build().preload(True)]
    with demo_fabric() as fabric:
        tap.run("the_shim_is_loaded", is_loaded, fabric, shim)
        for program in PERFTEST:
            for arguments in [[], ["--use_old_post_send"], *VARIANTS.get(program, [])]:
                tap.run(" ".join([program, *arguments]), perftest, fabric, program, arguments, ITERATIONS, shim)
        for arguments in [[], ["-e"]]:
            tap.run(" ".join(["ibv_rc_pingpong", *arguments]), pingpong, fabric, "ibv_rc_pingpong", arguments, ITERATIONS, shim)
    tap.exit()


main()
