# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Who lies, floods and breaks off: a guest with its channel, a host with a valid certificate. Beside each stands somebody honest,
whose rounds are timed: a VM's process behind the same agent, or behind another one.

What they say stands in hostile_attacks.py."""
import contextlib
import json
import os
import queue
import re
import resource
import select
import socket
import struct
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]
from agent_harness import INVENTORY, PATIENCE_S, VERSION, Agent  # noqa: E402
from faults import wire  # noqa: E402
from lab.background import Background  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.metrics import Metrics  # noqa: E402
from lab.ports import free_port  # noqa: E402
from tls_harness import Site  # noqa: E402

# For 10,000 connections, here and in the daemons that are started here.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

# Of each honest event; with a race detector in it everything takes ten times as long.
DEADLINE_MS = 60000 if "thread" in os.environ.get("TETHER_SANITIZE", "") else 5000
LID_OF_VM1, LID_OF_VM2 = 5, 7
PKEY_OF_VM1, PKEY_OF_VM2 = 0x8001, 0x8002
PROCESSES = 512  # links of a VM, as its host is set
BEAT_S = 0.2  # the root's; whoever it is of is not silent for so long
INTEREST_TAG = 5 << 3 | 2  # the first byte of a frame that is one


def frame(body, message, **count):
    """@count: what it says of numbers."""
    raw = wire.encode(wire.SCHEMA, "Frame", {body: message, **count})
    return struct.pack(">I", len(raw)) + raw


def gid(number, prefix=0):
    return struct.pack(">QQ", 0xfe80 << 48 ^ prefix, number)


def interest_in(number, address, **more):
    return frame("interest", {"request": number + 1, "address": {"gid": address}, **more})


def interest(number, **more):
    """Each of another GID, so that none is known already."""
    return interest_in(number, gid(number + 1), **more)


class Enemy:
    """A link that says what it likes; what is said to it is read and counted."""

    def __init__(self, link):
        self.link, self.told = link, 0
        self.heard = []  # events that were answered
        link.settimeout(PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.link.close()

    def say(self, data):
        """Whoever does not listen any more is no surprise to an enemy."""
        with contextlib.suppress(OSError):
            self.link.sendall(data)

    def let_in(self):
        """What has come meanwhile, so that it need not wait."""
        come = select.poll()  # select() knows no descriptor above 1023
        come.register(self.link, select.POLLIN)
        with contextlib.suppress(OSError):
            while come.poll(0):
                got = len(self.link.recv(1 << 16))
                self.told += got
                if not got:
                    break

    def hello(self, role, name, **more):
        self.say(frame("hello", {"version": VERSION, "role": role, "name": name, **more}))

    def answer(self):
        """The next frame that is no heartbeat."""
        while True:
            raw = wire.receive_exactly(self.link, *struct.unpack(">I", wire.receive_exactly(self.link, 4)))
            self.told += 4 + len(raw)
            body, message = next((k, v) for k, v in wire.decode(wire.SCHEMA, "Frame", raw).items() if v is not None)
            if body != "heartbeat":
                return body, message

    def welcomed(self):
        body, message = self.answer()
        assert body == "hello_answer" and message["outcome"] == "OUTCOME_DONE", (body, message)
        return self

    def is_refused(self, body, reason):
        """The next of these answers says so."""
        said = self.answer()
        while said[0] != body:
            said = self.answer()
        assert [refusal["reason"] for refusal in said[1]["refusals"]] == [reason], said

    def until_closed(self):
        """Read to the end of the link."""
        with contextlib.suppress(OSError):
            while got := len(self.link.recv(1 << 16)):
                self.told += got


class Root:
    """The parent of an agent. It acknowledges nothing, so that what goes up is under way for good."""

    def __init__(self, path):
        self.answers, self.bytes, self.interests = queue.Queue(), 0, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.link = None

    def welcome(self):
        self.listener.settimeout(PATIENCE_S)
        self.link = self.listener.accept()[0]
        wire.receive(self.link)
        wire.send(self.link, "hello_answer", {"outcome": "OUTCOME_DONE", "epoch": 1, "name": "root"})
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        beat = 0
        with contextlib.suppress(ConnectionError, OSError):
            while True:
                if time.monotonic() - beat > BEAT_S:
                    wire.send(self.link, "heartbeat", {"count": 1})
                    beat = time.monotonic()
                size, = struct.unpack(">I", wire.receive_exactly(self.link, 4))
                raw = wire.receive_exactly(self.link, size)
                self.bytes += 4 + size
                if raw[0] == INTEREST_TAG:
                    self.interests += 1
                    continue
                said = wire.decode(wire.SCHEMA, "Frame", raw)
                if said["answer"]:
                    self.answers.put(said["answer"])

    def event(self, sequence, **fields):
        wire.send(self.link, "event", {"migration": 1, "epoch": 1, "step": "STEP_STOP", "sequence": sequence, "vm": "vm2",
                                       "address": {"lid": LID_OF_VM2}, "deadline_ms": DEADLINE_MS, "to_vm": True, **fields})

    def places_say(self, *places):
        wire.send(self.link, "whereabouts", {"vms": list(places)})

    def answer(self, sequence):
        while True:
            answer = self.answers.get(timeout=PATIENCE_S)
            if answer["sequence"] == sequence:
                return answer

    def close(self):
        for sock in (self.listener, self.link):
            if sock:
                sock.close()


class Honest(Background):
    """Round after round, until there were @most or it is told to stop; each must end well."""

    def __init__(self, round_trip, most=None):
        super().__init__()
        self.round_trip, self.most = round_trip, most
        self.seconds = []

    def __exit__(self, kind, error, trace):
        super().__exit__(kind, error, trace)
        assert kind or self.seconds

    def work(self):
        while not self.is_over() and len(self.seconds) != self.most:
            began = time.monotonic()
            self.round_trip()
            self.seconds.append(time.monotonic() - began)


class Scene:
    """A daemon between somebody hostile and somebody honest."""

    def __init__(self):
        self.enemies = []

    def known(self, enemy):
        self.enemies.append(enemy)
        return enemy

    def counted(self, kind):
        """@kind: of a counter, or of several as a+b."""
        values = self.metrics.values()
        return sum(values[f"{self.prefix}{one}_total"] for one in kind.split("+"))

    def bytes_up(self):
        return 0

    def about_to_say(self, number):
        """The enemy is, with what comes before @number said."""

    def honest_round(self):
        self.round_trip()

    def __exit__(self, *error):
        return self.stack.__exit__(*error)


class GuestScene(Scene):
    """One agent: vm1 has a guest that is hostile, vm2 an honest process. The test is the root."""

    prefix = "tether_agent_"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.agent = Agent(start=False, guest_channel="unix", log_level="warn")
            agent = self.agent
            agent.write("agent.conf", agent.read("agent.conf") + f"metrics = unix:{agent.path('metrics.sock')}\n")
            agent.write("inventory.json", inventory_of_two())
            self.root = Root(agent.path("root.sock"))
            stack.callback(self.root.close)
            agent.welcome = lambda epoch: self.root.welcome()
            stack.push(agent.__exit__)
            agent.start()
            self.metrics = Metrics(f"unix:{agent.path('metrics.sock')}")
            self.process = self.honest_process()
            stack.callback(self.process.link.close)
            self.sequence = 0
            self.stack = stack.pop_all()
        return self

    @property
    def pid(self):
        return self.agent.process.pid

    @property
    def log_path(self):
        return self.agent.path("agent.log")

    def connect(self, name="vm1.sock"):
        link = socket.socket(socket.AF_UNIX)
        link.connect(self.agent.path(f"vms/{name}"))
        return self.known(Enemy(link))

    def enemy(self):
        """Welcome, as everybody is at first; where one is refused the next is not heard for a second."""
        enemy = self.connect("vm1.guest")
        enemy.hello("ROLE_GUEST", "vm1")
        return enemy.welcomed()

    def stranger(self):
        """An enemy whose VM is located, as vm2 is, in another partition."""
        enemy = self.enemy()
        self.keep_apart(enemy)
        return enemy

    def keep_apart(self, enemy):
        self.root.places_say(
            {"vm": "vm1", "host": "hyp1", "lids": [LID_OF_VM1], "pkeys": [PKEY_OF_VM1], "located": True},
            {"vm": "vm2", "host": "hyp1", "lids": [LID_OF_VM2], "pkeys": [PKEY_OF_VM2], "located": True})
        body, said = enemy.answer()
        assert body == "whereabouts" and [place["vm"] for place in said["vms"]] == ["vm1"], (body, said)

    def another_enemy(self):
        """A process in the same VM, which may come any number of times."""
        return self.process_of_vm1("vm1/1001.1")

    def slow_enemy(self):
        """It keeps its name for long, and no other enemy from coming."""
        return self.process_of_vm1("vm1/1002.1")

    def process_of_vm1(self, name):
        enemy = self.connect()
        enemy.hello("ROLE_SHIM", name)
        return enemy.welcomed()

    def honest_process(self):
        process = self.connect("vm2.sock")
        process.hello("ROLE_SHIM", "vm2/11.1", pid=11, program="ib_write_bw")
        return process.welcomed()

    def round_trip(self, before=lambda: None, outcome="OUTCOME_DONE", **fields):
        """An event to vm2, and its answer. @before: what is done before its process answers."""
        self.sequence += 1
        self.root.event(self.sequence, **fields)
        body, event = self.process.answer()
        assert body == "event" and event["sequence"] == self.sequence, (body, event)
        before()
        wire.send(self.process.link, "answer", answer_to(event))
        answer = self.root.answer(self.sequence)
        assert answer["outcome"] == outcome and answer["answered"] == ["vm2/11.1"], answer
        return answer

    def bytes_up(self):
        return self.root.bytes


class HostScene(Scene):
    """tether-smd and an honest agent with an honest process, over TLS; the certificate of host/evil is the enemy's."""

    prefix = "tether_smd_"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            metrics = f"127.0.0.1:{free_port()}"
            self.site = stack.enter_context(Site("host/hyp1", "host/hyp2", "host/evil", "host/fickle", "host/slow",
                                                 metrics=metrics, prepare_ms=DEADLINE_MS, settle_ms=DEADLINE_MS))
            self.honest = self.site.host("hyp1")
            self.site.host("hyp2", inventory=elsewhere())
            self.site.smd.hosts_here(2)
            self.metrics = Metrics(metrics)
            link = socket.socket(socket.AF_UNIX)
            path = os.path.join(self.honest.dir, "vms", "hyp1-vm.sock")
            link.connect(path)
            self.process = stack.enter_context(Enemy(link))
            self.process.hello("ROLE_SHIM", "hyp1-vm/11.1", pid=11, program="ib_write_bw")
            self.process.welcomed()
            self.request = 0
            self.stack = stack.pop_all()
        return self

    @property
    def pid(self):
        return self.site.smd.child.pid

    @property
    def log_path(self):
        return self.site.log_path

    def connect(self, name="evil"):
        return self.known(Enemy(self.site.connect(self.site.context(f"host/{name}"))))

    def enemy(self, name="evil"):
        enemy = self.connect(name)
        enemy.hello("ROLE_HOST", name)
        return enemy.welcomed()

    another_enemy = enemy

    def slow_enemy(self):
        """It keeps its name for long, and no other enemy from coming."""
        return self.enemy("slow")

    def round_trip(self):
        """A registration of the VM's, up to tether-smd and back: each time another question, which nobody has asked before."""
        self.request += 1
        wire.send(self.process.link, "interest", {"request": self.request, "address": {"lid": LID_OF_VM2},
                                                  "remote_qpn": self.request % 0xffffff + 1})
        body, answer = self.process.answer()
        assert body == "interest_answer" and answer["request"] == self.request, (body, answer)
        assert answer["outcome"] == "OUTCOME_DONE", answer

    def honest_round(self):
        self.round_trip()
        self.vetoed_migration()

    def vetoed_migration(self):
        """The VM's process says no when it is asked, within the deadline, and is let go: nobody is missed."""
        status, migration = self.site.smd.migrate("hyp1-vm", "hyp2")
        assert status == 202, (status, migration)
        veto = {"who": "qp 0x11", "reason": "veto-flow", "text": "as asked"}
        self._answers("STEP_PREPARE", {"outcome": "OUTCOME_REFUSED", "refusals": [veto]})
        self._answers("STEP_ABORT", {})
        ended = self.site.smd.wait_for(migration["id"], "refused")
        assert ended["state"] == "refused" and [one["reason"] for one in ended["refusals"]] == ["veto-flow"], ended

    def _answers(self, step, said):
        body, event = self.process.answer()
        assert body == "event" and event["step"] == step, (body, event)
        wire.send(self.process.link, "answer", {**answer_to(event), **said})


