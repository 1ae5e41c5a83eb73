# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""In the place of an orchestrator: unplugs the VF, moves the memory and plugs the other VF in, by QMP, each when tether waits for it, and
reports it (sm-side/orchestrators/README.md). The hosts' drivers confirm what has been done, and drive the way back."""
import time

from lab import api

WAIT_S = 240  # as long as the steps have
PAUSE_S = 0.02


class Refused(Exception):
    """Of tether: it did not begin, or does not take a report; `answer` says why."""

    def __init__(self, status, answer):
        super().__init__(f"status {status}: {answer}")
        self.answer = answer


class Failed(Exception):
    """A step that could not be done here, which is reported as that."""


class Orchestrator:
    """@before: {report: what is called with this, before the step is done}."""

    def __init__(self, lab, vm, to, before=None):
        self.lab, self.vm, self.to, self.before = lab, vm, to, before or {}
        self.guest, self.source = lab.guests[vm], lab.places[vm]
        self.machine, self.there, self.id, self.expected = self.guest.machine, None, None, None

    def ask(self, method, path, body=None):
        # tether-smd answers a wait after 30 s at the latest.
        status, answer = api.request(self.lab.api_socket, method, path, body, timeout=60)
        if status not in (200, 202):
            raise Refused(status, answer)
        return answer

    def look(self, seen):
        return self.ask("GET", f"/v1/migrations/{self.id}?wait=change&seen={seen}")

    def until(self, report=None):
        """The migration, when it waits for @report or has ended."""
        migration = self.look(0)
        while not migration["ended"] and not (report and migration.get("awaits") == report):
            migration = self.look(migration["changes"])
        return migration

    def report(self, step):
        self.ask("POST", f"/v1/migrations/{self.id}/steps", {"step": step})

    # ---- what is done to QEMU ----

    def migration_status(self):
        return self.machine.qmp.execute("query-migrate").get("status")

    def detach(self):
        self.machine.qmp.execute("device_del", id=f"tether-{self.slots[0]}")
        self.machine.qmp.wait_event("DEVICE_DELETED", device=f"tether-{self.slots[0]}", seconds=WAIT_S)

    def move(self):
        """The source's QEMU stays as it is afterwards: its driver sees that the memory has gone, and ends it."""
        self.machine.qmp.execute("migrate-set-capabilities", capabilities=[{"capability": "return-path", "state": True}])
        self.machine.qmp.execute("migrate", uri=f"unix:{self.there.lab.path(f'{self.vm}-{self.to}.incoming')}")
        end = time.monotonic() + WAIT_S
        while (status := self.migration_status()) not in ("completed", "failed", "cancelled"):
            if time.monotonic() > end:
                raise Failed(f"the migration is {status}")
            time.sleep(PAUSE_S)
        if status != "completed":
            raise Failed(f"the migration has {status}")

    def attach(self):
        self.there.qmp.execute("device_add", driver="virtio-net-pci", id=f"tether-{self.slots[1]}", netdev=f"{self.to}-{self.slots[1]}",
                               mac=self.lab.mac(self.to, self.slots[1]), bus="slot0", romfile="")

    # ---- the whole ----

    def begin(self):
        """A QEMU waits for the VM at the destination, and tether knows."""
        self.machine.qmp.forget_events()
        self.there = self.lab.await_at(self.vm, self.to)
        self.expected = self.guest.expect_at(self.there)
        self.id = self.ask("POST", "/v1/migrations", {"vm": self.vm, "to": self.to, "mode": "called"})["id"]

    def run(self):
        """The migration at its end. A step that fails is reported, and tether drives the way back."""
        self.begin()
        migration = self.drive()
        if migration["outcome"] != "done" and self.there.poll() is None:
            self.there.quit()
        return migration

    def drive(self):
        for step, do in (("detached", self.detach), ("moved", self.move), ("attached", self.attach)):
            migration = self.until(step)
            if migration["ended"]:
                return migration
            self.slots = migration["from_slot"], migration["to_slot"]
            try:
                if step in self.before:
                    self.before[step](self)
                do()
            except Failed:
                self.report("failed")
                return self.until()
            self.report(step)
            if step == "moved":
                self.guest.is_at(self.expected)
                self.lab.places[self.vm] = self.to
        return self.until()
