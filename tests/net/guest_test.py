#!/usr/bin/env python3
"""The agent in a VM, between an agent of a physical server and processes that the test plays: over a unix socket, a
virtio-serial port that the test plays QEMU for (lab/port.py), and vsock (fake_vsock.c). It moves, and either agent is started again."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import AGENT, BUILD, INVENTORY, PATIENCE_S, VERSION, WRAP, Agent, Folder, Links, answered, run_tests  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lab.build import Build  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.port import Port  # noqa: E402

VSOCK_PORT = 4711


def is_listening(path):
    """Asked of the kernel: the file is there a moment before."""
    with open("/proc/net/unix") as rows:
        return any(row.split()[3] == "00010000" and row.split()[-1] == path for row in rows)


class Guest(Folder):
    """tether-agent in vm1; `parent` is what its host is reached by."""

    def __init__(self, parent, env=None, **settings):
        self.dir = tempfile.mkdtemp(prefix="tether-guest.")
        self.env = env or {}
        self.process = None
        self.links = []
        self.settings = {"role": "guest", "root": parent, "listen": f"unix:{self.path('agent.sock')}",
                         "log": self.path("agent.log"), "log_level": "debug", **settings}
        self.write_conf("agent.conf", self.settings)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            print("".join(f"# guest: {line}\n" for line in self.log().splitlines()[-40:]), end="")
        for links in self.links:
            links.end()
        status = self.stop()
        shutil.rmtree(self.dir)
        assert kind or status == 0, f"the guest's exit status is {status}"

    def log(self):
        return self.read("agent.log")

    def wait_log(self, text):
        wait_until(f"the guest's log says {text!r}", lambda: text in self.log(), PATIENCE_S, [self.path("agent.log")])

    def start(self):
        self.process = subprocess.Popen(WRAP + [AGENT, "--config", self.path("agent.conf")], env=dict(os.environ, **self.env))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.unlink(self.path("agent.sock"))

    def shim(self, name="agent/10.1", migration=0, welcome=True):
        """A process calls itself by the socket that it knows; it has said HELLO."""
        wait_until("the guest listens", lambda: is_listening(self.path("agent.sock")), PATIENCE_S, [self.path("agent.log")])
        links = Links("connect", self.path("agent.sock"))
        self.links.append(links)
        links.opened()
        links.send({"hello": {"version": VERSION, "role": "ROLE_SHIM", "name": name, "pid": 10, "program": "ib_write_bw",
                              "migration": migration}})
        if welcome:
            answer = links.frame("hello_answer")
            assert answer["outcome"] == "OUTCOME_DONE", answer
        return links


def inventory(**vm):
    return dict(INVENTORY, vms=[dict(INVENTORY["vms"][0], **vm)])


@contextlib.contextmanager
def over_unix(**settings):
    """An agent and the guest behind it."""
    with Agent(guest_channel="unix") as agent, Guest(f"unix:{agent.path('vms/vm1.guest')}", **settings) as guest:
        yield agent, guest


@contextlib.contextmanager
def over_virtio():
    with Agent(start=False) as agent:
        agent.write("inventory.json", json.dumps(inventory(guest=f"virtio:{agent.path('chardev')}")))
        with contextlib.closing(Port(agent.path("device"), [agent.path("chardev")])):
            agent.start()
            with Guest(f"virtio:{agent.path('device')}") as guest:
                yield agent, guest


def vsock_env(agent, cid):
    libraries = [*Build(BUILD).sanitizer(), os.path.join(BUILD, "lib", "libfake_vsock.so")]
    return {"LD_PRELOAD": " ".join(libraries), "FAKE_VSOCK": os.path.basename(agent.dir), "FAKE_VSOCK_CID": str(cid)}


@contextlib.contextmanager
def vsock_host():
    with Agent(start=False, vsock_port=VSOCK_PORT) as agent:
        agent.env = vsock_env(agent, 2)
        agent.write("inventory.json", json.dumps(inventory(guest="vsock:42")))
        agent.start()
        yield agent


@contextlib.contextmanager
def over_vsock():
    with vsock_host() as agent, Guest(f"vsock:2:{VSOCK_PORT}", vsock_env(agent, 42)) as guest:
        yield agent, guest


CHANNELS = {"unix": over_unix, "virtio": over_virtio, "vsock": over_vsock}


def wait_host(agent, text):
    wait_until(f"the host's log says {text!r}", lambda: text in agent.read("agent.log"), PATIENCE_S, [agent.path("agent.log")])


def stepped(agent, shim, step, sequence):
    """The step comes to the process, and its answer to the root."""
    agent.event(step, sequence, to_vm=True, expected=["vm1/10.1"])
    answered(shim, shim.frame("event", step=f"STEP_{step}"))
    answer = agent.answer(step, sequence)
    assert answer["outcome"] == "OUTCOME_DONE" and answer["answered"] == ["vm1/10.1"], answer


def process_behind_a_guest_is_reached(channel):
    with CHANNELS[channel]() as (agent, guest):
        shim = guest.shim()
        stepped(agent, shim, "PREPARE", 1)
        agent.event("STOP", 2, to_vm=True, expected=["vm1/10.1"])
        answered(shim, shim.frame("event", step="STEP_STOP"), "OUTCOME_REFUSED", refusals=[{"reason": "veto-x"}])
        answer = agent.answer("STOP", 2)
        assert answer["refusals"][0]["who"] == "hyp1/vm1/10 ib_write_bw", answer


def host_agent_is_started_again(channel):
    with CHANNELS[channel]() as (agent, guest):
        shim = guest.shim()
        stepped(agent, shim, "PREPARE", 1)
        agent.event("STOP", 2, to_vm=True, expected=["vm1/10.1"], deadline_ms=60000)
        event = shim.frame("event", step="STEP_STOP")
        agent.kill()
        agent.start()
        agent.event("STOP", 2, to_vm=True, expected=["vm1/10.1"], deadline_ms=60000)
        answered(shim, event)
        assert agent.answer("STOP", 2)["outcome"] == "OUTCOME_DONE"
        stepped(agent, shim, "RELEASE", 3)


def guest_agent_is_started_again(channel):
    """In the middle of a step, and of a frame."""
    with CHANNELS[channel]() as (agent, guest):
        shim = guest.shim()
        stepped(agent, shim, "PREPARE", 1)
        agent.event("STOP", 2, to_vm=True, expected=["vm1/10.1"], deadline_ms=60000)
        shim.frame("event", step="STEP_STOP")
        guest.kill()
        shim.closed()
        guest.start()
        shim = guest.shim(migration=1)
        answered(shim, shim.frame("event", step="STEP_STOP"))
        assert agent.answer("STOP", 2)["answered"] == ["vm1/10.1"]


def guest_that_is_killed_again_and_again_is_heard(channel):
    with CHANNELS[channel]() as (agent, guest):
        shim = guest.shim()
        for sequence in range(1, 9):
            stepped(agent, shim, "PREPARE", sequence)
            guest.kill()
            shim.closed()
            guest.start()
            shim = guest.shim(migration=1)


def guest_says_nothing_of_who_starts_while_the_device_is_away():
    """Started again itself, it hears of that from its host."""
    with over_unix() as (agent, guest):
        shim = guest.shim()
        stepped(agent, shim, "PREPARE", 1)
        stepped(agent, shim, "RELEASE", 2)
        guest.kill()
        guest.start()
        guest.wait_log("the root is here")
        fresh = guest.shim("agent/11.1", welcome=False)
        assert fresh.frame("event")["step"] == "STEP_RELEASE"
        assert fresh.frame("hello_answer")["outcome"] == "OUTCOME_DONE"
        part = guest.shim(migration=1)
        stepped_again = agent
        stepped_again.event("ATTACH", 3, to_vm=True, expected=["vm1/10.1"])
        answered(part, part.frame("event", step="STEP_ATTACH"))
        answered(fresh, fresh.frame("event", step="STEP_ATTACH"))
        assert agent.answer("ATTACH", 3)["outcome"] == "OUTCOME_DONE"


def guest_moves_with_its_processes():
    """Their links stay; the guest's own leads to the other host's agent, which is not on the epoch of the first yet."""
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(Agent(name="hyp1", guest_channel="unix"))
        destination = stack.enter_context(Agent(start=False, name="hyp2", guest_channel="unix"))
        destination.write("inventory.json", json.dumps(dict(INVENTORY, vms=[])))
        destination.start()
        way = source.path("way")
        os.symlink(source.path("vms/vm1.guest"), way)
        guest = stack.enter_context(Guest(f"unix:{way}"))
        shim = guest.shim()
        for sequence, step in enumerate(("PREPARE", "STOP", "SETTLE", "RELEASE"), 1):
            source.event(step, sequence, epoch=7, to_vm=True, expected=["vm1/10.1"])
            answered(shim, shim.frame("event", step=f"STEP_{step}"))
            assert source.answer(step, sequence)["outcome"] == "OUTCOME_DONE"
        os.unlink(way)
        source.order("MOVE", sequence=5, epoch=7, peer_host="hyp2")
        assert source.answer("MOVE", 5)["outcome"] == "OUTCOME_DONE"
        assert not os.path.exists(source.path("vms/vm1.guest"))
        destination.order("ATTACH", "ATTACH", 6, epoch=7, slot="vf1")
        assert destination.answer("ATTACH", 6)["outcome"] == "OUTCOME_DONE"
        destination.event("ATTACH", 7, epoch=7, to_vm=True, expected=["vm1/10.1"], deadline_ms=60000)
        os.symlink(destination.path("vms/vm1.guest"), way)
        answered(shim, shim.frame("event", step="STEP_ATTACH"))
        assert destination.answer("ATTACH", 7)["answered"] == ["vm1/10.1"]
        destination.event("STOP", 8, epoch=6, migration=9, to_vm=True)
        answer = destination.answer("STOP", 8)
        assert answer["refusals"][0]["reason"] == "old-epoch", answer


def copy_of_a_vm_is_another_vm():
    """The host says so. What is kept of the first concerns nobody any more, and its processes come anew."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Agent(name="hyp1", guest_channel="unix"))
        second = stack.enter_context(Agent(start=False, name="hyp2", guest_channel="unix"))
        second.write("inventory.json", json.dumps({"vms": [{"name": "vm9"}], "slots": []}))
        second.start()
        way = first.path("way")
        os.symlink(first.path("vms/vm1.guest"), way)
        guest = stack.enter_context(Guest(f"unix:{way}"))
        shim = guest.shim()
        stepped(first, shim, "PREPARE", 1)
        os.unlink(way)
        os.symlink(second.path("vms/vm9.guest"), way)
        first.kill()
        shim.closed()
        guest.wait_log("this is vm9")
        shim = guest.shim()
        second.event("PREPARE", 1, migration=2, vm="vm9", to_vm=True)
        answered(shim, shim.frame("event", step="STEP_PREPARE"))
        assert second.answer("PREPARE", 1)["answered"] == ["vm9/10.1"]


