# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What was lost under a program in a lossy lab, and whether that is as much as was to be lost."""
from faults.lossy_lab import PACKETS, SHARE
from faults.lossy_wire import DOWN, UP
from lab.tap import FULL, print_rows

ENOUGH = 150  # messages: of so many some are lost
STRAY = 3  # times more or less than a share are lost of many by no chance


class Result:
    """Of one program's run."""

    def __init__(self, program, wanted=0):
        """@wanted: so many migrations are to be done."""
        self.program, self.wanted, self.done, self.again, self.findings = program, wanted, 0, 0, {}
        self.levels, self.bodies, self.packets, self.notices, self.longest_s = {}, {}, {}, {}, 0.0

    def take(self, lab):
        self.levels, self.bodies = lab.wires.counts()
        self.packets = {kind: row for kind, row in lab.fabric.counters()["packets"].items() if row["seen"]}
        self.notices = lab.notices()

    def rows(self):
        yield from ((self.program, f"{level}, {way}", frames, lost) for (level, way), (frames, lost) in sorted(self.levels.items()))
        yield from ((self.program, f"packets: {kind}", row["seen"], row["lost"]) for kind, row in self.packets.items())
        yield from ((self.program, f"notices: {kind}", "", lost) for kind, lost in self.notices.items())

    def say(self):
        print(f"# | {self.program}: {self.done} migrations, the longest {self.longest_s:.1f} s, {self.again} asked for again; found: "
              f"{self.findings or 'nothing'}", flush=True)
        self.say_lost()

    def say_lost(self):
        print(f"# | messages lost: {', '.join(f'{lost} {body}' for body, (_, lost) in sorted(self.bodies.items()))}", flush=True)
        print_rows([("under", "way", "seen", "lost"), *(tuple(map(str, row)) for row in self.rows())])


def share_is(seen, lost, share):
    return share / STRAY < lost / seen < share * STRAY


def messages_were_lost(result):
    """Between all who speak to each other, both ways where there were enough, and as many as it was to be in all."""
    for what, (frames, lost) in result.levels.items():
        assert lost or frames < ENOUGH, f"{result.program}: {what}: none of {frames}"
    for level in {level for level, _ in result.levels}:
        assert any(result.levels[level, way][1] for way in (UP, DOWN)), f"{result.program}: {level}: none"
    frames, lost = map(sum, zip(*result.levels.values()))
    assert share_is(frames, lost, SHARE), f"{result.program}: {lost} of {frames}"
    # The first of each kind was lost in any case, so in a long run others were.
    assert all(lost > (1 if FULL else 0) for lost in result.notices.values()), result.notices


def packets_were_lost(result):
    for kind in ("request", "response", "ack"):
        row = result.packets[kind]
        assert row["seen"] > 10 * ENOUGH and share_is(row["seen"], row["lost"], PACKETS), f"{result.program}: {kind}: {row}"
