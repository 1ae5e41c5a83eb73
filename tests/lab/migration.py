# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""One migration as its steps took it, and as the programs felt it."""
import time


class Migrated:
    """A finished migration: tether's own answer, and when it ran by the wall clock."""

    def __init__(self, vm, source, destination, answer, began, ended):
        self.vm = vm
        self.source = source
        self.destination = destination
        self.answer = answer
        self.began = began
        self.ended = ended

    def blackout_ms(self, pauses):
        """The longest of a program's @pauses (rc-verify's list) that overlaps this migration; 0.0 if none does."""
        return max((pause["ms"] for pause in pauses
                    if pause["at"] < self.ended and pause["at"] + pause["ms"] / 1000 > self.began), default=0.0)

    def steps(self):
        """[(name, milliseconds)] in order."""
        return [(step["state"], (step["ended_us"] - step["started_us"]) / 1000)
                for step in self.answer["steps"] if "ended_us" in step]

    def count(self, name):
        return self.answer.get("counts", {}).get(name, 0)


def migrate(system, vm, source, destination, *arguments, **patience):
    began = time.time()
    answer = system.migrate(vm, destination, *arguments, **patience)
    return Migrated(vm, source, destination, answer, began, time.time())
