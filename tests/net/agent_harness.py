"""One tether-agent between a root and processes that the test plays itself, with a driver made of shell.

Everything lives in one temporary directory and ends with the `Agent` context. What comes over a link is waited for, never
slept for.
"""
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from faults.wire import SCHEMA  # noqa: E402

OLDEST, VERSION = (SCHEMA.enums["Protocol"][name] for name in ("PROTOCOL_OLDEST", "PROTOCOL_VERSION"))
BUILD = os.path.abspath(os.environ.get("TETHER_BUILD", "build"))
AGENT = os.path.join(BUILD, "bin", "tether-agent")
FRAME_TOOL = os.path.join(BUILD, "bin", "frame_tool")
# The daemon under valgrind: an error, or memory lost at its end, is its exit status (which kinds: lab/checker.py).
WRAP = (["valgrind", "-q", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
         "--error-exitcode=99", "--child-silent-after-fork=yes"]
        if os.environ.get("TETHER_VALGRIND") else [])
PATIENCE_S = 60 if WRAP else 20  # for what must come; a test that waits so long has failed

INVENTORY = {
    "vms": [{"name": "vm1", "slot": "vf0"}],
    "slots": [
        {"name": "vf0", "vm": "vm1", "node_guid": "0x1001", "port_guid": "0x2001", "switch_guid": "0x3001",
         "switch_port": 2, "attributes": {"max_qp": 100, "max_mtu": 5}},
        {"name": "vf1", "node_guid": "0x1002", "port_guid": "0x2002", "switch_guid": "0x3001", "switch_port": 3,
         "attributes": {"max_qp": 50, "max_mtu": 5}},
    ],
}

# Each verb can be given another behaviour by a file VERB.sh beside the driver.
DRIVER = """#!/bin/sh
here=$(dirname "$0")
echo "$TETHER_HOST $*" >> "$here/driver.log"
verb=$1
for argument; do case $argument in *=*) eval "${argument%%=*}='${argument#*=}'" ;; esac; done
if [ -e "$here/$verb.sh" ]; then . "$here/$verb.sh"; exit $?; fi
[ "$verb" = inventory ] && cat "$here/inventory.json"
exit 0
"""


