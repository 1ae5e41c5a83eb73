#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Clients of the fabric are killed, at every marked fault point and at random: the file stays usable, nothing that they
held is lost, and the subnet is what it was."""
import os
import random
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.ports import free_port, is_listening  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import Fabric, wait_until  # noqa: E402

UP_S = 60
RANDOM_KILLS = 1000 if FULL else 60
COUNTS = (1, 2, 3, 5, 9, 20) if FULL else (1, 3)
SEED = 4
LONGEST_LIFE_S = 0.03
# How long management packets are on the way, at last so long that on a busy machine, too, several are at a time; and how
# many a program sends without an answer.
DELAYS_US = (300, 3000, 30000)
MANY = "8"


class Lab:
    def __init__(self, fabric):
        self.fabric = fabric
        fabric.create("demo.net")
        fabric.cli("vm", "add", "vm1", "hyp2_vf1")
        self.delay_us = DELAYS_US[0]
        self.sm = fabric.opensm_start("sm")
        fabric.opensm_wait_up(UP_S)

    def die_at(self, point, count, argv, node="hyp1"):
        """True: the program was killed there; False: it did not come there so often."""
        env = {"SIMFABRIC_DIE_AT": f"{point}:{count}"}
        return self.fabric.run(*argv, node=node, env=env, check=False).returncode == -signal.SIGKILL

    def cli_dies_at(self, point, count, argv):
        env = {**os.environ, "SIMFABRIC_DIE_AT": f"{point}:{count}"}
        done = subprocess.run([self.fabric.program, "-f", self.fabric.path, *argv], env=env, timeout=30,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == -signal.SIGKILL

    def leave_a_dead_client(self):
        """So that the next one has somebody to reap."""
        child = self.fabric.start("ibping", "-S", "-o", "17", node="hyp3")
        wait_until("the client", lambda: any(c["pid"] == child.pid for c in self.fabric.json("clients")), 10)
        child.kill()
        child.wait()

    def delayed(self):
        self.fabric.cli("fault", "delay", "--us", self.delay_us, "--us-per-hop", self.delay_us // 6)

    def undelayed(self):
        self.fabric.cli("fault", "clear")

    def restart_sm(self):
        self.sm.kill()
        self.sm = self.fabric.opensm_start("sm")
        self.sm.wait_up(UP_S)

    def must_be_usable(self):
        """The lock is free, SMPs and SA requests are answered, and no chunk of the arena is lost."""
        text = self.fabric.run("smpquery", "-D", "nodedesc", "0,1,1", node="hyp1", seconds=20).stdout
        assert "leaf1" in text, text
        # A pulled cable is on the way until OpenSM has swept.
        wait_until("all pairs", lambda: self.fabric.check()["lost"] == 0, UP_S, self.sm.log_text)
        wait_until("SA's answer", self.sa_answers, UP_S, self.sm.log_text)
        wait_until("nothing on its way", self.is_at_rest, 10, lambda: self.fabric.cli("status"))

    def sa_answers(self):
        done = self.fabric.run("saquery", "LFTR", node="hyp2", seconds=20, check=False)
        return done.stdout.count("LFT Record dump") == 10

    def is_at_rest(self):
        """Only OpenSM's mailbox is left, and no message."""
        status = self.fabric.json("status")
        return status["mailboxes"] == 1 and status["message_chunks"] == 0 and status["events"] == 0


def small_query(lab, point, count):
    return lab.die_at(point, count, ["smpquery", "-D", "nodedesc", "0,1,1"])


def delayed_queries(lab, point, count):
    lab.delayed()
    try:
        return lab.die_at(point, count, ["ibnetdiscover", "-o", MANY])
    finally:
        lab.undelayed()


def long_answer(lab, point, count):
    return lab.die_at(point, count, ["saquery", "LFTR"])


def reaping(lab, point, count):
    lab.leave_a_dead_client()
    return lab.cli_dies_at(point, count, ["clients"])


def pulled_cable(lab, point, count):
    died = lab.cli_dies_at(point, count, ["link", "leaf2", "8", "down"])
    lab.fabric.link("leaf2", 8, "up")
    return died


def moved_vf(lab, point, count):
    died = lab.cli_dies_at(point, count, ["detach", "vm1"])
    slot = next(vm["slot"] for vm in lab.fabric.json("vm", "list"))
    owners = [row["slot"] for row in lab.fabric.slots() if row["vm"] == "vm1"]
    assert owners == ([slot] if slot else []), (slot, owners)
    if not slot:
        lab.fabric.attach("vm1", "hyp2_vf1")
    return died


