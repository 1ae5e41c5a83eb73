# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A host with a valid certificate that says what it likes at tether-smd, and counts what is said to it."""
import collections
import contextlib
import select
import socket
import ssl
import threading

from faults import wire

VERSION = wire.SCHEMA.enums["Protocol"]["PROTOCOL_VERSION"]
BEAT_S = 0.05
PATIENCE_S = 30


class Liar:
    """@context: of TLS, with its certificate. What it says of itself stands in `hello`; lies may be changed at any time, and are
    said at the next HELLO: hello_again()."""

    def __init__(self, name, place, context, hello):
        self.name, self.place, self.context, self.hello = name, place, context, hello
        self.events = collections.Counter()  # (VM, step)
        self.answers = collections.Counter()  # to questions: the reason, or the outcome
        self.refused, self.hellos = [], 0
        self.link, self.request, self.lock = None, 0, threading.Lock()
        self.open = set()  # questions over this link that are not answered

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        link, self.link = self.link, None
        if link:
            self.reading.join(PATIENCE_S)

    def connect(self):
        """Returns when it has been welcomed."""
        link = self.context.wrap_socket(socket.create_connection(self.place, PATIENCE_S))
        self.open.clear()
        answered = threading.Event()
        refused = len(self.refused)
        wire.send(link, "hello", {"version": VERSION, "role": "ROLE_HOST", "name": self.name, **self.hello})
        self.link = link
        self.reading = threading.Thread(target=self.read, args=(link, answered), daemon=True)
        self.reading.start()
        if not answered.wait(PATIENCE_S) or len(self.refused) > refused:
            raise AssertionError(f"{self.name} was not welcomed: {self.refused[refused:]}")
        self.hellos += 1

    def hello_again(self):
        """Over another link. Where that is refused, as the one before has not been missed yet, it is tried again."""
        self.close()
        while True:
            try:
                return self.connect()
            except (AssertionError, OSError, ssl.SSLError):
                if self.refused and self.refused[-1] != "name-taken":
                    raise

    def say(self, body, message):
        """Not while somebody reads: TLS is one state for both directions."""
        link = self.link
        with self.lock, contextlib.suppress(OSError):
            if link:
                wire.send(link, body, message)

    def ask(self, address, vm, **more):
        self.request += 1
        self.open.add(self.request)
        self.say("interest", {"request": self.request, "address": address, "vm": vm, **more})

    def interest(self, lid, vm):
        self.ask({"lid": lid}, vm, remote_qpn=0x100)

    def announce(self, lid, vm):
        """A queue pair that is there, of a context that has moved."""
        self.ask({"lid": lid, "qpn": 0x100, "context": 1}, vm)

    def is_answered(self):
        return not self.open

    def read(self, link, answered):
        with contextlib.suppress(OSError):
            while self.link is link:
                if not link.pending() and not select.select([link], [], [], BEAT_S)[0]:
                    self.say("heartbeat", {"count": 1})
                    continue
                with self.lock:
                    body, message = wire.receive(link)
                self.take(body, message, answered)
        link.close()

    def take(self, body, message, answered):
        if body == "hello_answer":
            self.refused += [refusal["reason"] for refusal in message["refusals"]]
            answered.set()
        elif body == "event":
            self.events[message["vm"], message["step"]] += 1
            if message["step"] == "STEP_ABORT":
                key = {name: message[name] for name in ("migration", "epoch", "step", "sequence")}
                self.say("answer", {**key, "outcome": "OUTCOME_DONE"})
        elif body == "interest_answer":
            self.answers.update([refusal["reason"] for refusal in message["refusals"]] or [message["outcome"]])
            self.open.discard(message["request"])

    def told_of(self, *vms):
        """But for the news that it has moved, which say nothing that is not to be heard."""
        return sum(count for (vm, step), count in self.events.items() if vm in vms and step != "STEP_MOVED")
