# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Two VMs that talk to each other and are moved at once, in each way that somebody may ask for that."""
import collections
import itertools
from concurrent.futures import ThreadPoolExecutor

from faults import whose_turn
from lab import api
from lab.deadline import wait_until
from lab.system import MIGRATE_S, CommandFailed

VMS = ("vm1", "vm2")
# Why one may be aborted that nobody has asked to be.
EXCUSES = {"atomic-unanswered", "window-unanswered"}
# After these the VM is where it was; where messages are lost each may be, for reasons of its own.
GIVEN_UP = ("refused", "aborted", "failed-at-source")
LINK_LOST = "host-not-connected"  # three heartbeats in a row were lost: nothing has begun
AGAIN = 12  # so often one that was given up is asked for


class Pair:
    """@lab's vm1 and vm2. Each way returns whether both were done as they were asked for at first, while both were at it: one of them
    has waited for the other's end, or was put off by an evacuation. @lossy: messages are lost, and @packets."""

    def __init__(self, lab, draw, lossy=False, packets=None, always_connected=True, patience_s=MIGRATE_S):
        # Unless they are, the two may have shared none when they were prepared, and go at once: that does not count.
        self.always_connected, self.shared_nothing = always_connected, 0
        self.patience_s = patience_s
        self.at_once = []  # numbers of two each, to be looked at
        self.lab, self.draw, self.lossy, self.packets = lab, draw, lossy, packets or {}
        self.ended, self.put_off = [], 0
        self.first = collections.Counter()  # VMs whose end the other has waited for
        self.given_up = collections.Counter()  # reasons
        self.at, self.settings = {}, {}
        self.look()

    def look(self):
        self.at = {row["name"]: row["host"] for row in self.lab.ask("/v1/vms")["vms"]}

    def faults(self, settings):
        self.settings = settings
        self.lab.fabric.data_faults({**self.packets, **settings})

    def ways(self):
        return [self.each_to_a_host_of_its_own, self.each_to_where_the_other_was, self.both_to_one_host, self.both_from_one_host,
                self.both_from_one_host_to_one_host, self.by_two_commands, self.by_an_evacuation, self.called,
                self.one_aborted_at_any_step, self.tether_smd_killed_while_one_waits]

    # ---- where to ----

    def others(self, *hosts):
        left = [host for host in self.lab.hosts if host not in hosts]
        self.draw.shuffle(left)
        return left

    def place_apart(self):
        """So that they are on two hosts."""
        if self.at["vm1"] == self.at["vm2"]:
            self.move_undisturbed("vm2", self.others(self.at["vm1"])[0])

    def place_together(self):
        if self.at["vm1"] != self.at["vm2"]:
            self.move_undisturbed("vm2", self.at["vm1"])

    def move_undisturbed(self, vm, host):
        """It may be asked for often, and no transport lives with some faults for so long."""
        settings = self.settings
        self.faults({})
        self.move_at_last(vm, host)
        self.faults(settings)

    def each_to_a_host_of_its_own(self):
        self.place_apart()
        return self.both(*self.others(*self.at.values())[:2])

    def each_to_where_the_other_was(self):
        self.place_apart()
        return self.both(self.at["vm2"], self.at["vm1"])

    def both_to_one_host(self):
        self.place_apart()
        return self.both(*[self.others(*self.at.values())[0]] * 2)

    def both_from_one_host(self):
        self.place_together()
        return self.both(*self.others(self.at["vm1"])[:2])

    def both_from_one_host_to_one_host(self):
        self.place_together()
        return self.both(*[self.others(self.at["vm1"])[0]] * 2)

    # ---- asking ----

    def ask(self, vm, host, **more):
        def number():
            status, answer = api.request(self.lab.api_socket, "POST", "/v1/migrations", {"vm": vm, "to": host, **more})
            assert status == 202 or (self.lossy and answer["reason"] == LINK_LOST), f"{vm} to {host}: {answer}"
            return answer.get("id")

        return wait_until(f"{vm} to {host} is taken up", number, self.patience_s, self.lab.logs())

    def end_of(self, number):
        """The migration when it has ended; the API answers within half a minute in any case."""
        def ended():
            try:
                status, row = api.request(self.lab.api_socket, "GET", f"/v1/migrations/{number}?wait=done", timeout=self.patience_s)
            except OSError:
                return None  # it is being started again
            assert status == 200, row
            return row if row["ended"] else None

        return wait_until(f"migration {number} has ended", ended, self.patience_s, self.lab.logs())

    def both_asked(self, vm1_to, vm2_to, **more):
        """Where to, and their numbers, the first one's first: one at random."""
        to = {"vm1": vm1_to, "vm2": vm2_to}
        order = self.draw.sample(VMS, 2)
        numbers = {vm: self.ask(vm, to[vm], **more) for vm in order}
        first, second = numbers.values()
        row = wait_until("the second waits, or has begun", lambda: self.is_told(second), self.patience_s, self.lab.logs())
        assert row.get("waits_for", first) == first, row
        return to, numbers

    def is_told(self, number):
        row = self.lab.ask(f"/v1/migrations/{number}")
        return row if row.get("waits_for") or row["state"] not in ("locating", "preparing") else None

    def both(self, vm1_to, vm2_to):
        to, numbers = self.both_asked(vm1_to, vm2_to)
        return self.both_end(to, {vm: self.end_of(number) for vm, number in numbers.items()})

    # ---- other ways to ask ----

    def by_two_commands(self):
        self.place_apart()
        to = dict(zip(VMS, self.others(*self.at.values())[:2]))
        with ThreadPoolExecutor(2) as pool:
            said = dict(zip(VMS, pool.map(self.command, VMS, to.values())))
        return self.both_end(to, said)

    def command(self, vm, host):
        def answer():
            try:
                return self.lab.migrate(vm, host, seconds=self.patience_s)
            except CommandFailed as failed:
                if self.lossy and failed.answer.get("reason") == LINK_LOST:
                    return None
                if "outcome" not in failed.answer:
                    raise
                return failed.answer

        return wait_until(f"{vm} to {host} is taken up and ends", answer, self.patience_s, self.lab.logs())

    def by_an_evacuation(self):
        """An evacuation asks again itself for what was busy, not for what was aborted."""
        self.place_together()
        source = self.at["vm1"]
        before = self.numbers()
        try:
            self.lab.tether("evacuate", source, seconds=self.patience_s)
            done = True
        except CommandFailed as failed:
            done = False
            reasons = [vm["reason"] for vm in failed.answer["vms"] if vm["state"] == "failed"]
            assert self.lossy or EXCUSES.issuperset(reasons), failed
            self.given_up.update(reasons)
        rows = [self.lab.ask(f"/v1/migrations/{number}") for number in sorted(self.numbers() - before)]
        self.ended.extend(rows)
        off = self.log_says(whose_turn.put_off, rows)
        assert off or off is None or not done, f"neither was put off: {rows}"
        self.put_off += off or 0
        self.look()
        assert not done or source not in (self.at[vm] for vm in VMS), self.at
        self.finish({vm: self.others(source)[0] for vm in VMS if self.at[vm] == source})
        return done and bool(off)

    def numbers(self):
        return {row["id"] for row in self.lab.ask("/v1/migrations")["migrations"]}

    def called(self):
        """The orchestrator reports each step at once; the hosts carry it out and find it not done yet."""
        self.place_apart()
        to, numbers = self.both_asked(*self.others(*self.at.values())[:2], mode="called")
        with ThreadPoolExecutor(2) as pool:
            rows = list(pool.map(self.orchestrate, numbers.values()))
        return self.both_end(to, dict(zip(numbers, rows)))

    def orchestrate(self, number):
        while True:
            row = self.lab.ask(f"/v1/migrations/{number}")
            if row["ended"]:
                return row
            if row.get("awaits"):
                api.request(self.lab.api_socket, "POST", f"/v1/migrations/{number}/steps", {"step": row["awaits"]})
            else:
                api.request(self.lab.api_socket, "GET", f"/v1/migrations/{number}?wait=change&seen={row['changes']}",
                            timeout=self.patience_s)

    # ---- disturbed ----

    def one_aborted_at_any_step(self):
        self.place_apart()
        to, numbers = self.both_asked(*self.others(*self.at.values())[:2])
        number = numbers[self.draw.choice(VMS)]
        state = self.draw.choice((None, "locating", "preparing", "stopping", "settling", "releasing"))
        if state:
            api.request(self.lab.api_socket, "GET", f"/v1/migrations/{number}?wait={state}", timeout=self.patience_s)
        status, answer = api.request(self.lab.api_socket, "POST", f"/v1/migrations/{number}/abort")
        assert status == 202 or answer["reason"] in ("too-late", "ended"), answer
        return self.both_end(to, {vm: self.end_of(each) for vm, each in numbers.items()}, {"abort-asked"})

    def tether_smd_killed_while_one_waits(self):
        """Who has waited is aborted, since it has asked nobody; the other goes on if it was committed."""
        self.place_apart()
        to, numbers = self.both_asked(*self.others(*self.at.values())[:2])
        self.lab.smd.kill()
        told = self.log_says(whose_turn.told_of, numbers.values())
        self.lab.start_smd()
        self.lab.wait_connected(self.lab.hosts)
        rows = {vm: self.end_of(each) for vm, each in numbers.items()}
        for row, other in itertools.permutations(rows.values() if told else [], 2):
            if other["id"] in told[row["id"]].waited and not told[other["id"]].ended:
                assert row["outcome"] == "aborted" and not row["refusals"], row
        return self.both_end(to, rows, {None})

    # ---- ends ----

    def both_end(self, to, rows, excuses=frozenset()):
        """@rows: the migrations by VM. One that was not done has its reason, and is done when it is asked for again."""
        for vm, row in rows.items():
            reasons = {refusal["reason"] for refusal in row["refusals"]} or {None}
            given_up = row["outcome"] in GIVEN_UP if self.lossy else row["outcome"] == "aborted" and reasons & (EXCUSES | excuses)
            assert row["outcome"] == "done" or given_up, f"{vm}: {row}"
            self.given_up.update(reasons if row["outcome"] != "done" else ())
        self.ended.extend(rows.values())
        waited = self.who_waited(rows)
        self.look()
        left = {vm: to[vm] for vm in VMS if rows[vm]["outcome"] != "done"}
        for vm in VMS:
            assert (self.at[vm] == to[vm]) == (vm not in left), f"{vm} is on {self.at[vm]}: {rows[vm]}"
        self.finish(left)
        return waited and not left

    def log_says(self, what, migrations):
        """None: they had nothing in common when they were prepared, and have gone at once."""
        try:
            return what(self.lab.path("smd.log"), migrations)
        except whose_turn.BothAtOnce:
            if self.always_connected:
                raise
            self.at_once.append([row["id"] if isinstance(row, dict) else row for row in migrations])
            return None

    def look_at_those_at_once(self):
        """That is right where the processes of one have not had a queue pair."""
        for numbers in self.at_once:
            qps = {number: self.lab.ask(f"/v1/migrations/{number}").get("counts", {}).get("qps", 0) for number in numbers}
            assert min(qps.values()) == 0, f"both at once, with queue pairs: {qps}"
            self.shared_nothing += 1
        self.at_once = []

    def who_waited(self, rows):
        """Has one of them? Never have both closed gates, and where both were at it one has had to."""
        vms = {row["id"]: vm for vm, row in rows.items()}
        waited = self.log_says(whose_turn.waited, set(vms))
        if waited:
            self.first[vms[waited[0]]] += 1
        return bool(waited)

    def finish(self, left):
        self.faults({})
        for vm, host in left.items():
            self.move_at_last(vm, host)

    def move_at_last(self, vm, host):
        for _ in range(AGAIN):
            row = self.command(vm, host)
            if row["outcome"] == "done":
                break
            reasons = [refusal["reason"] for refusal in row["refusals"]]
            assert EXCUSES.intersection(reasons) or (self.lossy and row["outcome"] in GIVEN_UP), row
            self.given_up.update(reasons)
        self.look()
        assert self.at[vm] == host, f"{vm} is not on {host}: {row}"