def guest_may_know_its_name():
    with over_unix(name="vm1") as (agent, guest):
        stepped(agent, guest.shim(), "PREPARE", 1)


def guest_is_found_when_its_host_has_said_how_the_vm_is():
    """It may know its name, and is not there for a process before it knows whether the VM has its device."""
    with Agent(guest_channel="unix") as agent:
        way = agent.path("way")
        with Guest(f"unix:{way}", name="vm1") as guest:
            guest.wait_log("no link to")
            assert not is_listening(guest.path("agent.sock"))
            os.symlink(agent.path("vms/vm1.guest"), way)
            stepped(agent, guest.shim(), "PREPARE", 1)


def guest_that_takes_itself_for_another_is_refused():
    with Agent(guest_channel="unix") as agent, Guest(f"unix:{agent.path('vms/vm1.guest')}", name="vm2") as guest:
        guest.wait_log("foreign-name")


def channel_says_who_may_speak():
    for path, role, name in (("vm1.guest", "ROLE_SHIM", "vm1/10.1"), ("vm1.sock", "ROLE_GUEST", "vm1"),
                             ("vm1.guest", "ROLE_HOST", "hyp2")):
        with Agent(guest_channel="unix") as agent:
            links = agent._links("connect", agent.path(f"vms/{path}"))
            links.opened()
            links.send({"hello": {"version": VERSION, "role": role, "name": name}})
            assert links.frame("hello_answer")["refusals"][0]["reason"] == "bad-role", path
            links.closed()


