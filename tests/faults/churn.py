# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs that come, move, are evacuated and go, several at a time, as an orchestrator's users would have it."""
import collections
import os
import queue
import random
import signal
import threading
import time

from lab import api
from lab.deadline import wait_until

WORKERS = 4
ANSWER_S = 40  # the API holds an answer back for 30
PATIENCE_S = 120
SOON_S = 30
AWAY_S = 0.05

HAPPENED = {"done", "refused", "aborted", "failed-at-source", "lost", "incomplete"}
KINDS = ("migrate",) * 14 + ("evacuate",) * 2 + ("create",) * 2 + ("destroy",) * 2


class Guests:
    """The VMs that the fabric has. One that is destroyed has no VF and is no agent's; its name comes back with the next."""

    def __init__(self, lab):
        self.lab, self.gone = lab, set()  # names of those that were destroyed

    def slots(self):
        return self.lab.fabric.slots()

    def alive(self):
        """{VM: host} of those with a VF."""
        return {row["vm"]: row["hypervisor"] for row in self.slots() if row["vm"]}

    def link(self, vm):
        return self.lab.path("vms", f"{vm}.sock")

    def announce(self, host):
        """The agent looks at what there is; one that is being started again does so anyway."""
        self.lab.agents[host].signal(signal.SIGHUP)

    def known(self, vm, at, host):
        """tether-smd has heard of it from @at, whose agent may be started again meanwhile; then it looks by itself."""
        def is_known():
            try:
                return {row["name"]: row["host"] for row in self.lab.ask("/v1/vms")["vms"]}.get(vm) == host
            except OSError:
                return False

        self.announce(at)
        wait_until(f"{vm} is {'on ' + host if host else 'gone'}", is_known, SOON_S, self.lab.logs())

    def create(self, vm, slot):
        host = slot.rsplit("_", 1)[0]
        os.symlink(self.lab.agent_vm_socket(host, vm), self.link(vm))
        self.lab.fabric.attach(vm, slot)
        self.known(vm, host, host)
        self.gone.discard(vm)

    def destroy(self, vm):
        host = self.alive()[vm]
        self.lab.fabric.detach(vm)
        os.unlink(self.link(vm))
        self.known(vm, host, None)
        self.gone.add(vm)


class Churn:
    """@lasting: VMs that programs run in, so that they are moved and never destroyed; @passing: the others' names."""

    def __init__(self, lab, lasting, passing, seed):
        self.lab, self.seed = lab, seed
        self.guests, self.lasting, self.passing = Guests(lab), sorted(lasting), sorted(passing)
        self.outcomes = collections.Counter()  # (kind, outcome)
        self.lost = set()                      # VMs whose connections have ended
        self.failures = queue.Queue()
        self.counting, self.begun, self.ended = threading.Lock(), 0, 0  # those that were not refused at the request
        # Who creates a VM takes a slot that nobody has promised to a migration: none begins meanwhile.
        self.beginning, self.emptying = threading.RLock(), threading.Lock()

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

    def end_of(self, path):
        """A migration or an evacuation when it has ended."""
        seen, end = 0, time.monotonic() + PATIENCE_S
        while True:
            status, answer = self.ask_again("GET", f"{path}?wait=change&seen={seen}")
            assert status == 200, f"{path}: {answer}"
            if answer["ended"]:
                return answer
            assert time.monotonic() < end, f"{path} does not end: {answer}"
            seen = answer["changes"]

    # What is done.

    def migrate(self, chance):
        alive = self.guests.alive()
        vm = chance.choice(sorted(alive))
        to = chance.choice([host for host in self.lab.hosts if host != alive[vm]])
        with self.beginning:
            heard = self.ask("POST", "/v1/migrations", {"vm": vm, "to": to})
        if not heard:
            return "unheard"
        status, answer = heard
        if status != 202:
            return answer["reason"]
        if chance.random() < 0.1:
            self.ask("POST", f"/v1/migrations/{answer['id']}/abort")
        return self.note(self.end_of(f"/v1/migrations/{answer['id']}"))

    def note(self, migration):
        if migration["outcome"] == "lost":
            with self.counting:
                self.lost.add(migration["vm"])
        return migration["outcome"]

    def evacuate(self, chance):
        body = {"host": chance.choice(self.lab.hosts)}
        with self.emptying:
            heard = self.ask("POST", "/v1/evacuations", body)
            if not heard:
                return "unheard"
            status, answer = heard
            if status != 202:
                return answer["reason"]
            if chance.random() < 0.2:
                self.ask("POST", f"/v1/evacuations/{answer['id']}/abort")
            evacuation = self.end_of(f"/v1/evacuations/{answer['id']}")
        for vm in evacuation["vms"]:
            if "migration" in vm:
                self.note(self.end_of(f"/v1/migrations/{vm['migration']}"))
        return evacuation["outcome"]

    def nothing_is_promised(self):
        """Slots of migrations under way are theirs: those that are left over."""
        status, answer = self.ask_again("GET", "/v1/migrations")
        taken = {slot for row in answer["migrations"] if not row["ended"] for slot in (row["from_slot"], row["to_slot"])}
        return [row["slot"] for row in self.guests.slots() if not row["vm"] and row["slot"] not in taken]

    def create(self, chance):
        with self.emptying, self.beginning:
            gone, free = sorted(self.guests.gone), self.nothing_is_promised()
            if not gone or not free:
                return "no room"
            self.guests.create(gone[0], chance.choice(free))
        return "done"

    def is_moving(self, vm):
        return any(row["vm"] == vm and not row["ended"]
                   for row in self.ask_again("GET", "/v1/migrations")[1]["migrations"])

    def destroy(self, chance):
        with self.emptying, self.beginning:
            there = [vm for vm in self.passing if vm in self.guests.alive() and not self.is_moving(vm)]
            if not there:
                return "nobody"
            self.guests.destroy(chance.choice(there))
        return "done"

    # Four at a time.

    def work(self, actions):
        try:
            while self.failures.empty():
                with self.counting:
                    if self.ended >= actions:
                        return
                    number, self.begun = self.begun, self.begun + 1
                chance = random.Random(f"{self.seed}/{number}")
                kind = chance.choice(KINDS)
                outcome = getattr(self, kind)(chance)
                with self.counting:
                    self.outcomes[kind, outcome] += 1
                    self.ended += outcome in HAPPENED
        except Exception as error:  # told by the main thread
            self.failures.put(error)

    def run(self, actions, unrest, every):
        """@unrest(chance): something happens to daemons or cables, after each @every actions."""
        workers = [threading.Thread(target=self.work, args=(actions,), daemon=True) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        chance, due = random.Random(f"{self.seed}/unrest"), every
        while any(worker.is_alive() for worker in workers):
            if self.ended >= due and self.ended < actions:
                unrest(chance)
                due = self.ended + every
            workers[0].join(0.01)
            if not workers[0].is_alive():
                workers = [worker for worker in workers if worker.is_alive()] or workers[:1]
        if not self.failures.empty():
            raise self.failures.get()
