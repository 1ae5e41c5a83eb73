# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""An OpenSM and a fabric that are not at rest: what happens to them, and a move that is brought to its end all the same, as
tether-smd does it: what is stale is planned again."""
import socket

from faults.plugin_client import Refused
from faults.sa_truth import findings, sets, shown
from simfabric.lab import wait_until
from simfabric.plugin_lab import PluginLab

SOON_S = 20
LEASE_MS = 8000
ATTEMPTS = 5
SLOW_US = 100000  # how late the answers to LFT Sets come, so that there is a mid-apply
PACKET_LIFE_TIME = "0x0c"  # 17 ms, which dropping first waits for
FROM_CACHE = "Configuring switch tables using cached routing"
PROMPT = b"OpenSM $ "
LEAF_PORTS = range(1, 5)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def read_to_prompt(link):
    text = b""
    while not text.endswith(PROMPT):
        more = link.recv(4096)
        assert more, f"OpenSM's console has closed: {text}"
        text += more


class UnrestLab(PluginLab):
    def __init__(self, **settings):
        self.console_port = free_port()
        super().__init__({"transaction_timeout": 300, "packet_life_time": PACKET_LIFE_TIME, "console": "loopback",
                          "console_port": self.console_port, **settings})

    def console(self, command):
        """That OpenSM prompts again says that it has taken the command up."""
        with socket.create_connection(("127.0.0.1", self.console_port), SOON_S) as link:
            read_to_prompt(link)
            link.sendall(command.encode() + b"\n")
            read_to_prompt(link)

    def conf(self):
        modules = self.path("modules.conf")
        with open(modules, "w") as out:
            out.write("osm_ucast_cache.c=0x07\n")
        return {**super().conf(), "per_module_logging_file": modules}

    def cached_routings(self):
        """How often OpenSM has taken its routes from the unicast cache."""
        return self.opensm().log_text().count(FROM_CACHE)

    def restart(self):
        self.opensm().kill()
        self.start_opensm()

    def settle(self):
        """Until OpenSM has seen the fabric as it is now."""
        wait_until("OpenSM is at rest", lambda: self.ask("status")["quiet"], SOON_S)
        self.heavy_sweep()
        wait_until("OpenSM is at rest again", lambda: self.ask("status")["quiet"], SOON_S)

    def check(self):
        self.settle()
        with self.sa() as sa:
            self.compare(sa)
            wrote = self.heavy_sweep()
            assert not any(wrote.values()), f"the heavy sweep wrote {wrote}"
            self.compare(sa)

    def check_truth(self):
        with self.sa() as sa:
            self.compare(sa)

    def compare(self, sa):
        found = findings(self.truth(), sa)
        assert not found, shown(found)

    def cables(self, switch, state):
        for port in LEAF_PORTS:
            self.fabric.link(switch, port, state)


# What happens to OpenSM or the fabric. Each leaves it as it was.

def a_sweep(lab):
    lab.ask_for_sweep()


def a_forced_reroute(lab):
    lab.console("reroute")


def a_link_flaps(lab):
    lab.fabric.link("spine1", 2, "down")
    lab.fabric.link("spine1", 2, "up")


def a_hypervisor_is_unplugged_for_a_moment(lab):
    lab.fabric.link("V4", 1, "down")
    lab.fabric.link("V4", 1, "up")


def a_switch_goes_and_comes_back(lab):
    lab.cables("spine2", "down")
    lab.cables("spine2", "up")


def opensm_is_killed_and_starts_again(lab):
    lab.restart()


EVENTS = (a_sweep, a_forced_reroute, a_link_flaps, a_hypervisor_is_unplugged_for_a_moment, a_switch_goes_and_comes_back,
          opensm_is_killed_and_starts_again)


class Move:
    """One that is begun, disturbed and brought to its end: from the first slot of each pair to the second one, in a plan
    made in the manner @how."""

    done = ("same-place",)  # what a plan is refused as where somebody, a sweep or a bring-up, has made the move already

    def __init__(self, lab, pairs, **how):
        self.lab, self.pairs, self.how = lab, pairs, how
        self.wanted = {destination: lab.guid_at(source) for source, destination in pairs}
        self.moves = [{"vm_port_guid": self.wanted[destination], **lab.place_of(destination)} for _, destination in pairs]
        self.hash = lab.ask("plan", moves=self.moves, **how)["hash"]

    def __str__(self):
        return f"{self.pairs} {self.how}"

    def apply_beside(self, event):
        """Apply, and let @event happen once the first LFT Set has gone out, whose answer comes late."""
        lab = self.lab
        sm, migration = lab.leased(LEASE_MS)
        with sm:
            self.exchange()
            lab.fabric.cli("fault", "delay", "--attribute", "LinearForwardingTable", "--method", "set", "--direction", "response",
                           "--us", SLOW_US)
            before = sets(lab.fabric.counters(), "LinearForwardingTable")
            sm.send("apply", hash=self.hash, migration=migration)
            wait_until("the first LFT Set", lambda: sets(lab.fabric.counters(), "LinearForwardingTable") > before, SOON_S)
            event(lab)
            try:
                answer = sm.receive()
            except OSError:
                answer = {"ok": False, "reason": "the connection has ended"}
        lab.fabric.cli("fault", "clear")
        return answer

    def exchange(self):
        """Unless it has been done."""
        for source, destination in self.pairs:
            if self.lab.guid_at(destination) != self.wanted[destination]:
                self.lab.exchange_guids(source, destination)

    def attempt(self):
        try:
            sm, migration = self.lab.leased(LEASE_MS)
        except Refused:
            return False
        with sm:
            self.exchange()
            answer = sm.request("apply", hash=self.hash, migration=migration)
            self.heard.append(answer.get("reason"))
            if not answer["ok"] and answer["reason"] in ("stale-plan", "unknown-plan", "not-routed"):
                return self.plan_again(sm)
            return answer["ok"]

    def plan_again(self, sm):
        """True where there is nothing to plan any more."""
        answer = sm.request("plan", moves=self.moves, **self.how)
        self.heard.append(answer.get("reason"))
        if answer["ok"]:
            self.hash = answer["hash"]
        return answer.get("reason") in self.done

    def finish(self):
        self.heard = []
        for _ in range(ATTEMPTS):
            if self.attempt():
                return
            wait_until("OpenSM is at rest", lambda: self.lab.ask("status")["quiet"], SOON_S)
        raise AssertionError(f"not applied in {ATTEMPTS} attempts: {self}, {self.heard}")
