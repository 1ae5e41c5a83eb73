# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified programs in pairs, a server on hyp1 and a client on hyp2 of the demo fabric."""
import os

from lab.ports import free_port, is_listening
from simfabric.lab import tail, wait_until

END_S = 240


def run_pair(fabric, program, arguments):
    """What the client says; both must end well."""
    port = free_port()
    argv = [program, "-p", str(port), *arguments]
    log = os.path.join(fabric.directory, f"{program}-{port}.server")
    server = fabric.start(*argv, node="hyp1", output=log)
    wait_until(f"{program} listens", lambda: is_listening(port) or server.poll() is not None, END_S, lambda: tail(log))
    client = fabric.run(*argv, "127.0.0.1", node="hyp2", seconds=END_S, check=False)
    status = server.wait(END_S)
    shown = f"client {client.returncode}, server {status}\n{client.stdout}{client.stderr}\n{tail(log)}"
    assert client.returncode == 0 and status == 0, shown
    return client.stdout


def perftest(fabric, program, arguments, iterations):
    """@iterations unless @arguments say how many."""
    if "-n" not in arguments:
        arguments = ["-n", str(iterations), *arguments]
    run_pair(fabric, program, ["-F", *arguments])


def pingpong(fabric, program, arguments, iterations):
    out = run_pair(fabric, program, ["-n", str(iterations), *arguments])
    assert f"{iterations} iters" in out, out
