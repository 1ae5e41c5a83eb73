# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-smd as a child process of a test, and its API."""
import json
import os
import re
import resource
import socket
import sqlite3
import subprocess
import sys
import tempfile
import traceback

import fakes

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.api import UnixConnection  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.told_to_end import end_properly_when_told  # noqa: E402

BUILD = os.path.abspath(os.environ.get("TETHER_BUILD", "build"))
ANSWER_S = 60  # the API holds an answer back for 30
WAL_FRAME = 24 + 4096  # by which the journal grows with each page that a record changes


class Smd:
    def __init__(self, directory, fabric="opensm", **settings):
        self.directory, self.child = directory, None
        self.api_path, self.config = os.path.join(directory, "api.sock"), os.path.join(directory, "smd.conf")
        self.journal = os.path.join(directory, "journal")
        settings = {"heartbeat_ms": 2000, "reconnect_link_ms": 5, "log_level": "debug", **settings}
        with open(self.config, "w") as conf:
            conf.write(f"listen = unix:{directory}/agents.sock\napi = {self.api_path}\njournal = {self.journal}\n"
                       f"fabric = {fabric}\nsm_socket = {directory}/sm.sock\nlog = {directory}/smd.log\n")
            conf.writelines(f"{k} = {v}\n" for k, v in settings.items())

    def start(self, room=None, **env):
        """@room: so many bytes may be added to the journal, as on a disk that is nearly full; stderr is a pipe then."""
        more = {}
        if room is not None:
            limit = os.path.getsize(self.journal + "-wal") + room
            more = {"restore_signals": False, "stderr": subprocess.PIPE,
                    "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))}
        self.child = subprocess.Popen([f"{BUILD}/bin/tether-smd", "--config", self.config], env={**os.environ, **env}, **more)
        wait_until("tether-smd answers", self.answers)

    def make_room(self):
        resource.prlimit(self.child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def answers(self):
        if self.child.poll() is not None:
            return True  # died at once, as a test may want it to
        try:
            return self.get("/v1/health")[0] == 200
        except OSError:
            return False

    def kill(self):
        self.child.kill()
        return self.wait()

    def stop(self):
        self.child.terminate()
        return self.wait()

    def wait(self):
        return self.child.wait(30)

    def ask(self, method, path, body=None):
        connection = UnixConnection(self.api_path, ANSWER_S)
        try:
            connection.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body))
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()

    def get(self, path):
        return self.ask("GET", path)

    def raw(self, data):
        """What comes back for these bytes; b"" if the link is closed."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(self.api_path)
            answer = b""
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while more := sock.recv(65536):
                    answer += more
            except OSError:
                pass
            return answer

    def migrate(self, vm, to, **more):
        return self.ask("POST", "/v1/migrations", {"vm": vm, "to": to, **more})

    def wait_for(self, number, state="done"):
        """The migration, when it has that state or has ended."""
        while True:
            status, migration = self.get(f"/v1/migrations/{number}?wait={state}")
            if status != 200 or migration["ended"] or migration["state"] == state:
                return migration

    def move(self, vm, to, **more):
        status, answer = self.migrate(vm, to, **more)
        if status != 202:
            raise AssertionError(f"refused: {answer}")
        return self.wait_for(answer["id"])

    def hosts_here(self, count):
        wait_until(f"{count} hosts are here", lambda: self.get("/v1/health")[1]["hypervisors"] == count)

    def all_here(self, count):
        """Hosts and the SM, where there is one: whoever asks for a VM's move before is refused."""
        self.hosts_here(count)
        if "fabric = opensm" in open(self.config).read():
            wait_until("the SM is here", lambda: self.get("/v1/health")[1]["sm_connected"])

    def log(self):
        if not os.path.exists(os.path.join(self.directory, "smd.log")):
            return ""
        with open(os.path.join(self.directory, "smd.log"), errors="replace") as log:
            return log.read()


    def lines_without_number(self):
        """Each line about a migration, or a VM that comes or goes, has its number and epoch."""
        return [line for line in self.log().splitlines()
                if re.search(r" \w+ (migration|vm): ", line) and not re.search(r" \w+ (migration|vm): [1-9][0-9]*/[1-9][0-9]* ", line)]


class Locked:
    """A journal in which somebody else writes, so that it takes no record."""

    def __init__(self, smd):
        self.smd, self.db = smd, None

    def __call__(self):
        self.db = sqlite3.connect(self.smd.journal, isolation_level=None, check_same_thread=False)
        self.db.execute("BEGIN IMMEDIATE")

    def unlock(self):
        self.db.execute("ROLLBACK")
        self.db.close()


class Stage:
    """A world with vm1 on hyp1 and vm2 on hyp3, two processes in each, and tether-smd over it."""

    def __init__(self, fabric="opensm", env=None, world=fakes.World, **settings):
        self.temporary = tempfile.TemporaryDirectory(prefix="smd.")
        self.world = world(self.temporary.name)
        self.world.vm("vm1", "hyp1")
        self.world.vm("vm2", "hyp3")
        a, b, c, d = (self.world.process(vm, pid) for vm, pid in (("vm1", 11), ("vm1", 12), ("vm2", 21), ("vm2", 22)))
        self.world.connect(a, c)
        self.world.connect(a, d)
        self.world.connect(b, d)
        self.smd = Smd(self.temporary.name, fabric, **settings)
        self.env, self.host_count = env or {}, 3

    def __enter__(self):
        self.world.start()
        self.smd.start(**self.env)
        if self.smd.child.poll() is None:
            self.smd.all_here(self.host_count)
        return self

    def __exit__(self, kind, value, trace):
        status = self.smd.stop() if self.smd.child.poll() is None else 0
        self.world.stop()
        nameless = self.smd.lines_without_number()
        if kind:
            print("\n".join("# " + line for line in self.smd.log().splitlines()[-60:]))
        self.temporary.cleanup()
        if not kind:
            equal(status, 0, "exit status of tether-smd")
            equal(nameless, [], "lines of the log that do not say which migration, or VM's change, they are of, and of which epoch")


def equal(found, expected, what=""):
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


class Skipped(Exception):
    """Cannot be shown here, for the reason it says; nothing has been shown."""


def run(tests):
    """TAP of functions named after what they promise."""
    failed = 0
    for number, test in enumerate(tests, 1):
        name = re.sub("_", " ", test.__name__)
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Skipped as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception:
            failed += 1
            print("".join("# " + line + "\n" for line in traceback.format_exc().splitlines()), end="")
            print(f"not ok {number} - {name}", flush=True)
    sys.exit(1 if failed else 0)


end_properly_when_told()
