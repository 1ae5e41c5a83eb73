# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Physical servers with agents, tether-smd, and guests that move between them: as in lab/system.py, but the VMs are QEMU's, their VFs
NICs with an rxe device, and their memory really moves. There is no subnet manager.

    with VmSystem() as lab:
        vm, peer = lab.start(("vm1", "h1"), ("vm2", "h3"))
        ...
        lab.migrate("vm1", "h2")

Each server has its VFs ("vf0", "vf1"), each with a MAC of its own: a guest that comes has another device with another name, GUID and
GIDs. Beside its VF a guest has a paravirtual NIC that stays with it, for TCP. In each an agent runs; programs find it with `tether run`."""
import json
import os
import subprocess

from lab import api
from lab.deadline import Late, tails, wait_until
from lab.migration import Migrated
from lab.system import CommandFailed, write
from lab.workload import FINDINGS, last_json
from vm.guest import Guest, GuestFailed
from vm.lab import VmLab, address_that_stays, link_local, mac, mac_that_stays

HOSTS = ("h1", "h2", "h3")
VFS = ("vf0", "vf1")
# A guest under TCG on a busy machine takes its time; none of these is what a test shows.
PATIENT = {"log_level": "debug", "prepare_ms": 10000, "stop_ms": 10000, "settle_ms": 10000, "release_ms": 20000, "detach_ms": 60000,
           "move_ms": 120000, "attach_ms": 60000, "reconnect_ms": 20000, "resume_ms": 20000, "overall_ms": 240000,
           "lease_ms": 60000}
START_S = 30
MIGRATE_S = 300
RC_PORT = 18600
# What rxe of 6.1 does right (README.md, "What rxe gets wrong"), and no retries for want of processors.
RC_ARGUMENTS = ("--rnr", "off", "--ack-timeout", "18")


class VmSystem(VmLab):
    def __init__(self, hosts=HOSTS, vfs=VFS, memory_mib=256, cpus=1, settings=None, qmp_settings=None):
        super().__init__()
        self.hosts, self.vfs = list(hosts), list(vfs)
        self.shape = {"memory_mib": memory_mib, "cpus": cpus}
        self.settings = {**PATIENT, **(settings or {})}
        self.qmp_settings = qmp_settings or {}
        self.vms = {}  # names, in the order of their numbers
        self.guests = {}
        self.places, self.slots = {}, {}
        self.agents = {}
        self.smd = None

    # ---- tether-smd and the servers' agents ----

    @property
    def api_socket(self):
        return self.path("api.sock")

    def start_smd(self):
        write(self.path("smd.conf"), {"listen": f"unix:{self.path('root.sock')}", "api": self.api_socket, "journal": self.path("journal"),
                                      "fabric": "none", "log": self.path("smd.log"), **self._settings_of_smd()})
        self.smd = self.children.start("smd", [self.build.program("tether-smd"), "--config", self.path("smd.conf")])

    def _settings_of_smd(self):
        return self.settings

    def start_agent(self, host, env=None):
        home = self.path(host)
        os.makedirs(home, exist_ok=True)
        self.write_qmp(host)
        write(os.path.join(home, "agent.conf"), {
            "role": "host", "name": host, "root": f"unix:{self.path('root.sock')}", "driver": self.driver_of(host), "state_dir": home,
            "socket_dir": home, "log": self.path(f"agent-{host}.log"), "log_level": "debug"})
        self.agents[host] = self.children.start(
            f"agent-{host}", [self.build.program("tether-agent"), "--config", os.path.join(home, "agent.conf")],
            {**os.environ, **(env or {})})

    def driver_of(self, host):
        return f"qmp:{self.path(host, 'qmp.conf')}"

    def write_qmp(self, host):
        with open(self.path(host, "qmp.conf"), "w") as out:
            rows = {"vms": " ".join(self.vms), "qmp": self.path(f"%v-{host}.driver"), "guest": f"virtio:{self.path(f'%v-{host}.agent')}",
                    "incoming": f"unix:{self.path('%v-%h.incoming')}", **self.qmp_settings}
            out.writelines(f"{key} = {value}\n" for key, value in rows.items())
            for vf in self.vfs:
                out.write(f"[slot {vf}]\ndevice = {self.device(host, vf)}\n")

    def mac(self, host, vf):
        return mac(16 * (1 + self.hosts.index(host)) + self.vfs.index(vf))

    def device(self, host, vf):
        """As behind QEMU's -device."""
        return f"virtio-net-pci,netdev={host}-{vf},mac={self.mac(host, vf)},bus=slot0,romfile="

    def start(self, *places):
        """tether-smd, all agents, and a guest for each (VM, host) of @places, with vf0 of its host, and an agent in it."""
        for vm, _ in places:
            self.vms[vm] = len(self.vms) + 1
        self.start_smd()
        machines = []
        for number, (vm, host) in enumerate(places):
            vf = self.vfs[sum(other == host for _, other in places[:number])]
            machines.append((vm, host, vf, self.machine_of(vm, host, ["-device", f"{self.device(host, vf)},id=tether-{vf}"])))
        for vm, host, vf, machine in machines:
            self.guests[vm] = Guest(machine)
            self.places[vm], self.slots[vm] = host, vf
            self.guests[vm].rdma_device(self.mac(host, vf))
            self.start_guest_agent(vm)
        for host in self.hosts:
            self.start_agent(host)
        self.wait_for_hosts()
        return [self.guests[vm] for vm, _ in places]

    def start_guest_agent(self, vm, settings=""):
        guest = self.guests[vm]
        guest.put("/etc/tether/agent.conf", f"role = guest\nlog = /run/agent.log\nlog_level = debug\n{settings}")
        guest.agent = guest.start("mkdir -p /run/tether; exec tether-agent --config /etc/tether/agent.conf")

    def machine_of(self, vm, host, arguments=(), incoming=None):
        """A QEMU for @vm at @host. It has the host's end of each of its VFs; one of them is plugged by @arguments, or later."""
        return self.machine(f"{vm}-{host}", incoming=incoming, stays=mac_that_stays(self.vms[vm]),
                            arguments=[*self.netdevs(host), *arguments], **self.shape)

    def netdevs(self, host):
        """The host's ends of its VFs."""
        return [word for vf in self.vfs for word in ("-netdev", json.dumps(self.link.netdev(f"{host}-{vf}")))]

    # ---- what there is ----

    def address(self, vm):
        return address_that_stays(self.vms[vm])

    def ask(self, path):
        status, body = api.request(self.api_socket, "GET", path)
        if status != 200:
            raise OSError(f"{path}: status {status}: {body}")
        return body

    def wait_for_hosts(self, seconds=START_S):
        """All are connected, and so are the agents in the VMs."""
        wait_until("tether-smd has all hosts and their VMs", self._has_all, seconds, self.logs(), [self.smd])

    def _has_all(self):
        try:
            hosts = self.ask("/v1/hypervisors")["hypervisors"]
            vms = {row["name"] for row in self.ask("/v1/vms")["vms"]}
        except OSError:
            return False
        return {row["name"] for row in hosts if row["connected"]} >= set(self.hosts) and vms >= set(self.guests)

    def logs(self):
        names = sorted(name for name in os.listdir(self.directory) if name.endswith(".log"))
        return [self.path(name) for name in names]

    def words(self):
        """For a message: the ends of all logs, those in the guests, too."""
        said = [tails(self.logs())]
        for vm, guest in self.guests.items():
            try:
                said.append(f"\n==> agent in {vm} <==\n" + guest.run("tail -n 40 /run/agent.log", seconds=20))
            except (GuestFailed, CommandFailed, OSError) as error:
                said.append(f"\n==> agent in {vm}: {error}")
        return "".join(said)

    def slot_of(self, vm):
        return self.slots[vm]

    def acquaint(self, one, other):
        """Each has found the other's VF: the kernel gives a neighbour that it does not know one second, and then a modify to RTR
        fails, with libtether or without."""
        for vm, whom in ((one, other), (other, one)):
            interface = self.guests[vm].rdma_device(self.mac_of(vm))[0]
            there = link_local(self.mac_of(whom))
            self.guests[vm].run(f"until ping -c 1 -W 1 {there}%{interface}; do sleep 0.1; done")

    def mac_of(self, vm):
        return self.mac(self.places[vm], self.slots[vm])

    # ---- moving ----

    def tether(self, *arguments, seconds=MIGRATE_S):
        """What `tether ... --json` prints at its end, decoded; CommandFailed when its status is not 0."""
        argv = [self.build.program("tether"), "--api", self.api_socket, *arguments, "--json"]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Late(f"{' '.join(argv)}: no end after {seconds} s{self.words()}") from None
        if done.returncode:
            raise CommandFailed(argv, done.returncode, done.stdout, done.stderr)
        return last_json(done.stdout)

    def await_at(self, vm, host):
        """A QEMU that waits for @vm's memory there."""
        return self.machine_of(vm, host, incoming=f"unix:{self.path(f'{vm}-{host}.incoming')}")

    def migrate(self, vm, host, *arguments, at=None, look=None):
        """By `tether migrate`, to the QEMU @at or one that is started for it. Migrated, as lab/migration.py has it. @look: called with
        the source's QEMU, which the agents leave where the settings say "after_move = keep", before it is ended."""
        guest, source = self.guests[vm], self.places[vm]
        left = guest.machine
        at = at or self.await_at(vm, host)
        expected = guest.expect_at(at)
        answer = self.tether("migrate", vm, host, *arguments)
        if look:
            look(left)
            left.quit()
        guest.is_at(expected)
        self.places[vm], self.slots[vm] = host, answer["to_slot"]
        steps = answer["steps"]
        began = answer["asked_us"] / 1e6
        return Migrated(vm, source, host, answer, began, began + steps[-1]["ended_us"] / 1e6)


