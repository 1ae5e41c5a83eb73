# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A fabric with OpenSM, tether-smd, an agent on every hypervisor, and VMs.

    with System() as lab:
        lab.start()
        lab.migrate("vm1", "hyp2")

Everything lives in one temporary directory; it is kept when TETHER_KEEP is set. start() returns when tether-smd says
that every host and the SM are connected. Use it from the main thread only: children die with the thread that started
them."""
import os
import re
import shutil
import subprocess
import tempfile

from lab import api
from lab.authority import Authority
from lab.build import TOP, Build
from lab.checker import Checker
from lab.deadline import Late, tails, wait_until
from lab.ports import free_port
from lab.port import Port
from lab.process import Children
from lab.workload import last_json
from simfabric.lab import Fabric

START_S = 30
MIGRATE_S = 60
# Many programs that poll share few processors here, and a driver is a process to be started: what bounds an orderly
# step is made longer, so that a test fails for what it tests. Kill tests set their own.
PATIENT = {"stop_ms": 15000, "settle_ms": 8000, "lease_ms": 25000, "release_ms": 8000, "detach_ms": 15000, "guids_ms": 9000,
           "plan_ms": 8000, "sm_lease_ms": 9000, "apply_ms": 9000, "wake_ms": 20000,
           "attach_ms": 10000, "reconnect_ms": 8000, "resume_ms": 8000, "prepare_ms": 8000, "overall_ms": 45000}
DEMO_NET = os.path.join(TOP, "tests", "fabrics", "demo.net")
SHARED_PORT_NET = os.path.join(TOP, "tests", "fabrics", "shared_port.net")
DRIVER = os.path.join(TOP, "tests", "simfabric", "driver")


class CommandFailed(Exception):
    """A tether command that ended with another status than 0: `status` and `answer` (its JSON) say which and why."""

    def __init__(self, argv, status, stdout, stderr):
        super().__init__(f"{' '.join(argv)}: exit status {status}\n{stdout}{stderr}")
        self.status = status
        self.stderr = stderr
        self.answer = last_json(stdout)


def write(path, rows):
    with open(path, "w") as out:
        out.writelines(f"{key} = {value}\n" for key, value in rows.items())


class Tls:
    """A CA, certificates for all, and where tether-smd and agents between listen."""

    def __init__(self, lab):
        self.lab, self.places, self.authority = lab, {}, None

    def settings(self, who):
        if not self.authority:
            issued = ["sm/smd", *(f"host/{host}" for host in self.lab.hosts), *(f"relay/{name}" for name in self.lab.between)]
            self.authority = Authority(self.lab.build.program("tether"), self.lab.path("ca"), *issued)
        return self.authority.settings(who)

    def place(self, listener):
        return self.places.setdefault(listener, f"tls:127.0.0.1:{free_port()}")


class System:
    """@vms: which VM sits in which slot at the start; "vm1+2" is the second VF of vm1: programs in it see that one, in "vm1 vm1+2"
    both. @settings: rows for smd.conf and every agent.conf, so also deadlines; PATIENT ones if not given. @copy_ms: how long the simulated copy of a VM's memory takes. @partitions: the
    text of OpenSM's partitions.conf, made from {VM: its port GUID}. @dynamic: all hypervisors have dynamic LIDs. @guests: an
    agent in each VM, behind which its processes are; "virtio": reached over virtio-serial ports. @tree: {agent: the agent between that is its parent}, both hypervisors
    and agents between; whoever is not in it has tether-smd. @tls: tether-smd and all these agents meet over it. @smd_settings: more rows for smd.conf. @devices: VMs have device nodes, by which an
    agent sees who holds a device. @signal: "mad", agents are on their
    hypervisors and hear notices."""

    def __init__(self, net=DEMO_NET, hosts=("hyp1", "hyp2", "hyp3", "hyp4"), vms=None, copy_ms=100, settings=None,
                 build=None, with_plugin=True, partitions=None, dynamic=False, guests=False, tree=None,
                 tls=False, signal="stream", smd_settings=None, devices=False):
        self.devices = devices
        self.smd_settings = smd_settings or {}
        self.signal = signal
        self.build = build or Build()
        self.net = net
        self.hosts = list(hosts)
        self.vms = vms or {"vm1": "hyp1_vf1", "vm2": "hyp2_vf1"}
        self.copy_ms = copy_ms
        self.settings = {"log_level": "debug", **(PATIENT if settings is None else settings)}
        self.with_plugin = with_plugin
        self.partitions = partitions
        self.dynamic = dynamic
        self.has_guests = guests
        self.vm_ports = []
        self.tree = tree or {}
        self.tls = Tls(self) if tls else None
        self.vm_guids = {}
        self.directory = tempfile.mkdtemp(prefix="tether-lab-")
        self.children = Children(self.directory)
        self.checker = Checker(self.directory, self.build)
        self.fabric = Fabric(self.directory, self.build.directory)
        self.smd = None
        self.agents = {}
        self.guests = {}
        self.driver = DRIVER

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.take_down()

    def path(self, *names):
        return os.path.join(self.directory, *names)

    @property
    def whole_vms(self):
        """Without those that stand for a VF of one."""
        return [vm for vm in self.vms if "+" not in vm]

    @property
    def api_socket(self):
        return self.path("api.sock")

    def logs(self):
        return self.children.logs() + self.fabric.logs()

    # Bringing up, part by part; kill tests start single parts again.

    def start(self, report=lambda what: None):
        self.start_fabric()
        report("fabric")
        self.start_services(report)

    def start_services(self, report=lambda what: None):
        self.start_smd()
        self.start_opensm()
        report("OpenSM with libosmtether.so, LFTs written")
        for name in self.between:
            self.start_between(name)
        if self.has_guests == "virtio":
            self.vm_ports = [Port(self.path("ports", vm), [self.path("ports", f"{host}.{vm}") for host in self.hosts])
                             for vm in self.whole_vms]
        for host in self.hosts:
            self.start_agent(host)
        self.wait_connected(self.hosts)
        report("tether-smd and an agent on each hypervisor, all connected")
        for vm in self.whole_vms if self.has_guests else ():
            self.start_guest(vm)
        for vm in self.guests:
            wait_until(f"{vm}'s agent listens", lambda: os.path.exists(self.guest_socket(vm)), START_S, self.logs(),
                       [self.guests[vm]])

    def start_fabric(self):
        for name in ("vms", "hosts", "ports", "devices", *(os.path.join("devices", vm) for vm in self.vms)):
            os.mkdir(self.path(name))
        self.fabric.create(self.net_file())
        for vm, slot in self.vms.items():
            self.fabric.cli("vm", "add", vm, slot)
            if "+" in vm:
                continue
            host = slot.rsplit("_", 1)[0]
            os.symlink(self.agent_vm_socket(host, vm), self.path("vms", f"{vm}.sock"))
            os.symlink(os.path.join(self.home_of_sockets(host), f"{vm}.guest"), self.path("vms", f"{vm}.guest"))
        guids = {row["slot"]: int(row["port_guid"], 16) for row in self.fabric.slots()}
        self.vm_guids = {vm: guids[slot] for vm, slot in self.vms.items()}
        if self.partitions:
            with open(self.path("partitions.conf"), "w") as out:
                out.write(self.partitions(self.vm_guids))

    def net_file(self):
        if not self.dynamic:
            return self.net
        with open(self.net) as static, open(self.path("dynamic.net"), "w") as out:
            out.writelines(line.replace("\n", " dynamic\n") if line.startswith("#hypervisor") else line for line in static)
        return self.path("dynamic.net")

    def opensm_conf(self):
        conf = {}
        if self.with_plugin:
            conf = {"event_plugin_name": "osmtether", "event_plugin_options": f"socket={self.path('osm.sock')}"}
        if self.partitions:
            conf["partition_config_file"] = self.path("partitions.conf")
        return conf

    def start_opensm(self):
        self.fabric.opensm_start("sm", self.opensm_conf(), {"LD_LIBRARY_PATH": os.path.join(self.build.directory, "lib"),
                                                            **self.checker.environment_of_stock_program()})
        self.fabric.opensm_wait_up(START_S)

    def start_smd(self):
        conf = self.path("smd.conf")
        write(conf, {
            "listen": self.listens_at("root"),
            **self.certificates("sm/smd"),
            "api": self.api_socket,
            "journal": self.path("journal"),
            "fabric": "opensm" if self.with_plugin else "none",
            "sm_socket": self.path("osm.sock"),
            "signal": self.signal,
            "log": self.path("smd.log"),
            **self.settings,
            **self.smd_settings})
        self.smd = self.children.start(
            "smd", [*self.checker.daemon(self.build.program("tether-smd")), "--config", conf], self.environment())

    def home_of_sockets(self, host):
        """Where the VMs there find its agent."""
        return self.path("hosts", host)

    def agent_vm_socket(self, host, vm):
        return os.path.join(self.home_of_sockets(host), f"{vm}.sock")

    @property
    def between(self):
        return sorted(set(self.tree.values()))

    def listens_at(self, name):
        return self.tls.place(name) if self.tls else f"unix:{self.path(name + '.sock')}"

    def parent_of(self, name):
        return self.listens_at(self.tree.get(name, "root"))

    def certificates(self, who):
        return self.tls.settings(who) if self.tls else {}

    def start_between(self, name):
        home = self.path("hosts", name)
        os.makedirs(home, exist_ok=True)
        conf = os.path.join(home, "agent.conf")
        write(conf, {
            "role": "relay",
            "name": name,
            "root": self.parent_of(name),
            "listen": self.listens_at(name),
            **self.certificates(f"relay/{name}"),
            "state_dir": home,
            "log": self.path(f"agent-{name}.log"),
            **self.settings})
        self.agents[name] = self.children.start(
            f"agent-{name}", [*self.checker.daemon(self.build.program("tether-agent")), "--config", conf],
            self.environment())

    def driver_of_agents(self):
        """The agent may be on the fabric; its driver is not, and has nothing preloaded. Written once: what an agent is about to
        run cannot be opened for writing."""
        if self.signal != "mad":
            return self.driver
        outside = self.path("driver-outside")
        if not os.path.exists(outside):
            with open(outside, "w") as script:
                script.write(f'#!/bin/sh\nexec env -u LD_PRELOAD "{self.driver}" "$@"\n')
            os.chmod(outside, 0o700)
        return outside

    def start_agent(self, host):
        home = self.path("hosts", host)
        os.makedirs(home, exist_ok=True)
        conf = os.path.join(home, "agent.conf")
        write(conf, {
            "role": "host",
            "name": host,
            "root": self.parent_of(host),
            **self.certificates(f"host/{host}"),
            "driver": f"exec:{self.driver_of_agents()}",
            "state_dir": home,
            "socket_dir": home,
            "log": self.path(f"agent-{host}.log"),
            **({"guest_channel": "unix"} if self.has_guests is True else {}),
            **({"mad_port": host} if self.signal == "mad" else {}),
            **({"devices": self.path("devices")} if self.devices and not self.has_guests else {}),
            **self.settings})
        self.agents[host] = self.children.start(
            f"agent-{host}", [*self.checker.daemon(self.build.program("tether-agent")), "--config", conf],
            self.environment(node=host if self.signal == "mad" else None))

    def guest_socket(self, vm):
        """Its name says nothing of the VM, as it is in one."""
        return self.path("guests", vm, "agent.sock")

    def socket_for_programs(self, vm):
        whole = re.split("[ +]", vm)[0]
        return self.guest_socket(whole) if self.has_guests else self.path("vms", whole + ".sock")

    def guest_parent(self, vm):
        """Where the agent in @vm looks for that of its host."""
        return f"virtio:{self.path('ports', vm)}" if self.vm_ports else f"unix:{self.path('vms', vm + '.guest')}"

    def start_guest(self, vm, env=None):
        """The agent in @vm: a process as the VM's others are, which does not know its name."""
        os.makedirs(os.path.dirname(self.guest_socket(vm)), exist_ok=True)
        conf = self.path("guests", vm, "agent.conf")
        write(conf, {
            "role": "guest",
            "root": self.guest_parent(vm),
            "listen": f"unix:{self.guest_socket(vm)}",
            "log": self.path(f"guest-{vm}.log"),
            "devices": self.path("devices", vm) if self.devices else "none",
            **self.settings})
        self.guests[vm] = self.children.start(
            f"guest-{vm}", [*self.checker.daemon(self.build.program("tether-agent")), "--config", conf],
            {**self.environment(), **(env or {})})

    def wait_connected(self, hosts, seconds=START_S):
        wait_until(f"tether-smd has {', '.join(hosts)} and the SM", lambda: self.is_connected(hosts), seconds,
                   self.logs(), [self.smd])

    def has_hosts(self, hosts):
        try:
            said = self.ask("/v1/hypervisors")["hypervisors"]
        except OSError:
            return False
        return {row["name"] for row in said if row["connected"]}.issuperset(hosts)

    def is_connected(self, hosts):
        try:
            return (not self.with_plugin or self.ask("/v1/health")["sm_connected"]) and self.has_hosts(hosts)
        except OSError:
            return False

    def ask(self, path):
        """GET @path of tether-smd's API, decoded. OSError when there is no good answer."""
        status, body = api.request(self.api_socket, "GET", path)
        if status != 200:
            raise OSError(f"{path}: status {status}: {body}")
        return body

    def lid_of(self, vm):
        """By the fabric. It stays when the VM moves, but under Shared Port."""
        return next(row["lid"] for row in self.fabric.slots() if row["vm"] == vm)

    def words_of(self, vm):
        """Of four bytes, sent by its port since the fabric was made; each question costs a hundred or so."""
        text = self.fabric.run("perfquery", "-x", self.lid_of(vm), 1, node="sm").stdout
        return int(re.search(r"PortXmitData:\.*(\d+)", text).group(1))

    def is_migrating(self, vm):
        return any(row["vm"] == vm and not row["ended"] for row in self.ask("/v1/migrations")["migrations"])

    def take_down(self):
        self.children.take_down()
        for port in self.vm_ports:
            port.close()
        self.fabric.take_down()
        if os.environ.get("TETHER_KEEP"):
            print(f"# kept: {self.directory}", flush=True)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    # Programs.

    def environment(self, vm=None, node=None, tether=False):
        """For daemons (no VM, no node: they see no fabric), programs in a VM and programs on a node."""
        env = dict(os.environ, SIMFABRIC=self.fabric.path, SIMFABRIC_CLI=self.build.program("simfabric"),
                   TETHER_VM_SOCKETS=self.path("vms"), SIMFABRIC_COPY_MS=str(self.copy_ms),
                   **self.checker.environment())
        if self.vm_ports:
            env["TETHER_VM_PORTS"] = self.path("ports")
        if vm:
            env["SIMFABRIC_VM"] = vm
            if self.devices:
                env["SIMFABRIC_DEVICES"] = self.path("devices", vm)
            env["TETHER_AGENT"] = f"unix:{self.socket_for_programs(vm)}"
        if node:
            env["SIMFABRIC_NODE"] = node
        if vm or node:
            env["LD_PRELOAD"] = self.build.preload(tether)
        return env

    def run_in_vm(self, vm, name, argv, tether=True, env=None):
        """@argv in @vm, with the shim or without. Output goes to a file of its own beside the log."""
        return self.children.start(name, argv, {**self.environment(vm=vm, tether=tether), **(env or {})},
                                   separate_output=True)

    def obituary(self):
        """Which daemons have ended, with their last words; "" if none."""
        dead = [daemon for daemon in [self.smd, *self.agents.values(), *self.guests.values()] if daemon and daemon.poll() is not None]
        return "".join(f"\n{daemon.name} has ended with {daemon.poll()}{tails([daemon.log])}" for daemon in dead)

    # The command line.

    def tether(self, *arguments, seconds=MIGRATE_S):
        """What `tether ... --json` prints at its end, decoded; CommandFailed when its status is not 0."""
        argv = [self.build.program("tether"), "--api", self.api_socket, *arguments, "--json"]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, env=self.environment())
        except subprocess.TimeoutExpired:
            raise Late(f"{' '.join(argv)}: no end after {seconds} s") from None
        if done.returncode:
            raise CommandFailed(argv, done.returncode, done.stdout, done.stderr + self.obituary())
        return last_json(done.stdout)

    def migrate(self, vm, host, *arguments, **patience):
        return self.tether("migrate", vm, host, *arguments, **patience)