def guest_that_was_refused_is_not_heard_for_a_second():
    """It comes again at once, and again; that costs its host neither work nor lines in a log."""
    with Agent(guest_channel="unix") as agent, Guest(f"unix:{agent.path('vms/vm1.guest')}", name="vm2") as guest:
        began = time.monotonic()
        wait_until("it has been sent away a few times", lambda: guest.log().count("the root is away") > 10, PATIENCE_S)
        said = agent.read("agent.log").count("is refused")
        assert said <= 1 + time.monotonic() - began, said


def process_is_called_by_its_vm_whatever_it_says():
    with over_unix() as (agent, guest):
        shim = guest.shim("vm2/10.1")
        stepped(agent, shim, "PREPARE", 1)


def guest_that_comes_anew_takes_the_place_of_the_one_before():
    """Its first link is dead without an end that the host could see."""
    with Agent(guest_channel="unix", heartbeat_ms=60000) as agent:
        for _ in range(3):
            links = agent._links("connect", agent.path("vms/vm1.guest"))
            links.opened()
            links.send({"hello": {"version": VERSION, "role": "ROLE_GUEST"}})
            answer = links.frame("hello_answer")
            assert answer["outcome"] == "OUTCOME_DONE" and answer["vm"] == "vm1", answer
        agent.links[-2].closed()


