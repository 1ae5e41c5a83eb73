# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unix sockets between programs that speak tether.proto, over which frames get lost: each is read whole, and one in so many goes
no further, whichever way it goes and whatever it says. What the two ends make of that is theirs.

    wires = LossyWires(seed, 0.1)
    wires.lay("host and process", "/tmp/lossy.sock", "/tmp/agent.sock")

Which frames these are a seed draws, for each wire and way apart."""
import collections
import os
import random
import selectors
import socket
import struct
import threading

from faults.wire import SCHEMA, take_varint

HEADER = 4
BODIES = {number: name for name, (number, _, _) in SCHEMA.messages["Frame"].items()}
UP, DOWN = "up", "down"


def body_of(packed):
    """Its name: what comes first in a frame, since fields come by their numbers."""
    key, _ = take_varint(packed, 0)
    return BODIES[key >> 3]


class Wire:
    """From one socket's path to another's."""

    def __init__(self, wires, level, path, to_path):
        self.wires, self.level, self.path, self.to_path = wires, level, path, to_path
        self.chances = {way: random.Random(f"{wires.seed} {os.path.basename(path)} {way}") for way in (UP, DOWN)}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)

    def accept(self):
        """Both ends of a new link, or none where nobody is there."""
        one, _ = self.listener.accept()
        other = socket.socket(socket.AF_UNIX)
        try:
            other.connect(self.to_path)
        except OSError:
            one.close()
            other.close()
            return []
        below, above = End(self, one, UP), End(self, other, DOWN)
        below.other, above.other = above, below
        return [below, above]

    def is_lost(self, way, packed):
        lost = self.chances[way].random() < self.wires.share
        self.wires.note(self.level, way, body_of(packed), lost)
        return lost


class End:
    """Of a link; what comes from here goes @way."""

    def __init__(self, wire, sock, way):
        self.wire, self.sock, self.way, self.other = wire, sock, way, None
        self.heard, self.to_say, self.is_over = b"", b"", False
        sock.setblocking(False)

    def hear(self):
        """Whole frames go on, but for the lost; at its end it is over with it."""
        try:
            more = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        self.is_over = not more
        self.heard += more
        while len(self.heard) >= HEADER:
            end = HEADER + struct.unpack(">I", self.heard[:HEADER])[0]
            if len(self.heard) < end:
                break
            if not self.wire.is_lost(self.way, self.heard[HEADER:end]):
                self.other.to_say += self.heard[:end]
            self.heard = self.heard[end:]

    def say(self):
        try:
            self.to_say = self.to_say[self.sock.send(self.to_say):]
        except BlockingIOError:
            pass
        except OSError:
            self.to_say, self.is_over = b"", True


class LossyWires:
    """All wires of a system, in a thread of their own."""

    def __init__(self, seed, share):
        self.seed, self.share = seed, share
        self.seen, self.lost = collections.Counter(), collections.Counter()  # by (level, way, body)
        self.lock = threading.Lock()
        self.fresh = []
        self.waking, self.woken = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.woken, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def lay(self, level, path, to_path):
        with self.lock:
            self.fresh.append(Wire(self, level, path, to_path))
        self.waking.send(b"x")

    def close(self):
        self.waking.close()
        self.thread.join()

    def note(self, level, way, body, lost):
        with self.lock:
            self.seen[level, way, body] += 1
            self.lost[level, way, body] += lost

    def counts(self):
        """{(level, way): (frames, lost)}, and by body {body: (frames, lost)}; heartbeats among them."""
        with self.lock:
            levels, bodies = collections.Counter(), collections.Counter()
            for counter, what in ((self.seen, 0), (self.lost, 1)):
                for (level, way, body), count in counter.items():
                    levels[level, way, what] += count
                    bodies[body, what] += count
            return ({(level, way): (levels[level, way, 0], levels[level, way, 1]) for level, way, _ in levels},
                    {body: (bodies[body, 0], bodies[body, 1]) for body, _ in bodies})

    # ---- the thread ----

    def _run(self):
        while True:
            for key, events in self.selector.select():
                if key.fileobj is self.woken:
                    if not self.woken.recv(64):
                        return self._end()
                    self._take_fresh()
                elif isinstance(key.data, Wire):
                    for end in key.data.accept():
                        self.selector.register(end.sock, selectors.EVENT_READ, end)
                elif key.fileobj.fileno() >= 0:  # not closed in this round, by its other end
                    self._serve(key.data, events)

    def _take_fresh(self):
        with self.lock:
            fresh, self.fresh = self.fresh, []
        for wire in fresh:
            self.selector.register(wire.listener, selectors.EVENT_READ, wire)

    def _serve(self, end, events):
        pair = end, end.other
        if events & selectors.EVENT_READ:
            end.hear()
        for one in pair:
            one.say()
        if any(one.is_over for one in pair) and not any(one.to_say and not one.is_over for one in pair):
            for one in pair:
                self._watch(one, 0)
                one.sock.close()
            return
        for one in pair:
            self._watch(one, (0 if one.is_over else selectors.EVENT_READ) |
                        (selectors.EVENT_WRITE if one.to_say and not one.is_over else 0))

    def _watch(self, end, events):
        if end.sock not in self.selector.get_map():
            return
        if events:
            self.selector.modify(end.sock, events, end)
        else:
            self.selector.unregister(end.sock)

    def _end(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