def programmed_guids(lab, point, count):
    row = next(row for row in lab.fabric.slots() if row["slot"] == "hyp3_vf1")
    before = (row["node_guid"], row["port_guid"])
    died = lab.cli_dies_at(point, count, ["guids", "hyp3_vf1", "0x77", "0x78"])
    row = next(row for row in lab.fabric.slots() if row["slot"] == "hyp3_vf1")
    after = (row["node_guid"], row["port_guid"])
    assert after in (before, ("0x0000000000000077", "0x0000000000000078")), after
    lab.fabric.cli("guids", "hyp3_vf1", *before)
    return died


def subnet_manager(lab, point, count):
    """OpenSM itself, at its bring-up; another one takes its place."""
    lab.sm.kill()
    victim = lab.fabric.opensm_start("sm", env={"SIMFABRIC_DIE_AT": f"{point}:{count}"})
    try:
        wait_until("OpenSM dead or up", lambda: victim.child.poll() is not None or victim.up, UP_S)
        # Long tables are sent by the subnet manager only.
        if victim.child.poll() is None:
            lab.fabric.run("saquery", "-t", "200", "LFTR", node="hyp2", check=False)
        died = victim.child.poll() == -signal.SIGKILL
    finally:
        victim.kill()
    lab.sm = lab.fabric.opensm_start("sm")
    lab.sm.wait_up(UP_S)
    return died


def data_sender(lab, point, count):
    """A verbs program, while its peer lives on."""
    port = str(free_port())
    server = lab.fabric.start("ibv_rc_pingpong", "-p", port, node="hyp2")
    try:
        wait_until("the server listens", lambda: is_listening(int(port)), UP_S)
        return lab.die_at(point, count, ["ibv_rc_pingpong", "-p", port, "127.0.0.1"])
    finally:
        server.kill()
        server.wait()


WORKLOADS = (small_query, delayed_queries, long_answer, reaping, pulled_cable, moved_vf, programmed_guids, data_sender,
             subnet_manager)


def killed_at(lab, point):
    killed = 0
    for workload in WORKLOADS:
        for count in COUNTS:
            if not workload(lab, point, count):
                break
            killed += 1
            lab.must_be_usable()
    return killed


def fault_point(lab, point):
    """Every workload is killed at @point where it comes by; one at least must."""
    for lab.delay_us in DELAYS_US:
        if killed_at(lab, point):
            return
    raise AssertionError("no workload comes to this point")


def random_kills(lab, points):
    """Programs of all kinds live a few milliseconds, four at a time, every other one up to a fault point at most; OpenSM
    lives on."""
    chance = random.Random(SEED)
    programs = (["ibnetdiscover"], ["saquery", "LFTR"], ["perfquery", "2", "255"], ["smpquery", "-D", "portinfo", "0,1"],
                ["ibping", "-S"], ["saquery", "NR"])
    lab.fabric.cli("fault", "delay", "--us", "20", "--chance", "0.2")
    recoveries = lab.fabric.json("status")["recoveries"]
    killed = 0
    while killed < RANDOM_KILLS:
        children = []
        for i in range(4):
            env = {"SIMFABRIC_DIE_AT": f"{chance.choice(points)}:{chance.randint(1, 30)}"} if i % 2 else {}
            children.append(lab.fabric.start(*chance.choice(programs), node=f"hyp{chance.randint(1, 4)}", env=env))
        time.sleep(chance.uniform(0, LONGEST_LIFE_S))
        for child in children:
            child.kill()
            killed += child.wait() == -signal.SIGKILL
    lab.fabric.cli("fault", "clear")
    lab.must_be_usable()
    recoveries = lab.fabric.json("status")["recoveries"] - recoveries
    print(f"# {killed} killed, {recoveries} of them inside the lock")
    assert recoveries, "nobody died inside the lock"


def subnet_is_what_it_was(lab):
    lab.sm.heavy_sweep()
    check = lab.fabric.check()
    assert check["lost"] == 0 and check["ports_without_lid"] == 0, check


def main():
    tap = Tap()
    with Fabric() as fabric:
        points = re.findall(r"^(\S+)", fabric.cli("fault-points"), re.MULTILINE)
        lab = Lab(fabric)
        for point in points:
            tap.run(f"client_killed_at_{point}_leaves_the_file_usable", fault_point, lab, point)
        tap.run(f"{RANDOM_KILLS}_clients_killed_at_random_leave_the_file_usable", random_kills, lab, points)
        tap.run("afterwards_the_subnet_is_what_it_was", subnet_is_what_it_was, lab)
    tap.exit()


main()
