# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A fat-tree of the vSwitch paper under OpenSM with libosmtether.so; what OpenSM's own recomputation of it costs, and what a
move does."""
import datetime
import re

from simfabric.plugin_lab import PluginLab

ENGINE = "ftree"
SM_NODE = "h1"
UP_S = 600
LEASE_MS = 10000
LOG_STAMP = r"^(\w+ +\d+ \d\d:\d\d:\d\d) (\d{6}) \[\w+\] 0x\w+ -> do_sweep:\s*\n\s*\*+\n\**"
BEGINS, ENDS = " LID ASSIGNMENT COMPLETE - STARTING SWITCH TABLE CONFIG ", " SWITCHES CONFIGURED FOR UNICAST "


class Unexpected(Exception):
    """The fabric has not counted what its tables say."""


def stamp_ms(log, title):
    """When OpenSM's state manager has said @title."""
    at = re.search(LOG_STAMP + re.escape(title), log, re.MULTILINE)
    moment = datetime.datetime.strptime(f"2000 {at.group(1)}", "%Y %b %d %H:%M:%S")
    return moment.timestamp() * 1000 + int(at.group(2)) / 1000


def recomputation_ms(log):
    """From the last LID that is assigned to the last LFT Set that is acknowledged."""
    return stamp_ms(log, ENDS) - stamp_ms(log, BEGINS)


class TreeLab(PluginLab):
    """A fat-tree under OpenSM, whose state manager says in its log what it is about. @vfs: None for plain CAs.
    @smp_us: how long each SMP is on its way. @settings: rows for opensm.conf."""

    def __init__(self, size, vfs=None, partitions=None, smp_us=0, **settings):
        net = [size] if vfs is None else [size, "--vf", str(vfs)]
        model = "plain-ca" if vfs is None else "vswitch"
        super().__init__({"routing_engine": ENGINE, "transaction_timeout": 1000, **settings}, partitions, net, SM_NODE, f"endpoints={model}")
        self.smp_us = smp_us

    def conf(self):
        rows = super().conf()
        modules = self.path("modules.conf")
        with open(modules, "w") as out:
            out.write("osm_state_mgr.c=0x07\n")
        return {**rows, "per_module_logging_file": modules}

    def make_fabric(self):
        self.net_file = self.fabric.create_fat_tree(*self.net)
        if self.smp_us:
            self.fabric.cli("fault", "delay", "--us", self.smp_us)

    def start_opensm(self):
        self.fabric.opensm_start(self.node, self.conf(), self.environment())
        self.fabric.opensm_wait_up(UP_S)

    def recompute(self):
        """OpenSM starts anew, so that it computes and sends everything: (LFT Sets by kind of switch, ms). A sweep that is
        asked for compares with what it has sent before, and sends nothing."""
        self.opensm().stop(UP_S)
        self.fabric.counters_reset()
        self.start_opensm()
        return self.fabric.lft_sets(), recomputation_ms(self.opensm().log_text())

    def movable(self):
        """The rows of `simfabric dump places` that may move."""
        names = {row["slot"] for row in self.fabric.slots()}
        return [row for row in self.fabric.dump("places") if (row["node"] in names if names else row["node"] != SM_NODE)]

    def plan_move(self, source, destination, **more):
        """Between two rows of movable()."""
        place = self.ask("locate", port_guid=destination["port_guid"])
        return self.ask("plan", vm_port_guid=source["port_guid"], to_switch_guid=place["switch_guid"],
                        to_switch_port=place["switch_port"], **more)

    def apply_counted(self, plan, source, destination):
        """(what apply answered, simfabric's counters of what it took)."""
        sm, migration = self.leased(LEASE_MS)
        with sm:
            self.exchange_guids(source["node"], destination["node"])
            self.fabric.counters_reset()
            applied = sm.ask("apply", hash=plan["hash"], migration=migration)
            return applied, self.fabric.counters()

    def lids_in_use(self):
        return len({row["lid"] for row in self.fabric.dump("ports") if row["lid"]})
