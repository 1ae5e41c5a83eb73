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
        self.pids, self.calls = pids, SystemCalls(pids)
        self.look()

    def look(self):
        """(mean system calls, the most of one agent, mean CPU in us) since the last look"""
        calls, cpu = self.calls.read(), cpu_us(self.pids)
        before = getattr(self, "last", (calls, cpu))
        self.last = (calls, cpu)
        spent = [now - then for now, then in zip(calls, before[0])]
        return statistics.mean(spent), max(spent), statistics.mean(now - then for now, then in zip(cpu, before[1]))


class Mode:
    """What a way of telling costs, event by event."""

    def __init__(self, lab, events, deliveries, meter=None):
        self.lab, self.events, self.deliveries, self.meter = lab, events, deliveries, meter
        self.rows = []

    def migrate(self, migration, lid=EVERYBODY):
        self.lab.epoch += 1
        for sequence, (step, number) in enumerate(STEPS.items(), 1):
            if self.meter:
                self.meter.look()
            row = self.lab.event(number, migration, sequence, lid)
            if self.meter:
                row["agent_syscalls"], row["agent_syscalls_most"], row["agent_cpu_us"] = self.meter.look()
            row["step"] = step
            self.check(row)
            self.rows.append(row)

    def check(self, row):
        assert row["outcome"] == "DONE" and row["missing"] == 0 and row["refusals"] == 0, row
        assert row["events"] == row["answers"] == self.events, row
        assert row["answered"] == self.deliveries, row
        assert self.lab.delivered() == (self.deliveries, 1, 1), row

    def of(self, name, step=None):
        return [row[name] for row in self.rows if step in (None, row["step"])]

    def acked_ms(self):
        return {f"p{percent}": round(percentile(self.of("us"), percent) / 1000, 1) for percent in (50, 99)}

    def sm_cpu_us(self):
        return round(statistics.mean(self.of("cpu_us")))

    def by_step(self, name):
        return {step: round(statistics.mean(self.of(name, step)), 1) for step in STEPS}


def run(mode, migrations, lid=EVERYBODY, first=1):
    """One migration before the first that counts: what is made once is made then."""
    mode.migrate(first, lid)
    mode.rows = []
    for migration in range(migrations):
        mode.migrate(first + 1 + migration, lid)
    return mode


class Bench:
    """One size."""

    def __init__(self, build, servers, vms, tls=True, say=lambda text: None):
        self.servers, self.vms, self.some = servers, vms, max(1, servers // 8)
        self.lab, self.say, self.migration = SignallingLab(build, servers, vms, self.some, HEARTBEAT_MS, tls), say, 1

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
        self.lab.sm.ask(f"up {self.servers}")
        self.say(f"{self.servers} agents are up")
        self.lab.ends_start()
        self.say(f"{self.servers * self.vms} VMs' ends are up")

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def measured(self, mode, migrations, lid=EVERYBODY):
        first, self.migration = self.migration, self.migration + migrations + 1
        return run(mode, migrations, lid, first)

    def relay(self, migrations):
        return self.measured(Mode(self.lab, self.servers, self.servers * self.vms, Meter(self.lab.pids())), migrations)

    def relay_some(self, migrations):
        return self.measured(Mode(self.lab, self.some, self.some * self.vms), migrations, SOME)

    def _back_ms(self, full, resumed):
        back = self.lab.sm.ask(f"up {self.servers}")
        assert not self.lab.tls or (back["full"], back["resumed"]) == (full, resumed), back
        return back["us"] / 1000

    def sm_restart(self, mode):
        """How long until all agents were back, from when it listened: it knows no session of before."""
        self.lab.sm_stop()
        self.lab.sm_start(mode)
        return self._back_ms(self.servers, 0)

    def links_cut(self):
        """How long until all agents were back."""
        assert self.lab.sm.ask("drop")["cut"] == self.servers
        return self._back_ms(0, self.servers)

    def flat(self, migrations):
        self.sm_restart("flat")
        return self.measured(Mode(self.lab, self.servers * self.vms, self.servers * self.vms), migrations)

    def flat_connections(self, migrations):
        """Without agents: each VM has a link to the SM's end."""
        self.lab.ends_stop()
        assert not any(self.lab.agents_stop())
        self.lab.sm_stop()
        self.lab.address = self.lab.address_make("direct")
        self.lab.sm_start("flat")
        self.lab.ends_start(self.lab.address)
        return self.measured(Mode(self.lab, self.servers * self.vms, self.servers * self.vms), migrations)

    def agent_pss_kib(self):
        return statistics.mean(pss_kib(self.lab.pids()))
