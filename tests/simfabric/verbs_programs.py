# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified programs in pairs, a server and a client in two places of the demo fabric."""
import os

from lab.ports import free_port, is_listening
from simfabric.lab import tail, wait_until

END_S = 240
NODES = {"node": "hyp1"}, {"node": "hyp2"}
VMS = {"vm": "vm1"}, {"vm": "vm2"}


def run_both(fabric, server, client, port, places, env=None):
    """The commands @server, which listens at @port, and @client; both must end well. What the client says to stdout, and
    what both have said in all."""
    log = os.path.join(fabric.directory, f"server-{port}")
    listener = fabric.start(*server, **places[0], env=env, output=log)
    what = f"{' '.join(map(str, server))} listens"
    wait_until(what, lambda: is_listening(port) or listener.poll() is not None, END_S, lambda: tail(log))
    done = fabric.run(*client, **places[1], env=env, seconds=END_S, check=False)
    status = listener.wait(END_S)
    shown = f"client {done.returncode}, server {status}\n{done.stdout}{done.stderr}\n{tail(log)}"
    assert done.returncode == 0 and status == 0, shown
    return done.stdout, shown


def run_pair(fabric, program, arguments, before=()):
    """@program of perftest or a pingpong, with a command @before it. What the client says."""
    port = free_port()
    argv = [*before, program, "-p", str(port), *arguments]
    return run_both(fabric, argv, [*argv, "127.0.0.1"], port, NODES)[0]


def perftest(fabric, program, arguments, iterations, before=()):
    """@iterations unless @arguments say how many."""
    if "-n" not in arguments:
        arguments = ["-n", str(iterations), *arguments]
    run_pair(fabric, program, ["-F", *arguments], before)


def pingpong(fabric, program, arguments, iterations, before=()):
    out = run_pair(fabric, program, ["-n", str(iterations), *arguments], before)
    assert f"{iterations} iters" in out, out