class GuestPair:
    """A program with a server in one guest and a client in another, both under `tether run` unless said otherwise."""

    def __init__(self, lab, server_vm, client_vm, argv, port, with_shim=("server", "client"), server_arguments=()):
        self.lab = lab
        self.server_guest, self.client_guest = lab.guests[server_vm], lab.guests[client_vm]
        lab.acquaint(server_vm, client_vm)
        run = {who: "exec tether run -- " if who in with_shim else "exec " for who in ("server", "client")}
        self.server = self.server_guest.start(run["server"] + " ".join([*argv[:1], *server_arguments]))
        self.server_guest.wait_listening(port, self.server)
        self.client = self.client_guest.start(run["client"] + " ".join([*argv, lab.address(server_vm)]))

    def is_running(self):
        return self.server.status is None and self.client.status is None

    def words(self):
        """What they have said; of what fills pages, such as each pause, only the end."""
        return f"\n==> server <==\n{self.server.output()[-3000:]}\n==> client <==\n{self.client.output()[-3000:]}"

    def wait(self, seconds=120):
        client = self.client_guest.wait(self.client, seconds)
        return self.server_guest.wait(self.server, seconds), client

    def stop(self):
        """The client is told to end, and both have."""
        self.client.signal(15)
        return self.wait()

    def verdicts(self):
        return [last_json(end.output()) for end in (self.server, self.client)]


