# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A process with libtether, as tether-smd sees it through its agent."""
import wire

BROKEN = wire.SCHEMA.enums["EvidenceFlag"]["EVIDENCE_BROKEN"]


def lids_of(event):
    """By which the VM is known: those of its VFs."""
    return {event["address"]["lid"], *event["known_lids"]}


class Shim:
    """A process with libtether: the steps it has been through, and no more than that."""

    def __init__(self, world, vm, pid):
        self.world, self.vm, self.name, self.pid = world, vm, f"{vm}/{pid}.{pid * 7}", pid
        self.qps, self.step, self.history, self.broken = {}, "STEP_NONE", [], False
        self.hears = set()  # LIDs, by datagrams
        self.rest = "running"  # what it is where nothing moves
        self.moves, self.moving, self.asked = {}, {}, 0  # what it is in each migration; of which VM; which asks now

    @property
    def open(self):
        return next(iter(self.moves), 0)

    @property
    def state(self):
        if self.asked:
            return self.moves.get(self.asked, self.rest)
        return self.rest if self.rest == "errored" else next((s for s in self.moves.values() if s != "running"), self.rest)

    @state.setter
    def state(self, state):
        if self.asked and state not in ("errored", "running"):
            self.moves[self.asked] = state
        else:
            self.rest = state

    def lid_of(self, qp):
        """Of the VF that it is on: its VM's first, unless it says another one."""
        return qp.get("lid", self.world.vms[self.vm]["lid"])

    def rows(self, event):
        lids = lids_of(event)
        return [{"local_lid": self.lid_of(qp), "local_qpn": qpn, "real_qpn": qp["real"], "remote_lid": qp["remote_lid"],
                 "remote_qpn": qp["remote_qpn"], "sq_psn": 7, "context": self.pid, "real_lid": self.lid_of(qp),
                 "of_vm": int(self.lid_of(qp) in lids)}
                for qpn, qp in self.qps.items() if lids & {self.lid_of(qp), qp["remote_lid"]}]

    def talks_to(self):
        return self.hears | {q["remote_lid"] for q in self.qps.values()}

    def is_concerned(self, event):
        if self.vm == event["vm"]:
            return event["to_vm"]
        return event["to_peers"] and bool(lids_of(event) & self.talks_to())

    def ask(self, event):
        """An answer's parts, or None: no answer."""
        step, kind = event["step"], self.world.fault_now(self.name, event["step"])
        if callable(kind):
            kind = kind()
        if kind == "silent":
            return None
        if kind in ("refuse", "fail", "device-lost"):
            reason = kind if kind == "device-lost" else f"test-{kind}"
            return {"outcome": "OUTCOME_REFUSED" if kind == "refuse" else "OUTCOME_FAILED",
                    "refusals": [{"who": f"{self.vm}/{self.pid} prog", "reason": reason, "text": "as asked"}]}
        if step != "STEP_PREPARE" and event["migration"] not in self.moves:
            return {"outcome": "OUTCOME_DONE"}  # not ours, or over
        self.history.append(step)
        self.asked = event["migration"]
        try:
            self.look_for_another(event)
            answer = getattr(self, step.lower())(event)
        finally:
            self.asked = 0
        self.step = step
        return {"outcome": "OUTCOME_DONE", **answer}

    def look_for_another(self, event):
        """Of two migrations that stop it neither may move its own VM."""
        stopped_by = [m for m, state in self.moves.items() if state != "running" and m != event["migration"]]
        if event["step"] == "STEP_STOP" and any(self.vm in (event["vm"], self.moving[m]) for m in stopped_by):
            self.world.log.append(f"{self.name} is stopped by {event['migration']} in the middle of {stopped_by}")

    def wrong(self, event):
        self.world.log.append(f"{self.name} was asked {event['step']} while {self.state}")
        return {"outcome": "OUTCOME_REFUSED"}

    def evidence(self, event, flags):
        return [{"local_lid": r["local_lid"], "local_qpn": r["local_qpn"], "remote_lid": r["remote_lid"],
                 "remote_qpn": r["remote_qpn"], "flags": flags} for r in self.rows(event)]

    def step_prepare(self, event):
        if self.state != "running":
            return {"outcome": "OUTCOME_REFUSED"} if self.state == "errored" else self.wrong(event)
        self.moves[event["migration"]] = "running"
        self.moving[event["migration"]] = event["vm"]
        return {"qps": self.rows(event), "counts": {"processes": 1, "qps": len(self.qps)}}

    def step_stop(self, event):
        if self.state == "voted":
            return {"evidence": self.evidence(event, BROKEN)}
        if self.state not in ("running", "stopped"):
            return self.wrong(event)
        self.state = "stopped"
        return {"evidence": self.evidence(event, BROKEN) if self.broken else []}

    def step_settle(self, event):
        if self.state not in ("stopped", "voted"):
            return self.wrong(event)
        self.state = "voted"
        return {"evidence": self.evidence(event, BROKEN), "qps": self.rows(event)}

    def step_release(self, event):
        if self.state not in ("voted", "released"):
            return self.wrong(event)
        others = {(e["local_lid"], e["local_qpn"]) for e in wire.rows_of(event["evidence"])}
        if any((q["remote_lid"], q["remote_qpn"]) not in others for q in self.qps.values()
               if lids_of(event) & {q["remote_lid"], self.lid_of(q)}):
            self.world.log.append(f"{self.name}: RELEASE without the other side's evidence")
        if self.vm == event["vm"]:
            self.state = "released"
        return {}

    def step_attach(self, event):
        if self.state not in ("released", "rebuilt", "voted") or len(self.world.slot_of(self.vm)) != len(self.world.guids_of(self.vm)):
            return self.wrong(event)
        self.state = "rebuilt"
        for qp in self.qps.values():
            qp["real"] += 0x1000
        return {"qps": self.rows(event),
                "keys": [{"context": self.pid, "virtual_rkey": 5, "real_rkey": 6}]}

    def step_reconnect(self, event):
        if self.state not in ("rebuilt", "voted", "connected"):
            return self.wrong(event)
        numbers = {(r["local_lid"], r["local_qpn"]): r["real_qpn"] for r in wire.rows_of(event["qps"])}
        for row in self.rows(event):
            qp = self.qps[row["local_qpn"]]
            qp["connected_to"] = numbers.get((row["remote_lid"], row["remote_qpn"]))
        self.state = "connected"
        return {}

    def step_resume(self, event):
        mine = [self.qps[row["local_qpn"]] for row in self.rows(event)]
        lost = [q for q in mine if "connected_to" in q and q["connected_to"] is None]
        if self.state not in ("connected", "voted", "stopped"):
            return self.wrong(event)
        self.end("errored" if lost or self.state != "connected" else "running")
        for row in self.rows(event):
            self.qps[row["local_qpn"]].pop("connected_to", None)
        return {"counts": {"replayed": 3, "made_up": 2, "errors": len(lost)}}

    def step_abort(self, event):
        if self.state in ("released", "rebuilt", "connected"):
            return self.wrong(event)
        if self.state == "voted" or self.broken and self.state == "stopped":
            return {"evidence": self.evidence(event, BROKEN)}
        self.end("running")
        return {}

    def step_error(self, event):
        self.end("errored")
        return {}

    def end(self, state):
        self.moves.pop(self.asked)
        if self.rest != "errored":
            self.rest = state
