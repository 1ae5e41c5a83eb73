#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libtether.so without an agent changes nothing: perftest and ibv_rc_pingpong over simfabric."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import Build  # noqa: E402
from lab.ports import free_port, is_listening  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import demo_fabric, tail, wait_until  # noqa: E402

END_S = 60
ITERATIONS = "5000" if FULL else "500"
PERFTEST = [f"ib_{verb}_{what}" for verb in ("send", "write", "read", "atomic") for what in ("bw", "lat")]
VARIANTS = {"ib_send_bw": [["-e"], ["-b"], ["-q", "4", "--use-srq"]], "ib_write_bw": [["-a"], ["-q", "8"]],
            "ib_read_bw": [["-e"]]}

def on_node(build, fabric, node, argv):
    """The shim above the simulated verbs."""
    return [*fabric.place(node), "env", "LD_PRELOAD=" + build.preload(True), *argv]


def run_pair(build, fabric, program, arguments):
    port = free_port()
    argv = [program, "-p", str(port), *arguments]
    log = os.path.join(fabric.directory, f"{program}-{port}.server")
    with open(log, "ab") as out:
        server = subprocess.Popen(on_node(build, fabric, "hyp1", argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    fabric.children.append(server)
    wait_until(f"{program} listens", lambda: is_listening(port) or server.poll() is not None, END_S, lambda: tail(log))
    client = subprocess.run(on_node(build, fabric, "hyp2", [*argv, "localhost"]), capture_output=True, text=True,
                            timeout=END_S, stdin=subprocess.DEVNULL)
    status = server.wait(END_S)
    shown = f"client {client.returncode}, server {status}\n{client.stdout}{client.stderr}\n{tail(log)}"
    assert client.returncode == 0 and status == 0, shown


def main():
    tap = Tap()
    build = Build()
    with demo_fabric() as fabric:
        for program in PERFTEST:
            for arguments in [[], ["--use_old_post_send"], *VARIANTS.get(program, [])]:
                tap.run(" ".join([program, *arguments]), run_pair, build, fabric, program, ["-F", "-n", ITERATIONS, *arguments])
        tap.run("ibv_rc_pingpong", run_pair, build, fabric, "ibv_rc_pingpong", ["-n", ITERATIONS])
        tap.run("ibv_rc_pingpong -e", run_pair, build, fabric, "ibv_rc_pingpong", ["-n", ITERATIONS, "-e"])
    tap.exit()


main()
