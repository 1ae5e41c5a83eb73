# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A fabric that an OpenSM has brought up and left, and tether-fabric on it."""
import itertools
import json
import os

from lab.build import Build
from simfabric.lab import Failed, Fabric

UP_S = 120
DONE, FAILED, USAGE, HALFWAY = range(4)


class Tool:
    """tether-fabric through run(argv, seconds) -> CompletedProcess. Undo files are in @directory."""

    def __init__(self, run, program, directory):
        self.run = run
        self.program = program
        self.directory = directory
        self.numbers = itertools.count()

    def ask(self, command, *arguments, status=DONE, seconds=120):
        """What it says as JSON, and its exit "status"; Failed at another one than @status, unless that is None."""
        done = self.run([self.program, command, "--json", *map(str, arguments)], seconds)
        if status is not None and done.returncode != status:
            raise Failed(f"{command} {arguments}: exit status {done.returncode}, not {status}\n{done.stdout[:2000]}{done.stderr}")
        return {**json.loads(done.stdout), "status": done.returncode}

    def new_file(self):
        return os.path.join(self.directory, f"undo-{next(self.numbers)}")

    def apply(self, moves, *options, status=DONE, seconds=120):
        """(the undo file, what it says)"""
        path = self.new_file()
        return path, self.ask("apply", "--undo", path, *options, *moves, status=status, seconds=seconds)


class RawLab:
    """@net: a file, or the arguments of tests/fabrics/fat_tree.py. @node: where OpenSM ran. @conf: rows of opensm.conf."""

    def __init__(self, net="demo.net", node="sm", from_node="hyp1", conf=None):
        self.fabric = Fabric()
        self.node, self.from_node = node, from_node
        self.tool = Tool(self.run, os.path.join(self.fabric.build, "bin", "tether-fabric"), self.fabric.directory)
        try:
            if isinstance(net, str):
                self.fabric.create(net)
            else:
                self.net = self.fabric.create_fat_tree(*net)
            self.opensm_up(conf)
        except BaseException:
            self.fabric.take_down()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.fabric.take_down()

    def environment(self):
        """Of what runs on the fabric."""
        return Build(self.fabric.build).strangers()

    def opensm_up(self, conf=None, **env):
        self.fabric.opensm_start(self.node, conf or {}, {**self.environment(), **env})
        self.fabric.opensm_wait_up(UP_S)

    def run(self, argv, seconds):
        return self.fabric.run(*argv, node=self.from_node, seconds=seconds, check=False, env=self.environment())

    def places(self):
        """{CA's name: its row}, of those with one port."""
        return {row["node"]: row for row in self.fabric.dump("places")}

    def movable(self):
        """Names of CAs in their order, without those from which SMPs are sent."""
        return [name for name in self.places() if name not in (self.node, self.from_node)]

    def move(self, source, destination):
        rows = self.places()
        return f"{rows[source]['port_guid']}:{rows[destination]['port_guid']}"

    def switches(self):
        """{GUID: name}"""
        return {node["guid"]: node["description"] for node in self.tool.ask("dump")["nodes"] if "lft" in node}

    def tables(self):
        return self.fabric.lft_dump(), self.fabric.dump("places"), self.fabric.dump("ports")

    def lids(self):
        return {name: row["lid"] for name, row in self.places().items()}

    def sets(self):
        total = self.fabric.counters()["total"]
        return {name: total.get(name, {}).get("set", 0) for name in ("LinearForwardingTable", "PortInfo")}

    def all_delivered(self):
        check = self.fabric.check()
        assert check["lost"] == 0 and check["delivered"], check
