# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs that come, move, are evacuated and go, several at a time, as an orchestrator's users would have it: whoever is refused
by tether-smd asks for something else, and nothing else keeps them apart."""
import collections
import queue
import random
import threading
import time

from faults.churn_guests import Guests
from faults.churn_lab import kind_of
from lab import api

WORKERS = 4
ANSWER_S = 40  # the API holds an answer back for 30
PATIENCE_S = 120
AWAY_S = 0.05
REFUSED_S = 0.02  # until somebody else may have made room
DEAD_S = 0.2  # until whoever is dead may be back
SECOND_US = 1000000

DECK = ("migrate",) * 10 + ("evacuate",) * 3 + ("create",) * 4 + ("destroy",) * 3
OWN_GUIDS = 1 / 3  # of those who come where LIDs are dynamic: their GUIDs come back with the name
FIRST_GUID = 0x00d0000000000100
FEW_ABROAD = 0.05  # of moves: to a host of the other kind, which cannot be
FEW_ABORTED = 0.1

# What has ended counts; who is refused at the request, or at a death, has done nothing.
ENDS = {
    "migrate": {"done", "refused", "aborted", "failed-at-source", "lost"},
    "evacuate": {"done", "incomplete", "aborted"},
    "create": {"done", "refused", "failed"},
    "destroy": {"done", "refused", "failed"},
}

# Why one may end otherwise than done where no daemon was dead in its time, by the reasons that it gives.
NOT_NOW = {
    "busy": "a process takes part in another one",
    "unknown-port": "a sweep is due",
    "port-without-lid": "a sweep is due",
    "slot-in-use": "a sweep is due",
    "place-differs": "a sweep is due",
    "not-routed": "a cable was away",
    "peer-without-shim": "its connection was just being made, or ended",
    "vm-qp-without-shim": "its connection was just being made, or ended",
}
UNHURT = {
    # Whoever was asked to prepare may have refused by then.
    ("migrate", "aborted"): {"abort-asked": "it was", **NOT_NOW},
    ("migrate", "refused"): NOT_NOW,
    ("migrate", "failed-at-source"): {"guids-not-there": "a cable was away: a slot is not seen to answer"},
    ("create", "refused"): {"not-routed": "a cable was away", "slot-in-use": "a sweep is due"},
    ("destroy", "refused"): {"not-routed": "a cable was away"},
    ("evacuee", "failed"): {"vm-without-vf": "it has been lost"},
}
NO_REASON = {"reverted-by-sweep"}  # said of moves that are done, too
NEEDED = {("migrate", "aborted"): {"abort-asked"}}  # of its reasons

# As it ends that was refused while a daemon was dead. How many are depends on how long the next one takes to start, so it
# counts as one that was refused at the request: it comes again.
REFUSED_AT_A_DEATH = "refused-at-a-death"

# Why a request may be refused here. Anything else is a failure.
ANY_REQUEST = {
    REFUSED_AT_A_DEATH: "a daemon was dead, or not back",
    "busy": "four are under way, or a process that takes part in another one",
    "host-evacuating": "somebody empties that host",
    "host-not-connected": "its agent has been killed",
    "unknown-host": "tether-smd has just been started",
    "unknown-vm": "its agent is not back, or it has just gone",
    "vm-already-moving": "somebody else was first",
    "vm-changing": "somebody else was first",
    "journal-failed": "tether-smd is being started",
    "unheard": "tether-smd died over it",
}
EXPLAINED = {
    "migrate": {
        **ANY_REQUEST,
        "same-host": "somebody else has moved it there",
        "no-free-vf": "others have taken them",
        "vm-without-vf": "it has been lost, or just goes",
        "guids-not-found": "its agent is not back",
        "guids-in-use": "a host has not been told yet to let go of them",
        "endpoint-differs": "one has dynamic LIDs and the other has not",
    },
    "evacuate": {
        **ANY_REQUEST,
        "no-capacity": "the others of its kind are full, or are emptied, too",
        "already-evacuating": "somebody else was first",
    },
    "create": {
        **ANY_REQUEST,
        "no-free-vf": "the host is full",
        "vm-exists": "its guest has not ended for that host's agent",
        "nobody": "all have been created",
    },
    "destroy": {
        **ANY_REQUEST,
        "vm-without-vf": "it has been lost, or just goes",
        "nobody": "all have been destroyed",
    },
}


class Deck:
    """Kinds as often as they are in DECK; what was refused comes again, among others."""

    def __init__(self, chance):
        self.chance, self.cards, self.lock = chance, [], threading.Lock()

    def draw(self):
        with self.lock:
            if set(self.cards) != set(DECK):
                self.cards += DECK
            return self.cards.pop(self.chance.randrange(len(self.cards)))

    def put_back(self, kind):
        with self.lock:
            if self.cards.count(kind) < DECK.count(kind):
                self.cards.append(kind)


class Churn:
    """@spans: of migrations, creations and destructions, by the wall clock; @evacuations: of those."""

    def __init__(self, lab, lasting, passing, seed):
        self.lab, self.seed = lab, seed
        self.guests, self.deck = Guests(lab, lasting, passing), Deck(random.Random(f"{seed}/deck"))
        self.outcomes = collections.Counter()   # (action, outcome)
        self.evacuees = collections.Counter()   # (state, reason)
        self.why = collections.Counter()        # (action, outcome, reasons) of those that were not done
        self.lost = {}                          # VM whose connections have ended: [span of the migration]
        self.undone = []                        # ((action, outcome), reasons, span) of what was not done
        self.spans, self.evacuations = [], []
        self.failures = queue.Queue()
        self.counting, self.begun, self.ended = threading.Lock(), 0, 0

    # The API, though tether-smd may be away.

    def ask(self, method, path, body=None):
        """(status, answer); None: it has gone away, and what it has heard is not known."""
        try:
            return api.request(self.lab.api_socket, method, path, body, timeout=ANSWER_S)
        except OSError:
            return None

    def ask_again(self, method, path, body=None):
        end = time.monotonic() + PATIENCE_S
        while True:
            heard = self.ask(method, path, body)
            if heard:
                return heard
            assert time.monotonic() < end, f"{method} {path}: nobody answers"
            time.sleep(AWAY_S)

    def begin(self, method, path, body=None):
        """(number, None), or (None, why not)."""
        heard = self.ask(method, path, body)
        if not heard:
            return None, "unheard"
        status, answer = heard
        return (answer["id"], None) if status == 202 else (None, answer["reason"])

    def end_of(self, path, part=lambda answer: answer):
        """A migration, an evacuation or a VM's change when it has ended."""
        seen, end = 0, time.monotonic() + PATIENCE_S
        while True:
            status, answer = self.ask_again("GET", f"{path}?wait=change&seen={seen}")
            assert status == 200, f"{path}: {answer}"
            answer = part(answer)
            if answer["ended"]:
                return answer
            assert time.monotonic() < end, f"{path} does not end: {answer}"
            seen = answer["changes"]

    # What is done.

    def migrate(self, chance):
        alive = self.guests.alive()
        vm = chance.choice(sorted(alive))
        is_abroad = chance.random() < FEW_ABROAD
        to = chance.choice([host for host in self.lab.hosts
                            if host != alive[vm] and (kind_of(host) != kind_of(alive[vm])) == is_abroad])
        number, refused = self.begin("POST", "/v1/migrations", {"vm": vm, "to": to})
        if refused:
            return refused
        if chance.random() < FEW_ABORTED:
            self.ask("POST", f"/v1/migrations/{number}/abort")
        return self.note(self.end_of(f"/v1/migrations/{number}"))

    def note(self, migration):
        begin = migration["asked_us"] / SECOND_US
        span = begin, begin + max([step["ended_us"] for step in migration["steps"]], default=0) / SECOND_US
        with self.counting:
            self.spans.append(span)
            if migration["outcome"] == "lost":
                self.lost.setdefault(migration["vm"], []).append(span)
        return self.note_end("migrate", migration["outcome"], {row["reason"] for row in migration["refusals"]}, span)

    def note_end(self, kind, outcome, reasons, span):
        """The outcome, as it counts."""
        if outcome == "done":
            return outcome
        with self.counting:
            self.why[kind, outcome, ", ".join(sorted(reasons))] += 1
            self.undone.append(((kind, outcome), reasons - NO_REASON, span))
        return REFUSED_AT_A_DEATH if outcome == "refused" and self.lab.deaths.were_between(*span) else outcome

    def undone_for_nothing(self):
        """What was not done though nobody had died, and does not say why it could not be."""
        return [(what, reasons) for what, reasons, span in self.undone
                if not self.lab.deaths.were_between(*span) and not says_why(what, reasons)]

    def evacuate(self, chance):
        begin = time.time()
        number, refused = self.begin("POST", "/v1/evacuations", {"host": chance.choice(self.lab.hosts)})
        if refused:
            return refused
        if chance.random() < FEW_ABORTED:
            self.ask("POST", f"/v1/evacuations/{number}/abort")
        evacuation = self.end_of(f"/v1/evacuations/{number}")
        for vm in evacuation["vms"]:
            with self.counting:
                self.evacuees[vm["state"], vm.get("reason", "")] += 1
            if vm["state"] == "failed" and "migration" not in vm:
                self.note_end("evacuee", "failed", {vm["reason"]}, (begin, time.time()))
            if "migration" in vm:
                self.note(self.end_of(f"/v1/migrations/{vm['migration']}"))
        with self.counting:
            self.evacuations.append((begin, time.time()))
        return evacuation["outcome"]

    def create(self, chance):
        vm = self.guests.take(chance, is_gone=True)
        if not vm:
            return "nobody"
        is_gone = True
        try:
            outcome = self.change("create", vm, "POST", "/v1/vms", self.wish(chance, vm))
            is_gone = vm not in self.guests.alive()
            if is_gone:
                self.guests.end(vm)
        finally:
            self.guests.let_go(vm, is_gone)
        return outcome

    def wish(self, chance, vm):
        host = chance.choice(self.lab.hosts)
        if kind_of(host) != "dynamic" or chance.random() > OWN_GUIDS:
            return {"name": vm, "host": host}
        guid = FIRST_GUID + 2 * self.guests.passing.index(vm)
        return {"name": vm, "host": host, "node_guid": f"0x{guid:016x}", "port_guid": f"0x{guid + 1:016x}"}

    def destroy(self, chance):
        vm = self.guests.take(chance, is_gone=False)
        if not vm:
            return "nobody"
        is_gone = False
        try:
            outcome = self.change("destroy", vm, "DELETE", f"/v1/vms/{vm}")
            is_gone = outcome == "done"
            if is_gone:
                self.guests.end(vm)
        finally:
            self.guests.let_go(vm, is_gone)
        return outcome

    def latest_change(self, vm):
        """Its number, 0 for none."""
        status, answer = self.ask_again("GET", f"/v1/vms/{vm}")
        return answer.get("change", {"id": 0})["id"] if status == 200 else 0

    def change(self, kind, vm, method, path, body=None):
        """To its end; one that nobody has answered may have been taken all the same."""
        begin, before = time.time(), self.latest_change(vm)
        _, refused = self.begin(method, path, body)
        if refused == "unheard" and self.latest_change(vm) > before:
            refused = None
        if refused:
            return refused
        change = self.end_of(f"/v1/vms/{vm}", lambda answer: answer["change"])
        with self.counting:
            self.spans.append((begin, time.time()))
            if change["outcome"] == "done":
                self.guests.lids[vm] = change.get("lid") if kind == "create" and change["dynamic"] else None
        return self.note_end(kind, change["outcome"], {change.get("reason", "")} - {""}, (begin, time.time()))

    # Four at a time.

    def one(self, number):
        chance, kind = random.Random(f"{self.seed}/{number}"), self.deck.draw()
        outcome = getattr(self, kind)(chance)
        has_ended = outcome in ENDS[kind]
        assert has_ended or outcome in EXPLAINED[kind], f"{kind}: {outcome}"
        with self.counting:
            self.outcomes[kind, outcome] += 1
            self.ended += has_ended
        if not has_ended:
            self.deck.put_back(kind)
            time.sleep(DEAD_S if outcome == REFUSED_AT_A_DEATH else REFUSED_S)

    def work(self, actions):
        try:
            while self.failures.empty() and self.ended < actions:
                with self.counting:
                    number, self.begun = self.begun, self.begun + 1
                self.one(number)
        except Exception as error:  # told by the main thread
            self.failures.put(error)

    def run(self, actions, unrest, every):
        """@unrest(chance): something happens to daemons or cables, after each @every actions."""
        workers = [threading.Thread(target=self.work, args=(actions,), daemon=True) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        chance, due = random.Random(f"{self.seed}/unrest"), every
        while any(worker.is_alive() for worker in workers):
            self.lab.deaths.look()
            if due <= self.ended < actions and self.failures.empty():
                unrest(chance)
                due = self.ended + every
            time.sleep(AWAY_S)
        if not self.failures.empty():
            raise self.failures.get()

    # What came of it.

    def most_at_a_time(self):
        """How many migrations, creations and destructions were under way together."""
        return most_together(self.spans)

    def done(self, kind):
        """(done, ended)"""
        return self.outcomes[kind, "done"], sum(self.outcomes[kind, end] for end in ENDS[kind])


def says_why(what, reasons):
    return bool(reasons) and reasons <= set(UNHURT.get(what, ())) and reasons >= NEEDED.get(what, set())


def most_together(spans):
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    count = most = 0
    for _, step in edges:
        count += step
        most = max(most, count)
    return most
