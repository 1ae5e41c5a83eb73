# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Of migrations of VMs that talk to each other: which had its turn first, and whether the other waited for its end, by tether-smd's
log, which has each state when it is entered and says who waits for whom."""
import re

HOLDS = ("stopping", "settling", "releasing", "detaching", "moving", "leasing", "naming", "vacating", "applying", "unleasing",
         "attaching", "rebuilding", "reconnecting", "resuming")
ENDS = ("done", "refused", "aborted", "failed-at-source", "lost")
ENTERED = re.compile(r"migration: (\d+)/\d+ (vm\d) from \S+ to \S+: ([a-z-]+) \(")
WAITS = re.compile(r"migration: (\d+)/\d+ waits for the end of (\d+) of")


class Told:
    """Of one migration, in numbers of lines."""

    def __init__(self):
        self.vm, self.state, self.states = "", "", []
        self.begun = self.held = self.ended = None
        self.waited = {}  # {whose end: line}

    def enter(self, line, vm, state):
        self.vm, self.state = vm, state
        self.states.append(state)
        self.begun = self.begun or line
        if state == "preparing":
            self.held = None  # it has given back what it had, and begins again
        if state in HOLDS:
            self.held = self.held or line
        if state in ENDS:
            self.ended = line

    def holds(self):
        """Gates are closed for it, or are just being opened again."""
        return self.held and not self.ended


class BothAtOnce(AssertionError):
    """Two migrations have held gates at the same time."""


def told_of(log, numbers):
    """{number: Told}. BothAtOnce if two of @numbers have ever held gates at the same time."""
    told = {number: Told() for number in numbers}
    with open(log, errors="replace") as lines:
        for at, line in enumerate(lines, 1):
            waits, entered = WAITS.search(line), ENTERED.search(line)
            if waits and int(waits[1]) in told:
                told[int(waits[1])].waited.setdefault(int(waits[2]), at)
            if entered and int(entered[1]) in told and entered[3] != "recovering":
                told[int(entered[1])].enter(at, entered[2], entered[3])
                holding = [number for number, each in told.items() if each.holds()]
                if len(holding) > 1:
                    raise BothAtOnce(f"both at once, {holding}: {line}")
    silent = [number for number, each in told.items() if not each.begun]
    assert not silent, f"{log} says nothing of {silent}"
    return told


def waited(log, numbers):
    """(number of the first, of the second) of two migrations, the second of which has waited for the first's end; None where they
    were not at it at the same time, or one has never had its turn."""
    told = told_of(log, numbers)
    first, second = sorted(numbers, key=lambda number: told[number].held or float("inf"))
    one, other = told[first], told[second]
    if not one.held or not other.held or other.begun > one.ended:
        return None
    at = other.waited.get(first)
    assert at and at < one.ended < other.held, f"{second} did not wait for the end of {first}: {other.waited}, {other.states}"
    assert second not in one.waited or one.waited[second] < at, f"each waits for the other: {first}, {second}"
    return first, second


def put_off(log, rows):
    """How many of an evacuation's migrations (@rows) began behind another's end, or were refused before it, since they share
    connections. AssertionError for one that had its turn and began while another had: the evacuation would have both wait."""
    told = told_of(log, {row["id"] for row in rows})
    count = 0
    for row in rows:
        it = told[row["id"]]
        beside = [number for number, each in told.items()
                  if each is not it and each.held and each.held < (it.held or it.ended) and each.ended > it.begun]
        reasons = {refusal["reason"] for refusal in row["refusals"]}
        assert not beside or (not it.held and row["outcome"] == "refused"), f"{row} is at it beside {beside}"
        behind = it.held and any(each.held and each.ended < it.begun for each in told.values() if each is not it)
        count += bool(behind or (beside and "busy" in reasons))
    return count
