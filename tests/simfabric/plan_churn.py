# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs that come, move, change places and end at the plugin, by four connections at a time: each makes its plan first, asks
for the lease by it, and then plans anew, as tether-smd does, and applies that. The test plays hosts and tether-smd, who ask again until it is done, or take it back."""
import collections
import queue
import random
import threading
import time

from lab.deadline import wait_until
from simfabric.plan_attempts import Coming, Ending, Guest, Moving, Swapping
from simfabric.unrest import UnrestLab

WORKERS = 4
PATIENCE_S = 90
LEASE_MS = 10000
SWEEP_INTERVAL_S = 1  # a trap may be lost, too
NO_PORT = 255
FIRST_GUID = 0x00d0000000000001
SWAPPED = "hyp1_vf1", "hyp2_vf1", "hyp3_vf1", "hyp4_vf1"  # slots that always have a VM
EVERY_BLUE = 4  # of so many VMs one is in the partition
BLUE, DEFAULT = 0x8001, 0xffff
MOST_GUIDS = 4000
GO_BACK_EVERY = 5  # of so many one is undone where it has begun and could not be applied at once
MANY = 1, 1, 1, 2, 3  # how many VMs are in one plan
ORDERS = "fast", "consistent", "drop-first"
KINDS = {"create": Coming, "copy": Moving, "destroy": Ending, "swap": Swapping}
HOPS = 16
UNPLUGGED = "did not answer"

# Why each request may be refused here. Anything else is a failure.
EXPLAINED = {
    "plan": {
        "not-master": "OpenSM has just been started",
        "unknown-port": "no sweep has found the VM yet that has just come or moved, or a lost SMP or a cable hides it",
        "no-lid": "a sweep has found the port and has not given it its LID yet",
        "no-lft": "a switch is away, or no sweep has reached it yet",
        "not-routed": "a cable is away, or the sweep that follows a link is still to come",
        "not-a-vswitch-slot": "the hypervisor is unplugged",
        "slot-in-use": "no sweep has seen yet that the one before has left, or a sweep was lost over it",
        "guid-in-use": "it has come there, and a lost SMP hides where",
        "bad-view": "a bring-up is half done",
        "same-place": "a sweep or a bring-up has done it",
    },
    "lease": {"busy": "a sweep has not come to its end", "not-master": "OpenSM has just been started"},
    "apply": {
        "stale-plan": "somebody else, or a sweep, has been there since the plan was made",
        "unknown-plan": "OpenSM was started anew since",
        "not-master": "OpenSM has just been started",
        "no-lease": "the lease's time ran out",
        "busy": "another one's lease is for what the plan made anew moves",
        "not-routed": "a cable is away",
        "guids-not-there": "the question who is there was lost",
        "not-acknowledged": "a Set was lost too often",
    },
    "undo": {},
}
EXPLAINED["undo"] = {**EXPLAINED["plan"], **EXPLAINED["apply"]}


def guids_text(number):
    """(NodeGUID, port GUID) of the VM with that number."""
    return tuple(f"0x{FIRST_GUID + 2 * number + n:016x}" for n in range(2))


def partitions(truth):
    """Blue has every fourth of those who may ever come."""
    members = (guids_text(number)[1] for number in range(0, MOST_GUIDS, EVERY_BLUE))
    return "Default=0x7fff, ipoib: ALL=full;\n" + "".join(f"Blue=0x0001: {guid}=full;\n" for guid in members)


def is_blue(port_guid):
    number, _ = divmod(int(port_guid, 16) - FIRST_GUID, 2)
    return 0 <= number < MOST_GUIDS and number % EVERY_BLUE == 0


class PlanChurnLab(UnrestLab):
    """All slots but SWAPPED are empty at first."""

    def __init__(self):
        super().__init__(transaction_timeout=50, transaction_retries=1, sweep_interval=SWEEP_INTERVAL_S)
        self.partitions = partitions
        self.numbers, self.numbering = 0, threading.Lock()

    def make_fabric(self):
        super().make_fabric()
        self.places = {slot: self.place_of(slot) for slot in self.slots()}
        self.ends = {(row["peer"]["node"], row["peer"]["port"]): row["node"] for row in self.fabric.dump("places")}
        self.cabling = {(row["node"], row["port"]): row["peer"]["node"] for row in self.fabric.dump("ports") if row["peer"]}
        self.empty = [slot for slot in self.slots() if slot not in SWAPPED]
        for slot in self.empty:
            self.fabric.link(slot, 1, "down")

    def place_at(self, slot):
        return self.places[slot]

    def next_guids(self):
        with self.numbering:
            self.numbers += 1
            assert self.numbers <= MOST_GUIDS
            return guids_text(self.numbers - 1)

    def new_guids(self, slot):
        self.fabric.cli("guids", slot, *self.next_guids())

    def held(self):
        """{slot: Guest} of the slots that always have a VM."""
        rows = {row["node"]: row for row in self.fabric.dump("places")}
        return {slot: Guest(rows[slot]["node_guid"], rows[slot]["port_guid"], slot, rows[slot]["lid"]) for slot in SWAPPED}

    def walk(self, tables, switch, lid):
        """Where the tables lead a packet for @lid: the end's name, None for nowhere."""
        for _ in range(HOPS):
            port = tables[switch][lid] if lid < len(tables[switch]) else NO_PORT
            if port == NO_PORT:
                return None
            node = self.ends.get((switch, port)) or self.cabling.get((switch, port))
            if node not in tables:
                return node
            switch = node
        return "a loop"

    def leads(self, lid):
        """All places to which the switches lead it."""
        tables = self.fabric.lft_dump()
        return {self.walk(tables, switch, lid) for switch in tables}


