# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""An OpenSM and a fabric that are not at rest: what happens to them, and a move that is brought to its end all the same, as
tether-smd does it: what is stale is planned again. What an apply says it has done is looked at before any sweep can mend it,
and how each apply ended that something happened to is counted."""
import collections
import re
import socket

from faults.plugin_client import Refused
from faults.sa_truth import findings, gid, group_findings, sets, shown
from simfabric.lab import wait_until
from simfabric.partition import blue_guids, blue_partition, expected_pkeys, guid_in
from simfabric.plugin_lab import PluginLab

SOON_S = 20
LEASE_MS = 8000
RETRIES = 14  # of an SMP by OpenSM, so that answers can be held back while something happens, on a busy machine, too
ATTEMPTS = 5
PACKET_LIFE_TIME = "0x0c"  # 17 ms, which dropping first waits for
FROM_CACHE = "Configuring switch tables using cached routing"
ROUTED = "tables configured on all switches"
LFT = "LinearForwardingTable"
MGID = "ff125eed000000000000000000000003"
GROUP = ("hyp1_vf1", "hyp2_vf2", "hyp4_vf1", "hyp3", "hyp4")  # where its members sit at first
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
    """Two VMs are in a partition of their own, five ports in a group."""

    def __init__(self, **settings):
        self.console_port = free_port()
        self.ends = Ends()
        super().__init__({"transaction_retries": RETRIES, "packet_life_time": PACKET_LIFE_TIME, "console": "loopback",
                          "console_port": self.console_port, **settings}, partitions=lambda _: self.partition)

    def make_fabric(self):
        super().make_fabric()
        truth = self.truth()
        self.partition, self.blue = blue_partition(truth), blue_guids(truth)
        self.members = [guid_in(truth, slot) for slot in GROUP]

    def start_opensm(self):
        super().start_opensm()
        self.join()

    def join(self):
        """As clients do when they are told to register again: an OpenSM that starts anew knows of no group, and one that has
        missed a port takes it out of its groups, and leaves the tables of a switch that was away as they were."""
        with self.sa() as sa:
            known = {row["port_guid"] for row in sa.nodes()}
            for guid in known.intersection(self.members):
                sa.join(MGID, gid(guid))

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

    def log_mark(self):
        return len(self.opensm().log_text())

    def routings_since(self, mark):
        """FROM_CACHE or ROUTED, of each."""
        return re.findall(f"{FROM_CACHE}|{ROUTED}", self.opensm().log_text()[mark:])

    def routings(self):
        """How often OpenSM has computed routes."""
        return self.opensm().log_text().count(ROUTED)

    def asked(self):
        """How many NodeInfos somebody has asked for: a sweep begins with them."""
        return sets(self.fabric.counters(), "NodeInfo", "get")

    def restart(self):
        """The next one hears its answers."""
        self.opensm().kill()
        self.release_answers()
        self.start_opensm()

    def rest(self):
        """Until OpenSM has done what it was at, and all are in the group who should be."""
        self.wait_quiet()
        self.join()
        self.wait_quiet()

    def sweep_waits(self):
        """For a lease to end."""
        return self.ask("status")["sweep_waits"]

    def settle(self):
        """Until OpenSM has seen the fabric as it is now."""
        self.wait_quiet()
        self.heavy_sweep()
        self.rest()

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
        truth = self.truth()
        found = findings(truth, sa, expected_pkeys(truth, self.blue))
        assert not found, shown(found)

    def check_unswept(self):
        """What an apply has left, while its lease keeps sweeps off. One that waits for it holds multicast trees up."""
        trees_are_late = self.sweep_waits()
        truth = self.truth()
        with self.sa() as sa:
            found = findings(truth, sa, expected_pkeys(truth, self.blue))
            late = set(group_findings(truth, sa)) if trees_are_late else set()
        assert late.issuperset(found), "before any sweep: " + shown([text for text in found if text not in late])

    def hold_answers(self):
        """LFT Sets are carried out, but nobody hears of it, so that what is applied is not at its end."""
        self.fabric.cli("fault", "drop", "--attribute", LFT, "--method", "set", "--direction", "response")

    def release_answers(self):
        self.fabric.cli("fault", "clear")

    def cables(self, switch, state):
        for port in LEAF_PORTS:
            self.fabric.link(switch, port, state)


# What happens to OpenSM or the fabric. Each leaves it as it was, and has happened when it returns: a sweep has begun, or waits
# for a lease; routes have been computed.

def a_sweep(lab):
    before = lab.asked()
    lab.ask_for_sweep()
    wait_until("a sweep", lambda: lab.sweep_waits() or lab.asked() > before, SOON_S)


def a_forced_reroute(lab):
    before = lab.routings()
    lab.console("reroute")
    wait_until("a reroute", lambda: lab.sweep_waits() or lab.routings() > before, SOON_S)


def a_link_flaps(lab):
    lab.fabric.link("spine1", 2, "down")
    lab.fabric.link("spine1", 2, "up")


def a_hypervisor_is_unplugged_for_a_moment(lab):
    lab.fabric.link("V4", 1, "down")
    lab.fabric.link("V4", 1, "up")


def a_switch_goes_and_comes_back(lab):
    lab.cables("spine2", "down")
    lab.cables("spine2", "up")


def a_switch_goes(lab):
    """This one stays away."""
    lab.cables("spine1", "down")


def opensm_is_killed_and_starts_again(lab):
    lab.restart()


EVENTS = (a_sweep, a_forced_reroute, a_link_flaps, a_hypervisor_is_unplugged_for_a_moment, a_switch_goes_and_comes_back,
          opensm_is_killed_and_starts_again)


class Ends:
    """How the applies ended that something happened to: at once, or refused and done then; and of how many of the plans P_Keys
    and groups were a part."""

    def __init__(self):
        self.counts = collections.defaultdict(collections.Counter)
        self.pkeys = self.groups = 0

    def add(self, event, plan, answer):
        self.counts[event.__name__]["ok" if answer["ok"] else answer["reason"]] += 1
        self.pkeys += bool(plan["pkey_sets"])
        self.groups += bool(plan["groups"])

    def rows(self):
        yield ["in mid-apply", "ok", "refused, then done", "as"]
        for name, counts in self.counts.items():
            reasons = sorted(counts.keys() - {"ok"})
            yield [name.replace("_", " "), str(counts["ok"]), str(sum(counts[reason] for reason in reasons)), ", ".join(reasons)]

    def check(self, events, kept_off):
        """Each of @events has met an apply, those @kept_off by a lease one that went on, and there were both kinds of ends."""
        missing = [event.__name__ for event in events if not self.counts[event.__name__]]
        assert not missing, f"no apply has met {missing}"
        for event in kept_off:
            assert self.counts[event.__name__]["ok"], f"{event.__name__}: {dict(self.counts[event.__name__])}"
        total = sum(self.counts.values(), collections.Counter())
        assert 0 < total["ok"] < total.total(), f"all applies ended as {dict(total)}"

    def check_identities(self):
        assert self.pkeys and self.groups, "the plans did not touch partitions and groups"


class Move:
    """One that is begun, disturbed and brought to its end: from the first slot of each pair to the second one, in a plan
    made in the manner @how."""

    is_whole = True  # the fabric: of who is cut off nothing is asked
    done = ("same-place",)  # what a plan is refused as where somebody, a sweep or a bring-up, has made the move already

    def __init__(self, lab, pairs, **how):
        self.lab, self.pairs, self.how = lab, pairs, how
        self.wanted = {destination: lab.guid_at(source) for source, destination in pairs}
        self.moves = [{"vm_port_guid": self.wanted[destination], **lab.place_of(destination)} for _, destination in pairs]
        self.plan = lab.ask("plan", moves=self.moves, **how)

    def __str__(self):
        return f"{self.pairs} {self.how}"

    def apply_beside(self, event):
        """Apply, and let @event happen once the first LFT Set has gone out. What apply answered."""
        lab = self.lab
        sm, migration = lab.leased(LEASE_MS)
        with sm:
            self.exchange()
            before = sets(lab.fabric.counters(), LFT)
            lab.hold_answers()
            sm.send("apply", hash=self.plan["hash"], migration=migration)
            wait_until("the first LFT Set", lambda: sets(lab.fabric.counters(), LFT) > before, SOON_S)
            assert not sm.has_answer(), "apply has ended before"
            event(lab)
            lab.release_answers()
            try:
                answer = sm.receive()
            except OSError:
                answer = {"ok": False, "reason": "OpenSM has ended"}
            lab.ends.add(event, self.plan, answer)
            if answer["ok"]:
                self.check_applied(sm)
        return answer

    def check_applied(self, sm):
        """What @sm was told is so, before any sweep, which would mend what is not."""
        verified = sm.ask("verify", hash=self.plan["hash"])
        assert verified["verified"], f"applied, but {verified['differences']}"
        if self.is_whole:
            self.check_unswept()

    def check_unswept(self):
        self.lab.check_unswept()

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
            answer = sm.request("apply", hash=self.plan["hash"], migration=migration)
            self.heard.append(answer.get("reason"))
            if answer["ok"]:
                self.check_applied(sm)
                self.mark = self.lab.log_mark()
            if not answer["ok"] and answer["reason"] in ("stale-plan", "unknown-plan", "not-routed"):
                return self.plan_again(sm)
            return answer["ok"]

    def plan_again(self, sm):
        """True where there is nothing to plan any more."""
        answer = sm.request("plan", moves=self.moves, **self.how)
        self.heard.append(answer.get("reason"))
        if answer["ok"]:
            self.plan = answer
        return answer.get("reason") in self.done

    def finish(self):
        self.heard = []
        for _ in range(ATTEMPTS):
            if self.attempt():
                return
            self.lab.rest()
        raise AssertionError(f"not applied in {ATTEMPTS} attempts: {self}, {self.heard}")
