#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: interest_races_test.py [WHO/PLACE ...]

Connections between a VM that moves and a server that the move does not concern, made at each point between PREPARE and RESUME:
somebody stops itself there (TETHER_STOP_AT), and goes on when that server's end has asked. One connection is of programs that
have their queue pairs already, one of programs that begin then, where the VM has a device. Both work afterwards, and through the next move, of which that
server is told; nothing is lost, on them or on the load.

The points are those that an undisturbed migration passes (TETHER_PASSED). A few of them, all with TETHER_FULL=1; those named
otherwise ("source/relay-answer:STOP")."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import both_are_exact, everybody_is_there, the_end_of  # noqa: E402
from faults.fault_points import passed  # noqa: E402
from faults.held_wire import HeldWire  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import DESTINATION, PEER, SOURCE, KillLab, Load, has_stopped, start_migration  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.ports import free_port, is_listening  # noqa: E402
from lab.system import START_S  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402
from lab.workload import FINDINGS, last_json  # noqa: E402

OTHER = "hyp4"  # nobody there talks to the VM
END_S = 90
WORK = ["-q", "2", "--depth", "8"]
# Whoever is stopped is not to be given up, however long the others take on a busy machine.
MS = 60000
DEADLINES = {**dict.fromkeys(("prepare_ms", "stop_ms", "settle_ms", "release_ms", "detach_ms", "move_ms", "guids_ms", "plan_ms",
                              "apply_ms", "attach_ms", "reconnect_ms", "resume_ms", "heartbeat_ms"), MS),
             "sm_lease_ms": 10000, "lease_ms": 4 * MS, "overall_ms": 5 * MS}
AGENTS = {"source": SOURCE, "destination": DESTINATION, "peer": PEER}
PROCESSES = ("VM's process", "peer's process")
WHO = ("tether-smd", "OpenSM", *AGENTS, *PROCESSES)
# Before PREPARE, behind RESUME, or asked for at any time.
NOT_BETWEEN = {"smd-intent:written", "relay:MOVED", "relay-answer:MOVED",
               *(f"{place}:{word}" for place in ("smd-record", "smd-recorded", "smd-ask", "smd-asked")
                                       for word in ("locating",)),
               *(f"{place}:{op}" for place in ("sm-op", "sm-answer") for op in ("status", "locate", "locate_all", "verify", "report"))}
QUICK = ("tether-smd/smd-ask:stopping", "source/relay-answer:PREPARE", "VM's process/shim-end:SETTLE", "OpenSM/sm-answer:apply",
         "destination/order:attach", "peer/relay:RESUME")
# The VM's device is about to go, is away, or about to come: no program begins there.
WITHOUT_DEVICE = {"detaching", "moving", "leasing", "naming", "vacating", "applying", "unleasing", "attaching",
                  "detach", "move", "set-guids", "attach", "lease", "apply", "release_lease"}
# More than one level between the other server's program and tether-smd.
KINDS = {", with agents in the VMs": {"guests": True},
         ", with agents between, over TLS": {"tls": True, "tree": {"hyp4": "rack1", "hyp2": "rack1", "hyp1": "rack2"}}}
LOUD = {"TETHER_LOG": "stderr", "TETHER_LOG_LEVEL": "debug"}


def log_of(process):
    with open(process.log, errors="replace") as log:
        return log.read()


def has_asked(process):
    return "interest in lid" in log_of(process)


def is_held(process):
    return "is held by a migration" in log_of(process)


def can_begin(who, place):
    """A program in the VM, when @who has stopped at @place: not where nobody would hear its HELLO."""
    where, word = place.split(":")[:2]
    return where != "sm-apply" and word not in WITHOUT_DEVICE and who not in ("source", "destination")


class Connection:
    """rc-verify between vm1 and vm3."""

    def __init__(self, lab, name, server_vm, client_vm, hold=False):
        program, port = lab.build.program("rc-verify"), free_port()
        self.server = lab.run_in_vm(server_vm, f"{name}-{server_vm}", [program, "-p", str(port)], env=LOUD)
        if hold:
            wait_until("rc-verify listens", lambda: is_listening(port), START_S, [self.server.log], [self.server])
        self.wire = HeldWire(port) if hold else None
        self.client = lab.run_in_vm(client_vm, f"{name}-{client_vm}", [program, "-p", str(self.wire.port if hold else port),
                                                                      *WORK, "localhost"], env=LOUD)
        if hold:
            wait_until("both have their queue pairs", self.wire.both_are_about_to.is_set, START_S, self.logs(), self.ends())

    def ends(self):
        return [self.server, self.client]

    def logs(self):
        return [end.log for end in self.ends()]

    def works(self):
        wait_until("both ends have sent something", lambda: all(" done, " in log_of(end) for end in self.ends()), END_S,
                   self.logs(), self.ends())

    def ends_exactly(self):
        self.client.signal(signal.SIGTERM)
        for end in (self.client, self.server):
            end.wait(END_S)
            verdict = last_json(end.output())
            assert verdict.get("ok") and not any(verdict[name] for name in FINDINGS), f"{end.name}: {verdict}"