class RcVerify(GuestPair):
    """rc-verify; runs until end_exactly()."""

    def __init__(self, lab, server_vm, client_vm, arguments=("-q", "8"), gid=0, **named):
        super().__init__(lab, server_vm, client_vm, ["rc-verify", "-x", str(gid), *RC_ARGUMENTS, *arguments], RC_PORT, server_arguments=("-x", str(gid)),
                         **named)
        for guest, end in ((self.server_guest, self.server), (self.client_guest, self.client)):
            guest.wait_said(end, " done, ")

    def words(self):
        said = []
        for who, end in (("server", self.server), ("client", self.client)):
            lines = end.output().splitlines()
            said.append(f"\n==> {who} <==\n" + "\n".join(line if line[:1] != "{" else self.short(line) for line in lines[-12:]))
        return "".join(said)

    @staticmethod
    def short(verdict):
        return json.dumps({key: value for key, value in json.loads(verdict).items() if not isinstance(value, list)})

    def done(self):
        """How many work requests each end has seen the end of, as far as it has said so."""
        return [int(end.output().rsplit(" done, ", 1)[0].split()[-1]) for end in (self.server, self.client)]

    def wait_progress(self):
        """Both go on."""
        before = self.done()
        wait_until("rc-verify goes on", lambda: not self.is_running() or all(now > then for now, then in zip(self.done(), before)), 120)
        assert self.is_running(), f"rc-verify has ended{self.words()}"

    def end_exactly(self):
        """Nothing was lost, repeated or changed. The verdicts of server and client."""
        assert self.is_running(), f"rc-verify has ended{self.words()}"
        self.stop()
        verdicts = self.verdicts()
        for verdict in verdicts:
            assert verdict.get("ok") and not any(verdict[name] for name in FINDINGS), f"{verdict}{self.words()}"
        return verdicts
