# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A tree of real daemons: tether-smd, an agent between, two servers, an agent in a VM. The test plays processes."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

from agent_harness import AGENT, BUILD, PATIENCE_S, VERSION, WRAP, Folder, Links
from lab.deadline import wait_until

TETHER, SMD = (os.path.join(BUILD, "bin", name) for name in ("tether", "tether-smd"))
DRIVER = """#!/bin/sh
[ "$1" = inventory ] && cat "$(dirname "$0")/$TETHER_HOST.json"
exit 0
"""
COMMON = {"log_level": "debug", "heartbeat_ms": 1000, "reconnect_link_ms": 5, "report_ms": 60000}
DAEMONS = {
    "smd": {"listen": "unix:smd.sock", "api": "api.sock", "journal": "journal", "fabric": "none"},
    "rack1": {"role": "relay", "name": "rack1", "root": "unix:smd.sock", "listen": "unix:rack1.sock", "state_dir": "rack1",
              "metrics": "unix:rack1.metrics"},
    "hyp1": {"role": "host", "name": "hyp1", "root": "unix:rack1.sock", "driver": "exec:driver", "state_dir": "hyp1",
             "socket_dir": "hyp1", "guest_channel": "unix"},
    "hyp2": {"role": "host", "name": "hyp2", "root": "unix:smd.sock", "driver": "exec:driver", "state_dir": "hyp2",
             "socket_dir": "hyp2"},
    "vm1": {"role": "guest", "root": "unix:hyp1/vm1.guest", "listen": "unix:vm1.sock"},
}
VMS = {"hyp1": ("vm1", "vm2"), "hyp2": ()}
SLOTS = 3


def inventory(number, vms):
    """Of the hypervisor of this number: a VF for each VM, the others empty."""
    slots = [{"name": f"vf{n}", "node_guid": hex(number << 16 | 0x1000 | n), "port_guid": hex(number << 16 | 0x2000 | n),
              "switch_guid": hex(number << 16 | 0x3000), "switch_port": 2 + n, "attributes": {"max_qp": 100, "max_mtu": 5}}
             for n in range(SLOTS)]
    for slot, vm in zip(slots, vms):
        slot["vm"] = vm
    return {"vms": [{"name": vm, "slot": slot["name"]} for slot, vm in zip(slots, vms)], "slots": slots}


class Tree(Folder):
    """@common: settings of all, beside or instead of COMMON."""

    def __init__(self, **common):
        self.common = {**COMMON, **common}

    def __enter__(self):
        self.dir, self.running, self.links = tempfile.mkdtemp(prefix="tether-agents."), {}, []
        self.write("driver", DRIVER)
        os.chmod(self.path("driver"), 0o755)
        for number, (host, vms) in enumerate(VMS.items(), 1):
            self.write(f"{host}.json", json.dumps(inventory(number, vms)))
        for name, settings in DAEMONS.items():
            if "state_dir" in settings:
                os.mkdir(self.path(settings["state_dir"]))
            self.configure(name)
        for name in DAEMONS:
            self.start(name)
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            for name in self.running:
                print("".join(f"# {name}: {line}\n" for line in self.read(f"{name}.log").splitlines()[-20:]), end="")
        for links in self.links:
            links.end()
        status = {name: self.stop(name) for name in reversed(list(self.running))}
        shutil.rmtree(self.dir)
        assert kind or not any(status.values()), f"exit statuses: {status}"

    def configure(self, name, **more):
        self.write_conf(f"{name}.conf", {**self.common, **DAEMONS[name], "log": f"{name}.log", **more})

    def configure_again(self, name, **more):
        self.configure(name, **more)
        self.running[name].send_signal(signal.SIGHUP)

    def start(self, name):
        self.running[name] = subprocess.Popen(WRAP + [SMD if name == "smd" else AGENT, "--config", self.path(f"{name}.conf")])

    def stop(self, name):
        if self.running[name].poll() is None:
            # In this order: a SIGCONT at its end undoes the stop in which a sanitizer looks for leaks, and waits for it for good.
            self.running[name].send_signal(signal.SIGCONT)
            self.running[name].terminate()
        return self.running[name].wait(PATIENCE_S)

    def process(self, socket, name):
        """A process that was let in."""
        wait_until(f"{socket} stands", lambda: os.path.exists(self.path(socket)), PATIENCE_S)
        links = Links("connect", self.path(socket))
        self.links.append(links)
        links.opened()
        links.send({"hello": {"version": VERSION, "role": "ROLE_SHIM", "name": name, "pid": 10, "program": "ib_write_bw"}})
        assert links.frame("hello_answer")["outcome"] == "OUTCOME_DONE"
        return links

    def ask(self, *options):
        said = subprocess.run([TETHER, "--api", self.path("api.sock"), "agents", *options], capture_output=True, text=True,
                              timeout=PATIENCE_S)
        return said.stdout if said.returncode == 0 else ""

    def rows(self):
        """{agent: (role, VMs, processes, "ms", "away" or "silent")}"""
        return {row[0]: (row[1], int(row[4]), int(row[5]), row[-1])
                for row in (line.split() for line in self.ask().splitlines()[1:])}

    def wait_rows(self, what, wanted):
        wait_until(what, lambda: self.rows() == wanted, PATIENCE_S)