def vsock_connection(agent, cid, port):
    """What fake_vsock.c makes of a connection from @cid's @port."""
    peer = socket.socket(socket.AF_UNIX)
    server = os.path.basename(agent.dir)
    peer.bind(f"\0fake-vsock/{server}/{cid}.{port}")
    peer.connect(f"\0fake-vsock/{server}/2.{VSOCK_PORT}")
    return peer


def vsock_peer_is_known_by_its_cid():
    """Others are named in the log, but do not fill it."""
    for cid, port, why in ((43, 1000, "no VM here has that CID"), (42, 1024, "any of its programs has such a port"),
                           (1, 1000, "no VM here has that CID")):
        with vsock_host() as agent:
            began = time.monotonic()
            for _ in range(100):
                with vsock_connection(agent, cid, port) as peer:
                    assert peer.recv(1) == b""
            lines = agent.read("agent.log").count("is not listened to")
            assert lines <= 1 + time.monotonic() - began, lines
            wait_host(agent, f"CID {cid}, port {port} is not listened to: {why}")


def channel_of_an_inventory_is_checked():
    for channel in ("vsock:2", "vsock:x", "virtio:chardev", "tcp:1", 7):
        with Agent(start=False) as agent:
            agent.write("inventory.json", json.dumps(inventory(guest=channel)))
            agent.process = subprocess.Popen(WRAP + [AGENT, "--config", agent.path("agent.conf")])
            wait_host(agent, "vms[0].guest")


def settings_of_a_guest_are_checked():
    for setting, said in (({"listen": "tls:0.0.0.0:1"}, "listen"), ({"root": "nowhere"}, "root"), ({"name": "a/b"}, "name"),
                          ({"driver": "exec:/bin/true"}, "driver")):
        guest = Guest("virtio:/dev/null", **setting)
        done = subprocess.run([AGENT, "--check-config", "--config", guest.path("agent.conf")], capture_output=True, text=True)
        assert done.returncode == 2 and f'"{said}"' in done.stderr or said in done.stderr, done
        shutil.rmtree(guest.dir)


def over(channel, test):
    def tested():
        test(channel)
    tested.__name__ = f"{test.__name__}_over_{channel}"
    return tested


TESTS = [over(channel, test) for channel in CHANNELS for test in (
    process_behind_a_guest_is_reached, host_agent_is_started_again, guest_agent_is_started_again,
    guest_that_is_killed_again_and_again_is_heard)] + [
        guest_says_nothing_of_who_starts_while_the_device_is_away, guest_moves_with_its_processes, copy_of_a_vm_is_another_vm,
        guest_may_know_its_name, guest_is_found_when_its_host_has_said_how_the_vm_is,
        guest_that_takes_itself_for_another_is_refused, channel_says_who_may_speak,
        guest_that_was_refused_is_not_heard_for_a_second,
        process_is_called_by_its_vm_whatever_it_says, guest_that_comes_anew_takes_the_place_of_the_one_before,
        vsock_peer_is_known_by_its_cid, channel_of_an_inventory_is_checked, settings_of_a_guest_are_checked]

sys.exit(run_tests(TESTS))