class Links:
    """Links of one frame_tool; frames come in order, each link has its number."""

    def __init__(self, mode, path, launcher=()):
        self.tool = subprocess.Popen([*launcher, FRAME_TOOL, mode, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.kept = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.tool.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def send(self, frame, link=1):
        self._write({"link": link, "frame": frame})

    def raw(self, data, link=1):
        self._write({"link": link, "raw": data.hex()})

    def close(self, link=1):
        self._write({"link": link, "close": True})

    def _write(self, line):
        self.tool.stdin.write(json.dumps(line) + "\n")
        self.tool.stdin.flush()

    def wait(self, what, wanted, patience_s=PATIENCE_S):
        """The first line that `wanted` accepts; the others are kept for later."""
        for i, line in enumerate(self.kept):
            if wanted(line):
                return self.kept.pop(i)
        end = time.monotonic() + patience_s
        while True:
            try:
                line = self.lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{what} did not come; but: {self.kept}") from None
            if line is None:
                raise AssertionError(f"the other end was lost while waiting for {what}")
            if wanted(line):
                return line
            self.kept.append(line)

    def frame(self, kind, link=None, patience_s=PATIENCE_S, **fields):
        def fits(line):
            body = line.get("frame", {}).get(kind)
            return (body is not None and (link is None or line["link"] == link) and
                    all(body.get(key) == value for key, value in fields.items()))
        return self.wait(f"{kind} {fields}", fits, patience_s)["frame"][kind]

    def opened(self):
        return self.wait("a link", lambda line: line.get("opened"))["link"]

    def closed(self, link=None):
        return self.wait("the link's end", lambda line: "closed" in line and link in (None, line["link"]))["closed"]

    def nothing(self, kind, seconds, **fields):
        """Nothing of the kind comes within the time (an event that has a cause of its own to wait for is better)."""
        try:
            frame = self.frame(kind, patience_s=seconds, **fields)
        except AssertionError as error:
            if "did not come" in str(error):
                return
            raise
        raise AssertionError(f"unexpected {kind}: {frame}")

    def kill(self):
        self.tool.kill()
        self.tool.wait()

    def end(self):
        if self.tool.poll() is None:
            self.tool.stdin.close()
            try:
                self.tool.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()


class Folder:
    """`dir`, and the files in it."""

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def write_conf(self, name, settings):
        self.write(name, "".join(f"{key} = {value}\n" for key, value in settings.items()))

    def read(self, name):
        try:
            with open(self.path(name)) as file:
                return file.read()
        except FileNotFoundError:
            return ""


class Agent(Folder):
    def __init__(self, start=True, env=None, **settings):
        self.dir = tempfile.mkdtemp(prefix="tether-agent.")
        self.links = []
        self.process = None
        self.start_wanted = start
        self.env = env or {}
        self.settings = {"role": "host", "name": "hyp1", "root": f"unix:{self.path('root.sock')}",
                         "driver": f"exec:{self.path('driver')}", "state_dir": self.path("state"),
                         "socket_dir": self.path("vms"), "log": self.path("agent.log"), "log_level": "debug",
                         "heartbeat_ms": 1000}
        self.settings.update(settings)
        os.mkdir(self.path("state"))
        os.mkdir(self.path("vms"))
        self.write("driver", DRIVER)
        os.chmod(self.path("driver"), 0o755)
        self.write("inventory.json", json.dumps(INVENTORY))
        self.write_conf("agent.conf", self.settings)

    def __enter__(self):
        self.root = self._links("listen", self.path("root.sock"))
        self.root.wait("listening", lambda line: line.get("listening"))
        if self.start_wanted:
            self.start()
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            print("".join(f"# {line}\n" for line in self.read("agent.log").splitlines()[-40:]), end="")
            print("".join(f"# driver: {line}\n" for line in self.read("driver.log").splitlines()), end="")
        for links in self.links:
            links.end()
        status = self._stop()
        shutil.rmtree(self.dir)
        assert kind or status == 0, f"the agent's exit status is {status}"

    def _stop(self):
        """As a service manager does it; a sanitizer that found something says so by the exit status."""
        if not self.process or self.process.poll() is not None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _links(self, mode, path, launcher=()):
        links = Links(mode, path, launcher)
        self.links.append(links)
        return links

    def start(self, epoch=1, env=None):
        """Start it and let the root welcome it; its HELLO is self.hello."""
        self.process = subprocess.Popen(WRAP + [AGENT, "--config", self.path("agent.conf")],
                                        env=dict(os.environ, **(env or self.env)))
        self.welcome(epoch)

    def welcome(self, epoch=1):
        self.link = self.root.opened()
        self.hello = self.root.frame("hello", self.link)
        self.down({"hello_answer": {"outcome": "OUTCOME_DONE", "epoch": epoch, "name": "root"}})

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.root.closed(self.link)

    def down(self, frame):
        self.root.send(frame, self.link)

    def event(self, step, sequence=1, migration=1, epoch=1, deadline_ms=5000, **fields):
        self.down({"event": dict({"migration": migration, "epoch": epoch, "step": f"STEP_{step}", "sequence": sequence,
                                  "vm": "vm1", "address": {"lid": 5}, "deadline_ms": deadline_ms}, **fields)})

    def order(self, action, step="MOVE", sequence=1, deadline_ms=5000, migration=1, epoch=1, **fields):
        self.event(step, sequence, migration, epoch, deadline_ms,
                   order=dict({"host": self.settings["name"], "action": f"HOST_{action}", "vm": "vm1"}, **fields))

    def answer(self, step, sequence=1):
        return self.root.frame("answer", step=f"STEP_{step}", sequence=sequence)

    def shim(self, vm="vm1", name="vm1/10.1", lids=(), migration=0, pid=10, launcher=()):
        """A process of the VM that has said HELLO, with the migration that is open in it, and is welcome. @launcher: a command
        before it."""
        links = self._links("connect", self.path(f"vms/{vm}.sock"), launcher)
        links.opened()
        links.send({"hello": {"version": VERSION, "role": "ROLE_SHIM", "name": name, "pid": pid, "program": "ib_write_bw",
                              "migration": migration, "addresses": [{"lid": lid} for lid in lids]}})
        answer = links.frame("hello_answer")
        assert answer["outcome"] == "OUTCOME_DONE", answer
        return links

    def driver_log(self, verb):
        return [line for line in self.read("driver.log").splitlines() if line.split()[1] == verb]


def answered(links, event, outcome="OUTCOME_DONE", **fields):
    """What a process answers to the event that it got."""
    links.send({"answer": dict({key: event[key] for key in ("migration", "epoch", "step", "sequence")},
                               outcome=outcome, **fields)})


def run_tests(tests):
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}", flush=True)
        except Exception as error:  # a test's own mistake is a failure too
            failed += 1
            print(f"not ok {number} - {test.__name__}: {type(error).__name__}: {error}", flush=True)
    return 1 if failed else 0
