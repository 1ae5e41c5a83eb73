# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Enemies of a whole system: who attacks tether-smd or an agent without end, and a hypervisor with a VM of its own, rightly a
peer of the VM that moves, whose agent lies.

Their attacks stand in tests/net/hostile_attacks.py."""
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "net"))
from hostile_lab import PATIENCE_S, VERSION, Enemy, answer_to, count_of, frame, to_something_else  # noqa: E402
from faults import wire  # noqa: E402
from faults.wire import SCHEMA  # noqa: E402
from lab.background import Background  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.metrics import Metrics  # noqa: E402

FEW = 5  # of each attack, at least
BEAT_S = 0.5
COUNTED_S = 60


class Target:
    """What attacks are made at: a daemon's counters, and links to it, as @connect makes them. @first, @others: how somebody who is
    welcome says HELLO: where, role, name; one alone, and any number of them."""

    def __init__(self, metrics, prefix, connect, first, others):
        self.metrics, self.prefix, self.connect_to = Metrics(f"unix:{metrics}"), prefix, connect
        self.first, self.others = first, others

    def counted(self, kind):
        values = self.metrics.values()
        return sum(values[f"{self.prefix}{one}_total"] for one in kind.split("+"))

    def about_to_say(self, number):
        """Nobody wants to know."""

    def connect(self, *where):
        return Enemy(self.connect_to(*where))

    def _welcome(self, where, role, name):
        """As soon as what it did before is over: its links are counted, and who was refused is not heard for a while."""
        def come():
            enemy = self.connect(*where)
            enemy.hello(role, name)
            try:
                return enemy.welcomed()
            except (OSError, AssertionError):
                enemy.link.close()
                return None

        return wait_until(f"{name} is welcome", come, PATIENCE_S)

    def enemy(self):
        return self._welcome(*self.first)

    def another_enemy(self):
        return self._welcome(*self.others)

    def process_of_vm1(self, name):
        where, role, _ = self.others
        return self._welcome(where, role, name)


class Siege(Background):
    """All of @attacks in turn, again and again, until it is over. `said`: {attack: how often it was refused}."""

    def __init__(self, target, attacks):
        super().__init__()
        self.target, self.attacks = target, attacks
        self.said, self.rounds = {}, 0

    def work(self):
        while not self.is_over():
            for attack in self.attacks:
                self._make(attack)
            self.rounds += 1

    def _say(self, attack, count, links):
        """False: a link has ended without a word."""
        try:
            attack.run(self.target, count, links)
        except ConnectionError:
            return False
        return True

    def _make(self, attack):
        """Its links stand until all that has to be refused is counted: silence takes its time."""
        count = count_of(attack, FEW)
        refused = count - attack.allowed
        before = self.target.counted(attack.kind)
        with contextlib.ExitStack() as links:
            heard = self._say(attack, count, links)

            def is_refused():
                if self.target.counted(attack.kind) >= before + refused:
                    return True
                # Said once more where it may not have been heard: a guest that was refused is not for a while.
                return (attack.most == 1 or not heard) and self._say(attack, count, links) and False

            wait_until(f"{attack.name}: {refused} are refused", is_refused, COUNTED_S)
        self.said[attack.name] = self.said.get(attack.name, 0) + refused


def of_wire(inventory, vms):
    """What a driver says, as HELLO says it. @vms: those that count."""
    def slot(row):
        numbers = {key: int(row[key], 16) for key in ("node_guid", "port_guid", "switch_guid")}
        return {"name": row["name"], "vm": row["vm"] or "", "switch_port": row["switch_port"], **numbers}

    return {"vms": [{"name": row["name"], "slot": row["slot"]} for row in inventory["vms"] if row["name"] in vms],
            "slots": [slot(row) for row in inventory["slots"]]}


class LyingPeer(Background):
    """The agent of @host, by hand over TLS. Its VM shares a partition with the VM at @lid, and says that it talks to that one.
    Before each right answer it lies, also of queue pairs at @third, another VM's LID; `events`: of whom it was asked."""

    def __init__(self, lab, host, vm, lid, third):
        super().__init__()
        self.host, self.vm, self.lid, self.third = host, vm, lid, third
        env = dict(lab.environment(), TETHER_HOST=host)
        said = subprocess.run([lab.driver, "inventory", f"socket_dir={lab.path('hosts', host)}"], env=env, check=True,
                              stdout=subprocess.PIPE, text=True)
        self.inventory = of_wire(json.loads(said.stdout), {vm})
        self.link = tls_link(lab, f"host/{host}")
        self.events, self.wrong, self.foreign = [], 0, 0
        self.is_registered = False

    def __exit__(self, kind, error, trace):
        with self.link:
            super().__exit__(kind, error, trace)

    def say(self, body, message):
        self.link.sendall(frame(body, message))

    def work(self):
        self.say("hello", {"version": VERSION, "role": "ROLE_HOST", "name": self.host, **self.inventory})
        self.link.settimeout(BEAT_S / 2)
        data, beat, beats = b"", 0.0, 0
        while not self.is_over():
            if time.monotonic() - beat > BEAT_S:
                beats += 1
                self.say("heartbeat", {"count": beats})
                beat = time.monotonic()
            with contextlib.suppress(socket.timeout):
                got = self.link.recv(65536)
                if not got:
                    raise ConnectionError("tether-smd has ended the link")
                data = self._take(data + got)

    def _take(self, data):
        """What is left of it."""
        while len(data) >= 4 and len(data) >= 4 + (size := struct.unpack(">I", data[:4])[0]):
            said = wire.decode(SCHEMA, "Frame", data[4:4 + size])
            data = data[4 + size:]
            self._heard(*next((body, message) for body, message in said.items() if message is not None))
        return data

    def _heard(self, body, message):
        if body == "hello_answer":
            assert message["outcome"] == "OUTCOME_DONE", message
            self.say("interest", {"request": 1, "vm": self.vm, "address": {"lid": self.lid}})
        elif body == "interest_answer":
            assert message["outcome"] == "OUTCOME_DONE", message
            self.is_registered = True
        elif body == "event" and message["step"] != "STEP_MOVED":
            self._answer(message)

    def _answer(self, event):
        self.events.append(event)
        for lie in to_something_else(event):
            self.say("answer", lie)
            self.wrong += 1
        self.say("answer", answer_to(event, **LIES, **self._rows()))
        self.foreign += FOREIGN
        for _ in range(FEW):
            self.say("answer", answer_to(event))
            self.wrong += 1

    def _rows(self):
        """Of the third VM's queue pairs, two each: where one is now, and what it has done."""
        pairs = [{"local_lid": self.third, "local_qpn": qpn, "real_qpn": 0x666, "remote_lid": self.lid, "remote_qpn": 0x11}
                 for qpn in (0x11, 0x12)]
        evidence = [{"local_lid": self.third, "local_qpn": qpn, "remote_lid": self.lid, "remote_qpn": 0x11} for qpn in (0x11, 0x12)]
        return {"qps": wire.table_of("QpRows", pairs), "evidence": wire.table_of("EvidenceRows", evidence)}


# In the name of others: two processes that answered, did not, and have ended; a refusal.
LIES = {"answered": ["vm2/11.1", "vm3/12.1"], "missing": ["vm2/11.1", "vm3/12.1"], "ended": ["vm2/11.1", "vm3/12.1"],
        "refusals": [{"who": "vm2/11 rc-verify", "reason": "veto", "text": "it says"}]}
FOREIGN = 7 + 4  # and rows


def tls_link(lab, who):
    """To tether-smd, spoken over by hand, with the certificate of @who."""
    port = int(lab.listens_at("root").rsplit(":", 1)[1])
    return lab.tls.authority.context(who).wrap_socket(socket.create_connection(("127.0.0.1", port), PATIENCE_S))


def unix_link(path):
    link = socket.socket(socket.AF_UNIX)
    link.connect(path)
    return link