class Book:
    """Who is where; what is in somebody's hands is nobody else's."""

    def __init__(self, lab):
        self.lab, self.lock = lab, threading.Lock()
        self.free, self.swapped, self.idle = list(lab.empty), list(lab.held().values()), []

    def alive(self):
        return self.idle + self.swapped

    def take(self, chance, things, most):
        taken = chance.sample(things, min(most, len(things)))
        for thing in taken:
            things.remove(thing)
        return taken

    def draw(self, chance, kind):
        """An attempt of that kind; None where nobody can, now."""
        with self.lock:
            most = chance.choice(MANY)
            if kind == "swap":
                guests = self.take(chance, self.swapped, 2) if len(self.swapped) > 1 else []
                targets = [guest.slot for guest in reversed(guests)]
            elif kind == "create":
                targets = self.take(chance, self.free, most)
                guests = [Guest(*self.lab.next_guids(), None) for _ in targets]
            elif kind == "copy":
                guests = self.take(chance, self.idle, min(most, len(self.free)))
                targets = self.take(chance, self.free, len(guests))
            else:
                guests = self.take(chance, self.idle, most)
                targets = [None] * len(guests)
        return KINDS[kind](self.lab, guests, targets) if guests else None

    def put_back(self, attempt):
        with self.lock:
            there = [guest for guest in attempt.guests if guest.slot]
            (self.swapped if attempt.kind == "swap" else self.idle).extend(there)
            if attempt.kind != "swap":
                self.free += set(attempt.slots()) - {guest.slot for guest in there}


class Deck:
    """Kinds in turn, each as often as any other; what cannot be done now is done later."""

    def __init__(self, chance):
        self.chance, self.cards, self.lock = chance, [], threading.Lock()

    def draw(self, may):
        """What @may() made of a card."""
        with self.lock:
            if len(self.cards) < len(KINDS):
                more = list(KINDS)
                self.chance.shuffle(more)
                self.cards += more
            for kind in self.cards:
                drawn = may(kind)
                if drawn:
                    self.cards.remove(kind)
                    return drawn
            return None


