#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Moves beside an OpenSM that has troubles of its own: it sweeps, is told to route anew, is killed and started again; links
flap, switches go and come back, before a plan is applied and in mid-apply. Whoever drives the move does what tether-smd
does: plans again what is stale. In the end SA and fabric agree on every VM, before and after a heavy sweep."""
import os
import random
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.plugin_client import Refused  # noqa: E402
from faults.sa_truth import findings, sets, shown  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import wait_until  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402

SOON_S = 20
LEASE_MS = 8000
ROUNDS = 100 if FULL else 3
ATTEMPTS = 5
SLOW_US = 100000  # how late the answers to LFT Sets come, so that there is a mid-apply
MOVES_MAX = 3  # in one plan
ORDERS, REACHES = ("fast", "consistent", "drop-first"), ("deterministic", "minimum")
PACKET_LIFE_TIME = "0x0c"  # 17 ms, which dropping first waits for
SPINES = ("spine1", "spine2")
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
        self.check_truth()
        wrote = self.heavy_sweep()
        assert not any(wrote.values()), f"the heavy sweep wrote {wrote}"
        self.check_truth()

    def check_truth(self):
        with self.sa() as sa:
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
            if not answer["ok"] and answer["reason"] in ("stale-plan", "unknown-plan", "not-routed"):
                return self.plan_again(sm)
            return answer["ok"]

    def plan_again(self, sm):
        """True where somebody, a sweep or a bring-up, has made the move already."""
        answer = sm.request("plan", moves=self.moves, **self.how)
        if answer["ok"]:
            self.hash = answer["hash"]
        return answer.get("reason") == "same-place"

    def finish(self):
        for _ in range(ATTEMPTS):
            if self.attempt():
                return
            wait_until("OpenSM is at rest", lambda: self.lab.ask("status")["quiet"], SOON_S)
        raise AssertionError(f"not applied in {ATTEMPTS} attempts: {self}")


def draw_move(lab, draw):
    slots = draw.sample(lab.slots(), 2 * draw.randint(1, MOVES_MAX))
    return Move(lab, list(zip(slots[::2], slots[1::2])), order=draw.choice(ORDERS), reach=draw.choice(REACHES))


def between_plan_and_apply(lab, draw, event):
    move = draw_move(lab, draw)
    event(lab)
    wait_until("OpenSM is at rest", lambda: lab.ask("status")["quiet"], SOON_S)
    move.finish()
    lab.check()


def in_mid_apply(lab, draw, event):
    move = draw_move(lab, draw)
    move.apply_beside(event)
    move.finish()
    lab.check()


def a_switch_that_is_away_does_not_hold_the_move_up(lab, draw):
    """It goes between plan and apply; it comes back when the VM has moved, with tables that lead to the old place."""
    for spine in SPINES:
        move = draw_move(lab, draw)
        lab.cables(spine, "down")
        lab.settle()
        move.finish()
        lab.check_truth()
        lab.cables(spine, "up")
        lab.check()


def a_switch_lost_in_mid_apply_is_routed_around(lab, draw):
    move = draw_move(lab, draw)
    move.apply_beside(lambda lab: lab.cables("spine1", "down"))
    lab.settle()
    move.finish()
    lab.settle()
    lab.check_truth()
    lab.cables("spine1", "up")
    lab.check()


def a_hypervisor_that_comes_back_knows_where_the_others_are(lab, draw):
    """Its switch has the tables of before; OpenSM's unicast cache keeps those of leaves that are away."""
    lab.fabric.link("V4", 1, "down")
    lab.settle()
    for _ in range(2):
        source, destination = draw.sample([slot for slot in lab.slots() if not slot.startswith("hyp4")], 2)
        assert lab.move(source, destination)[1]["verified"]
    lab.fabric.link("V4", 1, "up")
    lab.check()


def a_move_invalidates_the_unicast_cache(lab, draw):
    """The sweep after it computes routes, and finds that there is nothing to write; the next one has a cache again."""
    lab.settle()
    before = lab.cached_routings()
    lab.heavy_sweep()
    assert lab.cached_routings() == before + 1, "the cache is not in use"
    lab.move(*draw.sample(lab.slots(), 2))
    wrote = lab.heavy_sweep()
    assert lab.cached_routings() == before + 1, "routes of before the move were used"
    assert not any(wrote.values()), f"the heavy sweep wrote {wrote}"
    lab.check()
    assert lab.cached_routings() > before + 1, "there is no cache any more"


def moves_end_well_whatever_happens(lab, draw):
    happened = []
    for _ in range(ROUNDS):
        event, when = draw.choice(EVENTS), draw.choice((between_plan_and_apply, in_mid_apply))
        happened.append(f"{when.__name__} {event.__name__}")
        try:
            when(lab, draw, event)
        except AssertionError as error:
            raise AssertionError(f"{'; '.join(happened)}: {error}") from error


def main():
    seed = int(os.environ.get("TETHER_SEED", "1"))
    print(f"# seed {seed}")
    tap = Tap()
    away = (a_switch_that_is_away_does_not_hold_the_move_up, a_switch_lost_in_mid_apply_is_routed_around,
            a_hypervisor_that_comes_back_knows_where_the_others_are, moves_end_well_whatever_happens)
    with UnrestLab() as lab:
        draw = random.Random(seed)
        lab.settle()
        for event in EVENTS:
            tap.run(f"{event.__name__}_between_plan_and_apply", between_plan_and_apply, lab, draw, event)
            tap.run(f"{event.__name__}_in_mid_apply", in_mid_apply, lab, draw, event)
        for test in away:
            tap.run(test.__name__, test, lab, draw)
    with UnrestLab(use_ucast_cache="TRUE") as lab:
        draw = random.Random(seed)
        lab.settle()
        for test in (a_move_invalidates_the_unicast_cache, *away):
            tap.run(f"with_ucast_cache: {test.__name__}", test, lab, draw)
    tap.exit()


main()
