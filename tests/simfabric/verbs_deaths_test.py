#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Processes that use verbs are killed: at each marked point of the data plane and at random under load. Afterwards others
work as before, and the dead hold nothing. Children of a fork have nothing of their parent's device."""
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import demo_fabric  # noqa: E402
from simfabric.verbs_peer import Peer, connect, pair  # noqa: E402

COUNTS = [1, 2, 7, 40] if FULL else [1, 7]
POINTS = {"packet_ring_taken": [1], "qpn_taken": [1], "packet_half_sent": COUNTS, "packet_sent": COUNTS}
RANDOM_KILLS = 1000 if FULL else 40
RINGS = 256  # of packet_ring.h's table: more deaths than that use up what is not given back
A, B = {"node": "hyp1"}, {"node": "hyp2"}


def same(got, want):
    assert got == want, f"got {got}, not {want}"


def others_work(fabric):
    c, d = pair(fabric, {"node": "hyp3"}, {"node": "hyp4"})
    d.do("recv", 0, 5, 0, 8192)
    c.do("send", 0, 1, 0, 5000)
    c.do("add", 0, 2, 0, 8, add=1, **d.target(64))
    same([c.poll("send"), c.poll("send")], [(1, "success"), (2, "success")])
    same(d.poll("recv"), (5, "success"))
    end(fabric, c, d)


def end(fabric, *peers):
    for peer in peers:
        peer.kill()
        fabric.children.remove(peer.child)


def use(victim, survivor):
    """Until it dies; it does at its point."""
    victim.open()
    victim.qp()
    connect(victim, survivor, 0, len(survivor.qps) - 1)
    for n in range(200):
        victim.do("write", 0, n, 0, 20000, **survivor.target())
        victim.poll("send")


def killed_at_its_point(fabric, point, count):
    survivor = Peer(fabric, **B).open()
    survivor.qp()
    victim = Peer(fabric, **A, env={"SIMFABRIC_DIE_AT": f"{point}:{count}"})
    try:
        use(victim, survivor)
        raise AssertionError("it did not come to the point")
    except (EOFError, BrokenPipeError):
        pass
    # The survivor, whose ring the dead may have locked, goes on with another peer.
    other = Peer(fabric, **A).open()
    other.qp()
    survivor.qp()
    connect(other, survivor, 0, len(survivor.qps) - 1)
    other.do("write", 0, 1, 0, 20000, **survivor.target())
    same(other.poll("send"), (1, "success"))
    end(fabric, victim, survivor, other)
    others_work(fabric)


def kill_once(fabric, dice):
    a, b = pair(fabric, A, B, timeout=8, retry=1)
    victim, other = (a, b) if dice.random() < 0.5 else (b, a)
    for n in range(32):
        a.put("write", 0, n, 0, 60000, **b.target())
        b.put("read", 0, n, 0, 60000, **a.target())
    time.sleep(dice.random() * 0.003)
    victim.child.kill()
    victim.child.wait()
    for _ in range(32):
        other.get()
    other.poll("send")
    end(fabric, a, b)


def killed_at_random_under_load(fabric):
    dice = random.Random(1)
    for _ in range(RANDOM_KILLS):
        kill_once(fabric, dice)
    others_work(fabric)
    same(fabric.check()["lost"], 0)


def more_processes_than_rings_one_after_the_other(fabric):
    for _ in range(RINGS + 10 if FULL else 30):
        peer = Peer(fabric, **A)
        peer.open()
        end(fabric, peer)
    others_work(fabric)


FORK = """
import ctypes, os
verbs = ctypes.CDLL(None)  # what is preloaded
for name in ("ibv_get_device_list", "ibv_open_device", "ibv_alloc_pd"):
    getattr(verbs, name).restype = ctypes.c_void_p
def open_device():
    count = ctypes.c_int()
    devices = ctypes.cast(verbs.ibv_get_device_list(ctypes.byref(count)), ctypes.POINTER(ctypes.c_void_p))
    return verbs.ibv_open_device(ctypes.c_void_p(devices[0]))
def rests(task):
    with open(f"/proc/self/task/{task}/stat") as stat:
        return "(simfabric-hca) S" in stat.read()
context = open_device()
# AddressSanitizer's allocator is not made ready for fork: the child would stand still in it where another thread has it just then.
while not all(rests(task) for task in os.listdir("/proc/self/task") if int(task) != os.getpid()):
    os.sched_yield()
child = os.fork()
if child == 0:
    assert not verbs.ibv_alloc_pd(ctypes.c_void_p(context)), "the parent's context works in the child"
    own = open_device()
    assert own and verbs.ibv_alloc_pd(ctypes.c_void_p(own)), "no device in the child"
    verbs.ibv_close_device(ctypes.c_void_p(own))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0, "the child has failed"
assert verbs.ibv_alloc_pd(ctypes.c_void_p(context)), "the child has taken the parent's device away"
"""


def child_has_nothing_of_its_parents_device_and_opens_its_own(fabric):
    argv = [*fabric.place("hyp1"), sys.executable, "-c", FORK]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    same((done.returncode, done.stderr), (0, ""))


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        for point, counts in POINTS.items():
            for count in counts:
                tap.run(f"killed_at_{point}_{count}", killed_at_its_point, fabric, point, count)
        tests = [killed_at_random_under_load, more_processes_than_rings_one_after_the_other]
        # ThreadSanitizer allows the child of a process with threads none of its own.
        if "thread" not in os.environ.get("TETHER_SANITIZE", ""):
            tests.append(child_has_nothing_of_its_parents_device_and_opens_its_own)
        for test in tests:
            tap.run(test.__name__, test, fabric)
    tap.exit()


main()
