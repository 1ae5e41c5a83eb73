#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether and tether-smd of different age: what the older tether-smd does not know is refused by name before anything is done,
what the newer one says besides is overlooked; an SM whose plugin has not heard of versions is asked as ever."""
import http.server
import json
import os
import socketserver
import threading

from command import refused, tether
from fake_host import OLDEST, VERSION
from smd import Stage, equal, run, wait_until

NEWER = {"of_a_newer_one": {"number": 1, "list": ["x"]}, "newer_text": "x"}


def with_more(said):
    """Every object says more, lists have no more rows."""
    if isinstance(said, dict):
        return {**{name: with_more(value) for name, value in said.items()}, **NEWER}
    return [with_more(one) for one in said] if isinstance(said, list) else said


class NewerSmd(http.server.BaseHTTPRequestHandler):
    """Between tether and the tether-smd of the stage, which answers what it does."""
    smd = None

    def carry(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        status, said = self.smd.ask(self.command, self.path, json.loads(body) if body else None)
        text = json.dumps(with_more(said)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = carry

    def address_string(self):
        return "tether"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Besides:
    """What a command asks of it is what stands before `smd` on a stage."""

    def __init__(self, stage):
        self.api_path = os.path.join(stage.world.directory, "newer.sock")
        self.smd = self
        NewerSmd.smd = stage.smd
        self.server = Server(self.api_path, NewerSmd)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def what_a_newer_tether_smd_says_besides_is_overlooked():
    with Stage() as stage:
        newer = Besides(stage)
        for words in (["vms"], ["hosts"], ["status"], ["plan", "vm1", "hyp2"]):
            equal(tether(newer, *words), tether(stage, *words), words)
            equal(tether(newer, *words)[0], 0, words)
        equal([line.split()[:-2] for line in tether(newer, "agents")[1].splitlines()],
              [line.split()[:-2] for line in tether(stage, "agents")[1].splitlines()])
        status, out, err = tether(newer, "migrate", "vm1", "hyp2")
        equal((status, out.startswith("migration 1: done: vm1 from hyp1 to hyp2, ")), (0, True), err)
        refused(newer, "unknown-vm", "migrate", "vm9", "hyp2")
        newer.close()


def what_an_older_tether_smd_does_not_know_is_refused_by_name():
    with Stage() as stage:
        for path, body in (("/v1/migrations", {"vm": "vm1", "to": "hyp2"}), ("/v1/evacuations", {"host": "hyp1"}),
                           ("/v1/plan", {"vm": "vm1", "to": "hyp2"})):
            status, said = stage.smd.ask("POST", path, {**body, "of_a_newer_one": True})
            equal((status, said["reason"]), (400, "bad-request"), path)
        equal(stage.smd.get("/v1/migrations")[1]["migrations"], [])
        equal(stage.smd.get("/v1/evacuations")[1]["evacuations"], [])
        status, said = stage.smd.ask("POST", "/v1/of_a_newer_one", {})
        equal((status, said["reason"]), (404, "unknown-path"))


def a_plugin_of_the_version_before_is_asked_as_it_knows():
    with Stage() as stage:
        stage.world.sm.stop()
        stage.world.sm.speaks = (OLDEST - 1, OLDEST)
        stage.world.sm.start()
        wait_until("it is linked", lambda: stage.smd.get("/v1/health")[1]["sm_connected"])
        equal(f"linked to the SM at {stage.world.sm.path}, protocol {OLDEST}" in stage.smd.log(), True)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def a_plugin_that_has_not_heard_of_versions_is_too_old():
    with Stage(plan_ms=500) as stage:
        stage.world.sm.stop()
        stage.world.sm.speaks = None
        stage.world.sm.start()
        wait_until("it is said", lambda: "speaks version 5 of the protocol, this tether-smd" in stage.smd.log())
        equal(stage.smd.get("/v1/health")[1]["sm_connected"], False)


def a_plugin_two_versions_apart_is_said_once_and_has_no_migration():
    with Stage(plan_ms=500) as stage:
        stage.world.sm.stop()
        stage.world.sm.speaks = (VERSION + 1, VERSION + 2)
        stage.world.sm.start()
        wait_until("it is said", lambda: "they may be one version apart" in stage.smd.log())
        equal(stage.smd.get("/v1/health")[1]["sm_connected"], False)
        ended = stage.smd.move("vm1", "hyp2")
        equal((ended["outcome"], ended["refusals"][0]["reason"]), ("refused", "sm-lost"))
        stage.world.sm.stop()
        stage.world.sm.speaks = (VERSION, VERSION + 1)
        stage.world.sm.start()
        wait_until("it is linked", lambda: stage.smd.get("/v1/health")[1]["sm_connected"])
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


if __name__ == "__main__":
    run([what_a_newer_tether_smd_says_besides_is_overlooked, what_an_older_tether_smd_does_not_know_is_refused_by_name,
         a_plugin_of_the_version_before_is_asked_as_it_knows,
         a_plugin_that_has_not_heard_of_versions_is_too_old, a_plugin_two_versions_apart_is_said_once_and_has_no_migration])
