# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A simulated fabric for tests, with OpenSM on it if wanted; taken down whatever happens.

    with Fabric() as fabric:
        fabric.create("tests/fabrics/demo.net")
        fabric.opensm_start("sm")
        fabric.opensm_wait_up(20)
        print(fabric.run("ibnetdiscover", node="hyp1").stdout)

The fabric's file is on tmpfs, everything else in one directory. Waiting is always for evidence, with a limit; when it
passes, the message ends with the log. Names are short here, on purpose: other tests' labs are built on this one."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from lab.told_to_end import end_properly_when_told
from simfabric.fabric_folder import Folder

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FABRICS = os.path.join(TOP, "tests", "fabrics")
POLL_S = 0.01
UP_S = 60

# What OpenSM is told unless a test says otherwise: no light sweeps by itself, and a log that can be waited for.
OPENSM_CONF = {"sweep_interval": 0, "force_log_flush": "TRUE", "daemon": "FALSE"}
UP_LINE = "SUBNET UP"


class Late(Exception):
    """It did not happen in time."""


class Failed(Exception):
    """A command ended with another status than 0."""


def build_directory():
    return os.path.abspath(os.environ.get("TETHER_BUILD") or os.path.join(TOP, "build"))


def wait_until(what, is_true, seconds, show=lambda: ""):
    """The first true value of is_true()."""
    end = time.monotonic() + seconds
    while True:
        value = is_true()
        if value:
            return value
        if time.monotonic() > end:
            raise Late(f"{what}: not within {seconds} s\n{show()}")
        time.sleep(POLL_S)


def tail(path, limit=3000):
    try:
        with open(path, errors="replace") as log:
            return log.read()[-limit:]
    except OSError as error:
        return f"({error})"


class Opensm:
    """One OpenSM process. `up` counts how often it has said SUBNET UP."""

    def __init__(self, fabric, node, conf, env):
        self.directory = tempfile.mkdtemp(prefix=f"opensm-{node}-", dir=fabric.directory)
        self.log = os.path.join(self.directory, "opensm.log")
        self.output = os.path.join(self.directory, "output")
        conf_path = os.path.join(self.directory, "opensm.conf")
        with open(conf_path, "w") as out:
            out.writelines(f"{key} {value}\n" for key, value in {**OPENSM_CONF, **conf}.items())
        environment = {"OSM_CACHE_DIR": self.directory, "OSM_TMP_DIR": self.directory, **env}
        self.child = fabric.start("/usr/sbin/opensm", "-F", conf_path, "-f", self.log, node=node, env=environment,
                                  output=self.output)

    @property
    def pid(self):
        return self.child.pid

    def log_text(self):
        try:
            with open(self.log, errors="replace") as log:
                return log.read()
        except OSError:
            return ""

    @property
    def up(self):
        return self.log_text().count(UP_LINE)

    def wait_up(self, seconds, count=1):
        """Until it has said SUBNET UP @count times in all."""
        def is_up():
            if self.child.poll() is not None:
                raise Failed(f"OpenSM has ended with {self.child.returncode}\n{tail(self.output)}{tail(self.log)}")
            return self.up >= count
        wait_until(f"{UP_LINE} number {count}", is_up, seconds, lambda: tail(self.log))

    def heavy_sweep(self, seconds=30):
        """Force one, and wait for its end."""
        before = self.up
        self.child.send_signal(signal.SIGHUP)
        self.wait_up(seconds, before + 1)

    def stop(self, seconds=10):
        if self.child.poll() is None:
            self.child.terminate()
        return self.child.wait(seconds)

    def kill(self):
        self.child.kill()
        self.child.wait()