class RaceLab(KillLab):
    """In which anybody is started again with a place to stop at."""

    def __init__(self, **named):
        super().__init__(settings=DEADLINES, vms={"vm1": "hyp1_vf1", "vm2": "hyp2_vf1", "vm3": "hyp4_vf1"}, **named)
        self.armed[OTHER] = {"TETHER_PASSED": self.path("told")}
        self.environments = {}

    def told(self):
        """The steps that the other server has heard of: {relay:STEP: how often}."""
        return passed(self.path("told"))

    def prepared(self):
        """How often the other server was asked to."""
        return self.told().get("relay:PREPARE", 0)

    def arm(self, who, env):
        """Whom a process is of is started later."""
        self.environments = {who: env}
        if who == "tether-smd":
            self.restart_smd(env)
        elif who == "OpenSM":
            self.restart_opensm(env)
        elif who in AGENTS:
            self.restart_agent(AGENTS[who], env)
        self.wait_connected(self.hosts)

    def restart_agent(self, host, env):
        """Returns when tether-smd has heard of it."""
        def times_here():
            with open(self.path("smd.log"), errors="replace") as log:
                return log.read().count(f"host {host} is here")

        before = times_here()
        self.agents[host].kill()
        self.armed[host] = env
        self.start_agent(host)
        wait_until(f"{host} is here again", lambda: times_here() > before, START_S, self.logs())

    def load(self):
        return Load(self, client_env=self.environments.get("VM's process"), server_env=self.environments.get("peer's process"))

    def process(self, who, load):
        if who in PROCESSES:
            return load.client if who == "VM's process" else load.server
        if who in AGENTS:
            return self.agents[AGENTS[who]]
        return self.smd if who == "tether-smd" else self.fabric.opensms[-1].child


def made_at(lab, who, place):
    lab.arm(who, {"TETHER_STOP_AT": place})
    load = lab.load()
    about_to = Connection(lab, "about-to", "vm3", "vm1", hold=True)
    told, prepared = lab.told(), lab.prepared()
    command = start_migration(lab, "vm1", DESTINATION)
    stopped = lab.process(who, load)
    wait_until(f"{who} has stopped at {place}", lambda: has_stopped(stopped), START_S, lab.logs(), [stopped])
    assert lab.told() == told, "the other server is concerned"
    about_to.wire.open()
    connections = [about_to]
    if can_begin(who, place):
        connections.append(Connection(lab, "begun", "vm1", "vm3"))
        wait_until("both are welcome", lambda: all("welcomed by" in log_of(end) for end in connections[-1].ends()), START_S,
                   connections[-1].logs(), connections[-1].ends())
    # Whether tether-smd holds it can be said only if that is not who has stopped.
    asked = has_asked if who == "tether-smd" else is_held
    wait_until("the other server's program has asked", lambda: asked(about_to.server), START_S, about_to.logs(), about_to.ends())
    os.kill(stopped.pid, signal.SIGCONT)
    migration = the_end_of(lab)
    assert migration["outcome"] == "done", migration
    command.wait(END_S)
    for connection in connections:
        connection.works()
    assert lab.prepared() == prepared, "the other server was asked to prepare"
    lab.migrate("vm1", SOURCE)
    assert lab.prepared() == prepared + 1, lab.told()
    for connection in connections:
        connection.ends_exactly()
    both_are_exact(load)
    everybody_is_there(lab)
    check_sa_truth(lab)


def points_passed(lab):
    """[(who, place)] of an undisturbed one."""
    points = []
    for who in WHO:
        note = lab.path(f"passed-{WHO.index(who)}")
        lab.arm(who, {"TETHER_PASSED": note})
        load = lab.load()
        lab.migrate("vm1", DESTINATION)
        points += [(who, place) for place in passed(note) if place not in NOT_BETWEEN and not place.startswith("vm-")]
        lab.migrate("vm1", SOURCE)
        both_are_exact(load)
    return points


def named(wishes):
    return [tuple(wish.split("/")) for wish in wishes]


def walk_on(tap, where, points, system):
    """To the first that fails: its lab is not for others. What is left then."""
    with RaceLab(**system) as lab:
        lab.start()
        for number, (who, place) in enumerate(points, 1):
            if not tap.run(f"{who} at {place}{where}", made_at, lab, who, place):
                return points[number:]
    return []


def all_points_passed():
    with RaceLab() as lab:
        lab.start()
        points = points_passed(lab)
    print_rows([("who", "place"), *points])
    return points


def walk(tap, where, points, **system):
    while points:
        points = walk_on(tap, where, points, system)


def main():
    tap = Tap()
    if sys.argv[1:]:
        walk(tap, "", named(sys.argv[1:]))
    else:
        walk(tap, "", all_points_passed() if FULL else named(QUICK))
        for where, system in KINDS.items() if FULL else ():
            walk(tap, where, named(QUICK), **system)
    tap.exit()


main()
