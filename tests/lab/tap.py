# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Lines that tests/run_tests counts."""
import os
import sys
import traceback

from lab.told_to_end import end_properly_when_told

FULL = bool(os.environ.get("TETHER_FULL"))


def print_rows(rows):
    """A table, with the mark by which tests/run_tests shows it."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("# | " + " | ".join(word.ljust(width) for word, width in zip(row, widths)) + " |", flush=True)


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0
        end_properly_when_told()

    def check(self, condition, what, why=""):
        self.count += 1
        self.failed += not condition
        print(f"{'ok' if condition else 'not ok'} {self.count} - {what}", flush=True)
        if not condition and why:
            print("\n".join("# " + line for line in str(why).splitlines()), flush=True)
        return bool(condition)

    def run(self, what, test, *arguments):
        """One check: @test raises when the promise is broken."""
        try:
            test(*arguments)
        except Exception as error:  # a test may fail in any way; all of them are shown
            where = "".join(traceback.format_tb(error.__traceback__)[-3:])
            return self.check(False, what, f"{type(error).__name__}: {error}\n{where}")
        return self.check(True, what)

    def exit(self):
        sys.exit(1 if self.failed or not self.count else 0)