class Fabric:
    def __init__(self, directory=None, build=None):
        """@directory: for logs; one of its own, gone afterwards, if not given. @build: where make put its products."""
        self.owns_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="simfabric-")
        self.build = os.path.abspath(build) if build else build_directory()
        end_properly_when_told()
        self.folder = Folder()
        self.path = os.path.join(self.folder.path, "fabric")
        self.children = []
        self.opensms = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.take_down()

    def take_down(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        self.folder.remove()
        if self.owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    # The command line.

    @property
    def program(self):
        return os.path.join(self.build, "bin", "simfabric")

    def cli(self, *arguments, seconds=60):
        """What `simfabric ARGUMENTS` prints; Failed if its status is not 0."""
        argv = [self.program, "-f", self.path, *map(str, arguments)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds)
        if done.returncode:
            raise Failed(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *arguments, seconds=60):
        return json.loads(self.cli(*arguments, "--json", seconds=seconds))

    def create(self, net, *options):
        """From a .net file, by its path or by its name in tests/fabrics."""
        self.cli("create", *options, net if os.path.exists(net) else os.path.join(FABRICS, net))

    def create_fat_tree(self, *arguments):
        """With the arguments of tests/fabrics/fat_tree.py. Returns the path of the .net file."""
        net = os.path.join(self.directory, "fat_tree.net")
        with open(net, "w") as out:
            subprocess.run([os.path.join(FABRICS, "fat_tree.py"), *arguments], stdout=out, check=True)
        self.create(net)
        return net

    # Programs on a node or in a VM.

    def place(self, node=None, vm=None):
        return [self.program, "-f", self.path, "run", *(["--node", node] if node else ["--vm", vm] if vm else []), "--"]

    def run(self, *argv, node=None, vm=None, seconds=30, env=None, check=True):
        """Run to the end; a CompletedProcess. Failed if its status is not 0, unless @check is False."""
        try:
            done = subprocess.run([*self.place(node, vm), *map(str, argv)], capture_output=True, text=True,
                                  timeout=seconds, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as error:
            raise Late(f"{' '.join(map(str, argv))}: no end after {seconds} s\n{error.stdout}{error.stderr}") from None
        if check and done.returncode:
            raise Failed(f"{' '.join(map(str, argv))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, *argv, node=None, vm=None, env=None, output=None):
        """Start it and go on; a Popen, killed at the end. Output goes to the file @output, or nowhere."""
        with open(output or os.devnull, "ab") as out:
            child = subprocess.Popen([*self.place(node, vm), *map(str, argv)], stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=out, env={**os.environ, **(env or {})})
        self.children.append(child)
        return child

    # OpenSM. The short forms mean the one that was started last.

    def opensm_start(self, node="sm", conf=None, env=None):
        """@conf: rows of opensm.conf."""
        self.opensms.append(Opensm(self, node, conf or {}, env or {}))
        return self.opensms[-1]

    def opensm_wait_up(self, seconds, count=1):
        self.opensms[-1].wait_up(seconds, count)

    def opensm_heavy_sweep(self, seconds=30):
        self.opensms[-1].heavy_sweep(seconds)

    def opensm_stop(self, seconds=10):
        return self.opensms[-1].stop(seconds)

    def logs(self):
        return [path for opensm in self.opensms for path in (opensm.output, opensm.log)]

    # What the fabric holds and has counted.

    def counters(self):
        """{"total": {attribute: {"get", "set", "changed", "other", "dropped"}}, "nodes": {name: ...}, "gmps": [...],
        "packets": {kind: {"seen", "lost"}}}, these while data faults are set."""
        return self.json("counters")

    def counters_reset(self):
        self.cli("counters", "--reset")

    def gmps_delivered(self, kind):
        """@kind: as gmp_kinds.c has it."""
        return sum(row["delivered"] for row in self.counters()["gmps"] if row["kind"] == kind)

    def sets(self, attribute, key="set"):
        """How many Sets of @attribute all nodes have seen; @key "changed": those that changed a byte."""
        return self.counters()["total"].get(attribute, {}).get(key, 0)

    def lft_sets(self):
        """{"physical": N, "vswitch": N}"""
        sets = {"physical": 0, "vswitch": 0}
        for node in self.counters()["nodes"].values():
            if node["kind"] != "ca":
                kind = "vswitch" if node["kind"] == "vswitch" else "physical"
                sets[kind] += node.get("LinearForwardingTable", {}).get("set", 0)
        return sets

    def dump(self, what):
        """what: lft, lft-hex, mft, ports, pkeys, places"""
        return self.json("dump", what)

    def lft_dump(self):
        """{switch: [port of LID 0, of LID 1, ...]}"""
        return self.dump("lft")

    def lft_bytes(self):
        """The same in a byte for each LID, of fabrics with millions of entries."""
        return {name: bytes.fromhex(entries) for name, entries in self.dump("lft-hex").items()}

    def check(self):
        """{"delivered", "lost", "ports_without_lid", "first_lost"} over all pairs of CA LIDs; never fails."""
        argv = [self.program, "-f", self.path, "check", "--json"]
        return json.loads(subprocess.run(argv, capture_output=True, text=True, timeout=300).stdout)

    def slots(self):
        return self.json("slots")

    # VMs and faults.

    def attach(self, vm, slot):
        self.cli("attach", vm, slot)

    def detach(self, vm, timeout_ms=5000, surprise=False):
        """False: asked for, and still held after the time."""
        kind = ["--surprise"] if surprise else ["--timeout-ms", str(timeout_ms)]
        argv = [self.program, "-f", self.path, "detach", vm, *kind]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60 + timeout_ms / 1000)
        if done.returncode and "still holds" not in done.stderr:
            raise Failed(f"{' '.join(argv)}: {done.stderr}")
        return not done.returncode

    def link(self, node, port, state):
        """state: up or down"""
        self.cli("link", node, port, state)

    def limit(self, hypervisor, max_qp):
        """How many QPs its VFs say they have; None: what the device has."""
        self.cli("limit", hypervisor, f"max_qp={max_qp or 'none'}")

    def data_faults(self, faults):
        """Settings of data_faults.h, such as {"drop.ack": 0.01}, and these names for the most used: ack_lost and
        stop_mid_message (probabilities), receive_completion_late_us. Replaces what was set before; {} sets none."""
        names = {"ack_lost": "drop.ack={}", "stop_mid_message": "cut={}:1", "receive_completion_late_us": "hold=1:{}"}
        self.cli("data-fault", "none", *(names.get(key, key + "={}").format(value) for key, value in faults.items()))


@contextlib.contextmanager
def demo_fabric():
    """The demo fabric, brought up by a subnet manager."""
    with Fabric() as fabric:
        fabric.create("demo.net")
        fabric.opensm_start("sm")
        fabric.opensm_wait_up(UP_S)
        yield fabric
