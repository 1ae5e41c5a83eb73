# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A fabric with OpenSM and libosmtether.so and nothing else: the test plays the host agents and tether-smd."""
import os
import signal

from faults.plugin_client import PluginClient
from faults.sa_truth import sa_of, truth_of, written_by
from lab.build import Build
from lab.deadline import wait_until
from simfabric.lab import Fabric

UP_S = 30
LEASE_MS, LONGEST_LEASE_MS = 5000, 10000
UBSAN_SAYS = ": runtime error: "


class PluginLab:
    """@settings: rows for opensm.conf. @partitions: the text of partitions.conf, made from the fabric's truth. @node:
    where OpenSM runs. @options: the plugin's, besides its socket."""

    def __init__(self, settings=None, partitions=None, net="demo.net", node="sm", options=""):
        self.fabric = Fabric()
        self.settings = {"transaction_timeout": 50, **(settings or {})}
        self.partitions = partitions
        self.net = net
        self.options = options
        self.node = node
        self.migrations = 0

    def __enter__(self):
        try:
            self.make_fabric()
            self.start_opensm()
        except BaseException:
            self.fabric.take_down()
            raise
        return self

    def __exit__(self, kind, error, trace):
        self.fabric.take_down()

    def make_fabric(self):
        """@net: a file, or the arguments of tests/fabrics/fat_tree.py."""
        if isinstance(self.net, str):
            self.fabric.create(self.net)
        else:
            self.fabric.create_fat_tree(*self.net)

    def path(self, *names):
        return os.path.join(self.fabric.directory, *names)

    @property
    def socket(self):
        return self.path("osm.sock")

    # OpenSM.

    def conf(self):
        rows = {"event_plugin_name": "osmtether", "event_plugin_options": f"socket={self.socket} {self.options}", **self.settings}
        if self.partitions:
            rows["partition_config_file"] = self.path("partitions.conf")
            with open(rows["partition_config_file"], "w") as out:
                out.write(self.partitions(self.truth()))
        return rows

    def environment(self):
        """OpenSM finds the plugin, a restarted one what the one before has persisted, and a sanitized plugin its
        runtime, which has nothing to say on OpenSM's own leaks."""
        env = {"LD_LIBRARY_PATH": os.path.join(self.fabric.build, "lib"), "OSM_CACHE_DIR": self.fabric.directory}
        runtime = Build(self.fabric.build).sanitizer()
        if runtime:
            report = f"log_path={self.path('sanitizer')}"
            env.update(LD_PRELOAD=" ".join(runtime), ASAN_OPTIONS=f"detect_leaks=0:{report}",
                       UBSAN_OPTIONS="print_stacktrace=1", TSAN_OPTIONS=report)
        return env

    def sanitizer_reports(self):
        """UBSan's are in OpenSM's output: beside ASan's runtime its own does not get to know another place."""
        reports = [name for name in os.listdir(self.fabric.directory) if name.startswith("sanitizer")]
        text = "".join(open(self.path(name)).read() for name in sorted(reports))
        for opensm in self.fabric.opensms:
            output = open(opensm.output, errors="replace").read()
            if UBSAN_SAYS in output:
                text += output[output.rindex("\n", 0, output.index(UBSAN_SAYS)):]
        return text

    def start_opensm(self):
        self.fabric.opensm_start(self.node, self.conf(), self.environment())
        self.fabric.opensm_wait_up(UP_S)

    def opensm(self):
        return self.fabric.opensms[-1]

    def ask_for_sweep(self):
        self.opensm().child.send_signal(signal.SIGHUP)

    def heavy_sweep(self):
        """What it wrote."""
        return written_by(self.fabric, self.fabric.opensm_heavy_sweep)

    def sa(self):
        return sa_of(self.fabric)

    def truth(self):
        return truth_of(self.fabric)

    def connect(self):
        return PluginClient(self.socket)

    def ask(self, op, **members):
        with self.connect() as sm:
            return sm.ask(op, **members)

    def wait_quiet(self):
        """Until OpenSM has done what it was at. It answers who joins a group before it makes the group's tree."""
        wait_until("OpenSM is at rest", lambda: self.ask("status")["quiet"], UP_S)

    # The host agents' part.

    def slots(self):
        """Names of the VFs' slots."""
        return sorted(row["slot"] for row in self.fabric.slots())

    def exchange_guids(self, a, b):
        self.exchange_guids_of((a, b))

    def exchange_guids_of(self, *pairs):
        """Both slots of a pair show the one's GUIDs for a moment, never a placeholder. No slot is in two pairs."""
        rows = {row["node"]: row for row in self.fabric.dump("places")}
        for a, b in pairs:
            for slot, row in ((b, rows[a]), (a, rows[b])):
                self.fabric.cli("guids", slot, row["node_guid"], row["port_guid"])

    # tether-smd's part.

    def slot_row(self, slot):
        return next(row for row in self.fabric.slots() if row["slot"] == slot)

    def guid_at(self, slot):
        return self.slot_row(slot)["port_guid"]

    def place_of(self, slot):
        """As a request names it."""
        row = self.slot_row(slot)
        return {"to_switch_guid": row["vswitch_guid"], "to_switch_port": row["vswitch_port"]}

    def plan(self, source, destination):
        """Who sits in @source moves to @destination."""
        return self.ask("plan", vm_port_guid=self.guid_at(source), **self.place_of(destination))

    def plan_moves(self, pairs, **how):
        """Who sits in each pair's first slot moves to the second one, all in one plan."""
        rows = {row["slot"]: row for row in self.fabric.slots()}
        moves = [{"vm_port_guid": rows[source]["port_guid"], "to_switch_guid": rows[destination]["vswitch_guid"],
                  "to_switch_port": rows[destination]["vswitch_port"]} for source, destination in pairs]
        return self.ask("plan", moves=moves, **how)

    def leased(self, ms=LEASE_MS):
        """A connection that holds a lease, and the migration for which it does."""
        self.migrations += 1
        sm = self.connect()
        sm.ask("lease", migration=self.migrations, ms=ms)
        return sm, self.migrations

    def apply(self, plan, *pairs):
        """GUIDs and plan, under a lease: its time begins anew when the GUIDs are there."""
        sm, migration = self.leased(LONGEST_LEASE_MS)
        with sm:
            self.exchange_guids_of(*pairs)
            sm.ask("lease", migration=migration, ms=LEASE_MS)
            return sm.ask("apply", hash=plan["hash"], migration=migration)

    def move(self, source, destination):
        """The whole of it: (plan, what apply answered)."""
        plan = self.plan(source, destination)
        return plan, self.apply(plan, (source, destination))

    def move_together(self, pairs, **how):
        """Several moves, each from and to slots of its own."""
        plan = self.plan_moves(pairs, **how)
        return plan, self.apply(plan, *pairs)

    def undo_together(self, plan, pairs):
        """The plan of these moves taken back, GUIDs and all."""
        moves = [{"vm_port_guid": move["vm"]["port_guid"], "to_switch_guid": move["from"]["switch_guid"],
                  "to_switch_port": move["from"]["switch_port"]} for move in plan["moves"]]
        sm, migration = self.leased(LONGEST_LEASE_MS)
        with sm:
            self.exchange_guids_of(*pairs)
            sm.ask("lease", migration=migration, ms=LEASE_MS)
            assert sm.ask("undo", moves=moves, hash=plan["hash"], migration=migration)["verified"]