def inventory_of_two():
    vms = [dict(INVENTORY["vms"][0]), {"name": "vm2", "slot": "vf1"}]
    return json.dumps({"vms": vms, "slots": [INVENTORY["slots"][0], dict(INVENTORY["slots"][1], vm="vm2")]})


def elsewhere():
    """A slot that is free, and another than all here."""
    return {"vms": [], "slots": [dict(INVENTORY["slots"][0], vm="", node_guid="0x9001", port_guid="0x9002", switch_guid="0x9003")]}


def answer_to(event, **more):
    return dict({key: event[key] for key in ("migration", "epoch", "step", "sequence")}, outcome="OUTCOME_DONE", **more)


def to_something_else(event):
    """Answers that are not to @event, each in one thing."""
    steps = ("STEP_STOP", "STEP_RESUME")
    others = {"migration": event["migration"] + 1000, "step": steps[event["step"] == steps[0]], "sequence": event["sequence"] + 1000}
    return [answer_to(dict(event, epoch=event["epoch"] + later)) for later in (-1, 1)] + \
        [answer_to(dict(event, **{key: value})) for key, value in others.items()]


def is_counted(scene, kind, count):
    wait_until(f"{kind} is {count}", lambda: scene.counted(kind) >= count, PATIENCE_S, [scene.log_path])


def count_of(attack, wanted, full=False):
    return min(attack.most, attack.full if full else max(attack.least, wanted))


def refused(scene_of, attack, full, wanted=20):
    """A test: as many are refused as are said, and no honest round is lost."""
    def test():
        count = count_of(attack, wanted, full)
        with scene_of() as scene, contextlib.ExitStack() as links:
            before = scene.counted(attack.kind)
            with Honest(scene.honest_round) as honest:
                attack.run(scene, count, links)
                is_counted(scene, attack.kind, before + count - attack.allowed)
                rounds = len(honest.seconds)
                wait_until("an honest round behind it", lambda: honest.failure or len(honest.seconds) > rounds, PATIENCE_S)
            assert scene.counted(attack.kind) == before + count - attack.allowed
    test.__name__ = re.sub("[^a-z0-9]+", "_", f"{attack.name} is refused".lower())
    return test
