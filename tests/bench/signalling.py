# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What one event costs: messages, system calls, time and memory, told to each server once, and to each VM apart."""
import math
import statistics
import sys

from bench.signalling_lab import EVERYBODY, SOME, SignallingLab
from bench.syscalls import SystemCalls

STEPS = {"PREPARE": 1, "STOP": 2, "SETTLE": 3, "RECONNECT": 7, "RESUME": 8}  # what peers get of a migration that goes well
HEARTBEAT_MS = 600000  # so that an event's cost is an event's; what a beat costs is another question


def percentile(values, percent):
    values = sorted(values)
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def cpu_us(pids):
    times = []
    for pid in pids:
        with open(f"/proc/{pid}/schedstat") as file:
            times.append(int(file.read().split()[0]) / 1000)
    return times


def pss_kib(pids):
    sizes = []
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            sizes.append(next(int(line.split()[1]) for line in file if line.startswith("Pss:")))
    return sizes


class Meter:
    """The agents' system calls and CPU between two looks."""

    def __init__(self, pids):
        self.pids, self.uncounted = pids, None
        try:
            self.calls = SystemCalls(pids)
        except OSError as error:
            self.calls, self.uncounted = None, str(error)
        self.look()

    def look(self):
        """(mean system calls, the most of one agent, mean CPU in us) since the last look; None: not counted here"""
        now = (self.calls.read() if self.calls else None, cpu_us(self.pids))
        calls, cpu = getattr(self, "last", now)
        self.last = now
        cpu_mean = statistics.mean(then - before for then, before in zip(now[1], cpu))
        if not self.calls:
            return None, None, cpu_mean
        spent = [then - before for then, before in zip(now[0], calls)]
        return statistics.mean(spent), max(spent), cpu_mean


class Mode:
    """What a way of telling costs, event by event."""

    def __init__(self, lab, way, events, deliveries, lid=EVERYBODY, meter=None):
        self.lab, self.way, self.events, self.deliveries, self.lid, self.meter = lab, way, events, deliveries, lid, meter
        self.rows, self.rounds = [], []

    def _migrate(self, migration):
        rows = []
        self.lab.epoch += 1
        for sequence, (step, number) in enumerate(STEPS.items(), 1):
            if self.meter:
                self.meter.look()
            row = self.way.event(number, migration, self.lab.epoch, sequence, self.lid)
            if self.meter:
                row["agent_syscalls"], row["agent_syscalls_most"], row["agent_cpu_us"] = self.meter.look()
            row["step"] = step
            self._check(row)
            rows.append(row)
        return rows

    def round(self, first, migrations):
        """One migration before the first that counts: what is made once is made then."""
        self._migrate(first)
        rows = [row for migration in range(migrations) for row in self._migrate(first + 1 + migration)]
        self.rows += rows
        self.rounds.append(rows)

    def _check(self, row):
        assert row["outcome"] == "DONE" and row["missing"] == 0 and row["refusals"] == 0, row
        assert row["events"] == row["answers"] == self.events, row
        assert row["answered"] == self.deliveries, row
        assert self.way.delivered() == (self.deliveries, 1, 1), row

    def of(self, name, step=None):
        return [row[name] for row in self.rows if step in (None, row["step"])]

    def acked_ms(self):
        return {"events": len(self.rows),
                **{f"p{percent}": round(percentile(self.of("us"), percent) / 1000, 1) for percent in (50, 99)}}

    def sm_cpu_us(self):
        return round(statistics.mean(self.of("cpu_us")))

    def times_the_cpu_of(self, other):
        """Round by round, so that what else the machine does meets both."""
        return round(statistics.median(statistics.mean(row["cpu_us"] for row in mine) / statistics.mean(row["cpu_us"] for row in its)
                                       for mine, its in zip(self.rounds, other.rounds)), 1)

    def by_step(self, name):
        return {step: round(statistics.mean(self.of(name, step)), 1) for step in STEPS}

    def most_by_step(self, name):
        return {step: max(self.of(name, step)) for step in STEPS}


class Bench:
    """One size."""

    def __init__(self, build, servers, vms, tls=True, say=lambda text: None):
        self.servers, self.vms, self.some = servers, vms, max(1, servers // 8)
        self.lab, self.say, self.migration = SignallingLab(build, servers, vms, self.some, HEARTBEAT_MS, tls), say, 1
        self.full_ms, self.resumed_ms = [], []

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.lab.__exit__(*sys.exc_info())
            raise
        return self

    def _start(self):
        self.lab.certificates_make()
        self.lab.sm_start("relay")
        self.lab.agents_start()
        self.lab.behind.sm.ask(f"up {self.servers}")
        self.say(f"{self.servers} agents are up")
        self.lab.ends_start()
        self.say(f"{self.servers * self.vms} VMs' ends are up")

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def _round(self, mode, migrations):
        first, self.migration = self.migration, self.migration + migrations + 1
        mode.round(first, migrations)

    def relay(self):
        return Mode(self.lab, self.lab.behind, self.servers, self.servers * self.vms, meter=Meter(self.lab.pids()))

    def relay_some(self, migrations):
        mode = Mode(self.lab, self.lab.behind, self.some, self.some * self.vms, lid=SOME)
        self._round(mode, migrations)
        return mode

    def relay_alone(self, migrations):
        mode = self.relay()
        self._round(mode, migrations)
        return mode

    def _back_ms(self, full, resumed):
        back = self.lab.behind.sm.ask(f"up {self.servers}")
        assert not self.lab.tls or (back["full"], back["resumed"]) == (full, resumed), back
        return back["us"] / 1000

    def _sm_restart(self, mode):
        """How long until all agents were back, from when it listened: it knows no session of before."""
        self.lab.sm_stop()
        self.lab.sm_start(mode)
        self.full_ms.append(self._back_ms(self.servers, 0))

    def _links_cut(self):
        """How long until all agents were back."""
        assert self.lab.behind.sm.ask("drop")["cut"] == self.servers
        self.resumed_ms.append(self._back_ms(0, self.servers))

    def each_way(self, rounds, migrations):
        """(told to each server, to each VM through its server's link, to each VM over a link of its own), in turns"""
        relay = self.relay()
        all_vms = self.servers * self.vms
        flat = Mode(self.lab, self.lab.behind, all_vms, all_vms)
        direct = Mode(self.lab, self.lab.direct, all_vms, all_vms)
        self.lab.direct_start()
        self.say(f"{all_vms} VMs' ends with links of their own are up")
        for number in range(rounds):
            self._round(relay, migrations)
            self._round(direct, max(1, migrations // 2))
            self._sm_restart("flat")
            self._round(flat, max(1, migrations // 2))
            self._sm_restart("relay")
            self._links_cut()
            self.say(f"round {number + 1} of {rounds}: {relay.sm_cpu_us()} us told to each server, {flat.sm_cpu_us()} to each VM, "
                     f"{direct.sm_cpu_us()} over a link of its own")
        return relay, flat, direct

    def agent_pss_kib(self):
        return pss_kib(self.lab.pids())