class PlanChurn:
    def __init__(self, lab, seed):
        self.lab, self.seed = lab, seed
        self.book, self.deck = Book(lab), Deck(random.Random(f"{seed}/deck"))
        self.counting = threading.Lock()
        self.begun = self.ended = self.in_flight = self.most_in_flight = 0
        self.ends = collections.Counter()      # (kind, end)
        self.refusals = collections.Counter()  # (op, reason)
        self.together = collections.Counter()  # how many went out as one
        self.judged = collections.Counter()    # looked at while the lease still held, or not
        self.failures = queue.Queue()
        self.lids_differed = 0                 # between the plan that a lease was for and the one that was applied
        self.reroutes = 0  # odd while one is asked for

    # One request after the other.

    def note(self, op, attempt, answer):
        """Is it ok? What is not has a reason that is explained."""
        if answer["ok"]:
            return True
        assert answer["reason"] in EXPLAINED[op], f"{op} of {attempt}: {answer}"
        with self.counting:
            self.refusals[op, answer["reason"]] += 1
        return False

    def plan(self, sm, attempt, order):
        """The plan, False where there was none, None where it is done already."""
        answer = sm.request("plan", moves=attempt.moves(), order=order, changes=False)
        if self.note("plan", attempt, answer):
            return answer
        return None if attempt.has_begun and answer["reason"] in attempt.done_by_others else False

    def note_lids(self, first, anew):
        """A lease is for one LID, and another one is applied?"""
        lids = [[move["vm"]["lid"] for move in plan["moves"]] for plan in (first, anew)]
        with self.counting:
            self.lids_differed += lids[0] != lids[1]

    def reroute(self, force):
        self.reroutes += 1
        force()
        self.reroutes += 1

    def lease(self, sm, attempt, **members):
        with self.counting:
            self.lab.migrations += 1
            migration = self.lab.migrations
        answer = sm.request("lease", migration=migration, ms=LEASE_MS, **members)
        return migration if self.note("lease", attempt, answer) else None

    def verified(self, sm, plan):
        """What verify says; a VM whose hypervisor is unplugged for a moment is asked again."""
        while True:
            answer = sm.ask("verify", hash=plan["hash"])
            if not any(text.endswith(UNPLUGGED) for text in answer["differences"]):
                return answer

    def judge(self, sm, attempt, plan, migration, reroutes):
        """What was said to be verified is so, and the tables lead there, before any sweep. A lease that has run out holds
        none, and a forced reroute comes under a lease, too: it drops the routes of who is to come and is not seen yet."""
        answer = self.verified(sm, plan)
        led = {move["vm"]["lid"]: self.lab.leads(move["vm"]["lid"]) for move in plan["moves"]}
        still_held = sm.request("release_lease", migration=migration).get("held")
        stands = still_held and not reroutes % 2 and self.reroutes == reroutes
        with self.counting:
            self.judged[bool(stands)] += 1
        if not stands:
            return
        assert answer["verified"], f"{attempt}: {answer}"
        for move, target in zip(plan["moves"], attempt.targets):
            assert led[move["vm"]["lid"]] == {target}, f"{attempt}: {move} is led to {led}, not to {target}"

    def apply(self, sm, attempt, plan, migration, reroutes):
        attempt.has_begun = True
        attempt.before()
        answer = sm.request("apply", hash=plan["hash"], migration=migration)
        if not self.note("apply", attempt, answer):
            return False
        with self.counting:
            self.together[answer["together"]] += 1
        try:
            attempt.after()
            self.judge(sm, attempt, plan, migration, reroutes)
        except OSError:
            pass  # OpenSM has died, and has done it before
        return True

    def forward(self, attempt, order):
        """True when it is done."""
        with self.lab.connect() as sm:
            plan = first = self.plan(sm, attempt, order)
            if first:
                reroutes, migration = self.reroutes, self.lease(sm, attempt, hash=first["hash"])
                if not migration:
                    return False
                plan = self.plan(sm, attempt, order)
            if not plan:
                return plan is None and self.arrived(attempt, None)
            self.note_lids(first, plan)
            return self.apply(sm, attempt, plan, migration, reroutes) and self.arrived(attempt, plan)

    def arrived(self, attempt, plan):
        attempt.arrive(plan)
        return True

    def back(self, attempt):
        """True when it is undone."""
        with self.lab.connect() as sm:
            migration = self.lease(sm, attempt)
            if not migration:
                return False
            attempt.before_back()
            answer = sm.request("undo", moves=attempt.moves_back(), migration=migration)
            return self.note("undo", attempt, answer) or answer["reason"] in ("same-place", "unknown-port")

    def unless_it_dies(self, step, *arguments):
        try:
            return step(*arguments)
        except OSError:
            return False  # no OpenSM is there, or it has died over it

    def carry_out(self, attempt, chance, number):
        """Once; whoever may not go back tries again."""
        order, may_go_back = chance.choice(ORDERS), attempt.kind != "destroy" and number % GO_BACK_EVERY == 0

        def forward_or_back():
            if may_go_back and attempt.has_begun:
                return self.unless_it_dies(self.back, attempt) and "undone"
            return self.unless_it_dies(self.forward, attempt, order) and "done"

        return wait_until(f"{attempt} is done or undone ({dict(self.refusals)})", forward_or_back, PATIENCE_S)

    # Four at a time.

    def one(self):
        """False where nothing can be done just now."""
        with self.counting:
            number, self.begun = self.begun, self.begun + 1
        chance = random.Random(f"{self.seed}/{number}")
        attempt = self.deck.draw(lambda kind: self.book.draw(chance, kind))
        if not attempt:
            return False
        with self.counting:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        end = self.carry_out(attempt, chance, number)
        self.book.put_back(attempt)
        with self.counting:
            self.in_flight -= 1
            self.ends[attempt.kind, end] += 1
            self.ended += 1
        return True

    def work(self, is_enough):
        try:
            while self.failures.empty() and not is_enough():
                wait_until("something can be done", self.one, PATIENCE_S)
        except Exception as error:  # told by the main thread
            self.failures.put(error)

    def run(self, count, unrest, every, has_all_happened):
        """@unrest(): called after each @every that have ended. At least @count, and until @has_all_happened()."""
        def is_enough():
            return self.ended >= count and has_all_happened()

        workers = [threading.Thread(target=self.work, args=(is_enough,), daemon=True) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        due = every
        while any(worker.is_alive() for worker in workers):
            if due <= self.ended and not is_enough() and self.failures.empty():
                unrest()
                due = self.ended + every
            time.sleep(0.01)
        if not self.failures.empty():
            raise self.failures.get()
