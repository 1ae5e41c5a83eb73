# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Programs that have to live through moves of their VM while they run."""
import time

from lab.deadline import tails
from lab.migration import migrate
from lab.system import CommandFailed
from lab.tap import FULL

MIGRATIONS = 5 if FULL else 3
LOAD_S = 8 if FULL else 6
CONNECT_S = 10
START_S = 1.5  # a move in the moment of connecting is another matter: preload/DESIGN.md, "Connections in the making"
SIZINGS = 4
MEASURED_S = 1
LONG_S = 4
GROWTH = 8
POLL_S = 0.02


class EndedEarly(AssertionError):
    """A program did not run through all the migrations, so that they show nothing."""


class Moving:
    """VM 1 goes to and fro; every program sees moves both ways."""

    def __init__(self, lab):
        self.lab = lab
        self.at, self.other = "hyp1", "hyp3"

    def move(self):
        migrate(self.lab, "vm1", self.at, self.other)
        self.at, self.other = self.other, self.at

    def move_connected(self, pairs):
        """A connection of which only one end stands is refused by name. While it is being made: ask again."""
        end = time.monotonic() + CONNECT_S
        while True:
            try:
                return self.move()
            except CommandFailed as error:
                if "-without-shim" not in str(error):
                    raise
                if time.monotonic() > end:
                    raise AssertionError(f"after {CONNECT_S} s: {error}{tails(self.lab.logs())}{''.join(pair.words() for pair in pairs)}") from error
            expect_running(pairs)
            time.sleep(0.05)


class Turns:
    """VM 1 and VM 2 in turn go to the next hypervisor that is free of the other."""

    def __init__(self, lab):
        self.lab = lab
        self.turn = 0
        self.look()

    def look(self):
        """Where the VMs are; again after a migration of which that cannot be told."""
        self.at = {row["name"]: row["host"] for row in self.lab.ask("/v1/vms")["vms"]}

    def move(self):
        """The migration; one that is not done leaves the turn where it is."""
        vm, other = ("vm1", "vm2") if self.turn % 2 == 0 else ("vm2", "vm1")
        hosts = self.lab.hosts
        place = hosts.index(self.at[vm])
        destination = next(host for host in hosts[place + 1:] + hosts[:place] if host != self.at[other])
        moved = migrate(self.lab, vm, self.at[vm], destination)
        self.at[vm] = destination
        self.turn += 1
        return moved


def expect_running(pairs):
    for pair in pairs:
        if not pair.is_running():
            raise EndedEarly(f"{pair.name} ended before the last migration was over")


def migrate_under(moving, pairs):
    for number in range(MIGRATIONS):
        time.sleep(0.2 if number else START_S)
        moving.move_connected(pairs)
        expect_running(pairs)


def survive(moving, start):
    """@start(attempt) starts pairs that ought to run long enough; twice as long at each attempt, should the machine have
    become slower or faster since the length was chosen."""
    for attempt in range(SIZINGS):
        pairs = start(attempt)
        try:
            migrate_under(moving, pairs)
            return expect_good_end(pairs)
        except EndedEarly as early:
            print(f"# {early}: once more, twice as long")
            expect_good_end(pairs)
    raise EndedEarly(f"{pairs[0].name} always ended before the last migration was over")


def seconds_of(pairs):
    """How long each of @pairs runs from now on."""
    began, took = time.monotonic(), [None] * len(pairs)
    while None in took:
        time.sleep(POLL_S)
        for i, pair in enumerate(pairs):
            if took[i] is None and not pair.is_running():
                took[i] = time.monotonic() - began
    expect_good_end(pairs)
    return took


def counts_for_load(start, least):
    """How often each program that @start(counts) starts is to be told to run for about LOAD_S. They are tried side by side
    and undisturbed. Most of the first try goes into starting, unless it takes long."""
    beginnings = took = seconds_of(start(least))
    counts = least
    while True:
        short = [seconds < min(beginning + MEASURED_S, LONG_S) for beginning, seconds in zip(beginnings, took)]
        if not any(short):
            break
        counts = [GROWTH * count if is_short else count for count, is_short in zip(counts, short)]
        took = seconds_of(start(counts))
    # Should only the first have taken so long to start, the rest is no measure.
    worked = [max(seconds - beginning, MEASURED_S) if count > first else seconds
              for first, count, beginning, seconds in zip(least, counts, beginnings, took)]
    return [max(first, int(count * LOAD_S / seconds)) for first, count, seconds in zip(least, counts, worked)]


def survive_counted(moving, start, least):
    """As survive(), for programs that can only be told how often: @start(counts) starts one of each. None is told less than
    in @least."""
    counts = counts_for_load(start, least)
    survive(moving, lambda attempt: start([count << attempt for count in counts]))


def expect_good_end(pairs):
    for pair in pairs:
        statuses = pair.wait((10 * LOAD_S << SIZINGS) + 60)
        assert statuses == (0, 0), f"{pair.name}: exit statuses {statuses}\n{pair.words()}"
