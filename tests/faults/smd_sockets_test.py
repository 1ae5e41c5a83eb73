#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What comes to the sockets of tether-smd and should not, or is more than it has descriptors for, harms nobody."""
import os
import random
import resource
import socket

from smd import Skipped, Stage, equal, run, wait_until


def post(body, length=None):
    return (b"POST /v1/migrations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
            + str(len(body) if length is None else length).encode() + b"\r\n\r\n" + body)


def bad_input_to_the_api_is_refused_and_harms_nobody():
    with Stage() as stage:
        for body in (b"", b"{", b"[]", b'{"vm":"vm1"}', b'{"vm":1,"to":2}', b"\xff" * 100, b"[" * 5000, b"{}" * 100):
            equal(stage.smd.raw(post(body)).split(b" ")[1], b"400", repr(body[:20]))
        equal(stage.smd.raw(post(b"x" * 100000, 100000)).startswith(b"HTTP/1.1 2"), False, "a body of 100,000 bytes is taken")
        equal(stage.smd.ask("GET", "/v1/nothing")[0], 404)
        equal(stage.smd.ask("POST", "/v1/hypervisors", "")[0], 404)
        equal(stage.smd.ask("GET", "/v1/migrations/1?wait=nonsense")[0], 400)
        equal(stage.smd.ask("GET", "/v1/migrations/1?seen=-1")[0], 400)
        equal(stage.smd.ask("GET", "/v1/migrations/99999999999999999999")[0], 404)
        equal(b" 200 " in stage.smd.raw(b"DELETE /v1/vms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), False)
        noise = random.Random(7)
        for _ in range(200):
            stage.smd.raw(noise.randbytes(noise.randrange(1, 400)))
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def noise_on_the_agents_socket_harms_nobody():
    with Stage() as stage:
        noise = random.Random(7)
        for i in range(200):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(os.path.join(stage.temporary.name, "agents.sock"))
                data = noise.randbytes(noise.randrange(1, 400))
                sock.sendall(data if i % 2 else len(data).to_bytes(4, "big") + data)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def noise_from_the_sm_is_a_lost_link():
    with Stage() as stage:
        # A link stands before the SM has accepted it; it is down before the log says so.
        wait_until("the SM has accepted the link", lambda: stage.world.sm.connections)
        with stage.world.lock:
            for sock in stage.world.sm.connections:
                sock.sendall(b'{"id":"x"}\n')
        wait_until("the link stands again", lambda: "not an answer" in stage.smd.log()
                   and stage.smd.get("/v1/health")[1]["sm_connected"])
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def without_descriptors_accepting_pauses_and_goes_on():
    with Stage() as stage:
        child = stage.smd.child.pid
        # Held, so that no other descriptor is freed while there are none left.
        held = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        before = resource.prlimit(child, resource.RLIMIT_NOFILE)
        resource.prlimit(child, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{child}/fd")), before[1]))
        for sock, path in zip(held, (stage.smd.api_path, os.path.join(stage.temporary.name, "agents.sock"))):
            sock.connect(path)
        for what in ("no agent can be accepted", "nobody can be accepted"):
            wait_until(what, lambda what=what: f"{what}, accepting pauses: Too many open files" in stage.smd.log())
        resource.prlimit(child, resource.RLIMIT_NOFILE, before)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        for sock in held:
            sock.close()


def strangers_are_not_served():
    if os.geteuid():
        raise Skipped("only root can pass for another user")
    with Stage() as stage:
        # The mode of the socket keeps them out already; whoever opens it up has the second guard.
        os.chmod(stage.temporary.name, 0o755)
        os.chmod(stage.smd.api_path, 0o666)
        child = os.fork()
        if not child:
            status = 0
            try:
                os.setuid(65534)
                status = stage.smd.get("/v1/vms")[0]
            finally:
                os._exit(0 if status == 403 else 1)
        equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "status 403")


run([bad_input_to_the_api_is_refused_and_harms_nobody, noise_on_the_agents_socket_harms_nobody,
     noise_from_the_sm_is_a_lost_link, without_descriptors_accepting_pauses_and_goes_on, strangers_are_not_served])
