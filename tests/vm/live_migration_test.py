#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Real live migrations, QEMU to QEMU, by `tether migrate` and the driver that speaks QMP: the memory really moves, a program's RC
connections live through it, and an administrator can read what was done."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from vm.system import RcVerify, VmSystem  # noqa: E402

MOVES = 10 if FULL else 2
QPS = ("-q", "8" if FULL else "2")


def other(lab):
    return "h2" if lab.places["vm1"] == "h1" else "h1"


def has_its_vf(lab):
    guest, host = lab.guests["vm1"], lab.places["vm1"]
    return guest.rdma_device(lab.mac(host, "vf0"))


def memory_moves(lab):
    """What is in it, who runs in it, and a TCP connection that is open."""
    guest, peer = lab.guests["vm1"], lab.guests["vm2"]
    guest.run("head -c 20000000 /dev/urandom >/dev/shm/ballast")
    before = guest.run("md5sum /dev/shm/ballast; pidof tether-agent")
    listener = peer.start("nc -l -p 4000")
    peer.wait_listening(4000, listener)
    talker = guest.start(f"exec 3<>/dev/tcp/{lab.address('vm2')}/4000; echo before >&3; "
                         "until [ -e /tmp/go ]; do sleep 0.1; done; echo after >&3")
    peer.wait_said(listener, "before")
    old = guest.machine
    device = has_its_vf(lab)
    moved = lab.migrate("vm1", other(lab))
    assert moved.answer["outcome"] == "done" and moved.answer["counts"]["copy_ms"] > 0, moved.answer
    assert guest.run("md5sum /dev/shm/ballast; pidof tether-agent") == before
    guest.run("touch /tmp/go")
    assert peer.wait(listener) == 0 and listener.output() == "before\nafter\n", listener.output()
    guest.wait(talker)
    assert old.process.wait(30) == 0, "the source's QEMU was not told to end"
    assert has_its_vf(lab)[1] != device[1], "it has the same device"


def waits_for_a_word(lab):
    """The destination was started with -S: it goes on when it gets its VF, not before."""
    at = lab.machine_of("vm1", other(lab), ["-S"], incoming=f"unix:{lab.path('vm1-' + other(lab) + '.incoming')}")
    lab.migrate("vm1", other(lab), at=at)
    assert at.qmp.execute("query-status")["status"] == "running"
    has_its_vf(lab)


def log_is_read_from_top_to_bottom(lab):
    """Of the last migration: every command that changed something, in its order, with the migration's number."""
    host, source = lab.places["vm1"], other(lab)
    number = max(row["id"] for row in lab.ask("/v1/migrations")["migrations"])
    said = {}
    for name in (source, host):
        with open(lab.path(f"agent-{name}.log")) as log:
            said[name] = "".join(line for line in log if re.search(rf" info \S+: migration {number}/", line))
    at_source = ("order detach vm vm1", 'device_del {"id":"tether-vf0"}', "detach vm1: done", "order move vm vm1",
                 "migrate-set-capabilities", f'migrate {{"uri":"unix:{lab.path(f"vm1-{host}.incoming")}"}}', f"memory is at {host}: ",
                 "quit", "move vm1: done")
    at_host = ("order attach vm vm1", 'device_add {"id":"tether-vf0"', "attach vm1: done")
    for name, texts in ((source, at_source), (host, at_host)):
        place = 0
        for text in texts:
            found = said[name].find(text, place)
            assert found >= 0, f"{text!r} is not said, or too early, by {name}:\n{said[name]}"
            place = found


def connections_live(lab):
    """To and fro under load: nothing lost, nothing twice, nothing changed."""
    pair = RcVerify(lab, "vm2", "vm1", QPS)
    for _ in range(MOVES):
        done = progress(pair)
        moved = lab.migrate("vm1", other(lab))
        assert moved.count("qps") >= 2, moved.answer
        # Both sides get on before the next one.
        wait_until("work goes on after the move", lambda: all(now > then for now, then in zip(progress(pair), done)), 60, lab.logs())
    pair.end_exactly()


def progress(pair):
    """How much each end has done."""
    return [int(re.findall(r"(\d+) done, ", end.output())[-1]) for end in (pair.server, pair.client)]


CHECKS = (memory_moves, waits_for_a_word, log_is_read_from_top_to_bottom, connections_live)


def main():
    tap = Tap()
    with VmSystem() as lab:
        lab.start(("vm1", "h1"), ("vm2", "h3"))
        for check in CHECKS:
            tap.run(check.__name__.replace("_", " "), check, lab)
    tap.exit()


main()
