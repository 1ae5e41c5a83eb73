#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libvirt's hook for QEMU, which tells tether what becomes of a VM and is done: libvirt calls it as

    /etc/libvirt/hooks/qemu NAME OPERATION SUBOPERATION EXTRA        the domain's XML on standard input

holds the domain meanwhile, and takes another exit status than 0 for a refusal. So it calls nothing of libvirt's, says nothing on standard
output (which at `migrate` would be another XML), and leaves what is to be told to a child that has let go of libvirt's pipes. Only
`migrate begin` is ever refused, and only where the settings say so. See orchestrators/libvirt.md."""
import json
import os
import re
import socket
import subprocess
import sys
import syslog
import time
from xml.parsers import expat

SETTINGS_FILE = "/etc/tether/libvirt-hook.conf"
SETTINGS = {
    "api": "/run/tether/api.sock",  # of tether-smd; "": it cannot be reached from this host
    "host": "",  # as tether calls this server; "": as it calls itself
    "vm": "name",  # name or uuid: by what tether knows its VMs
    "stock": "systemctl --no-block reload tether-agent.service",  # has the agent ask its driver what there is; "": nothing does
    "guard": "off",  # off, on or strict: see may_come
    "guard_ms": "2000",  # for tether to answer the guard
    "patience_s": "30",  # for tether to take a report
    "log": "syslog",  # or a file
}
XML_MOST = 4 << 20  # bytes that are looked at
UUID_CHARACTERS = 36
ANSWER_MOST = 8 << 20
STOCK_S = 20
PAUSE_S = 0.2
VM_NAME = re.compile(r"[A-Za-z0-9_:@-][A-Za-z0-9_.:@-]{0,63}")  # what tether may call a VM: others are none of its
# How a domain ends (EXTRA of `release`, since libvirt 10.5; "-" before it, which may be any of them).
MOVED = ("migrated", "-")
# After these the driver finds other VMs here than before.
NEW_STOCK = (("started", "begin"), ("reconnect", "begin"), ("attach", "begin"), ("release", "end"))


class Away(Exception):
    """tether does not answer, or not to the point."""


def settings_read(path):
    """What is wrong with the file leaves the rest of it as it is without: a hook that fails stops a VM."""
    settings, wrong = dict(SETTINGS), []
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                key, equals, value = (part.strip() for part in line.split("#")[0].partition("="))
                if not key and not equals:
                    continue
                if key not in SETTINGS or not equals or (key in ("guard_ms", "patience_s") and not re.fullmatch(r"[0-9]{1,6}", value)) or \
                        (key == "guard" and value not in ("off", "on", "strict")) or (key == "vm" and value not in ("name", "uuid")):
                    wrong.append(f"{path}:{number}: is not a setting")
                    continue
                settings[key] = value
    except FileNotFoundError:
        pass
    except OSError as error:
        wrong.append(f"{path}: {error.strerror}")
    settings["host"] = settings["host"] or socket.gethostname()
    return settings, wrong


class Log:
    def __init__(self, where, about):
        self.where, self.about = where, about

    def __call__(self, text):
        """Control characters of a name or an answer do not become lines of their own."""
        line = re.sub(r"[\x00-\x1f\x7f]", "?", f"{self.about}: {text}")
        try:
            if self.where == "syslog":
                syslog.openlog("tether-libvirt-hook", syslog.LOG_PID, syslog.LOG_DAEMON)
                syslog.syslog(line)
            else:
                with open(self.where, "a", encoding="utf-8", errors="replace") as log:
                    log.write(line + "\n")
        except OSError:
            pass


# ---- what libvirt says ----

class Domain:
    """What is believed of a domain's XML: its UUID, and which functions of PCI devices it has. It may come from another host's
    libvirtd, so it decides about this VM alone, and of nothing but whether it may come."""

    def __init__(self, xml):
        self.uuid, self.devices, self.unplugged = "", 0, 0
        self.path, self.is_vf, self.is_transient = [], False, False
        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = self.begin, self.end, self.text
        parser.StartDoctypeDeclHandler = self.doctype  # libvirt writes none; with it go all entities
        parser.Parse(xml, True)
        if not re.fullmatch(f"[0-9a-f-]{{0,{UUID_CHARACTERS}}}", self.uuid):
            raise ValueError("its UUID is none")

    def doctype(self, *_):
        raise ValueError("has a document type")

    def begin(self, name, attributes):
        self.path.append(name)
        if self.path[:2] != ["domain", "devices"]:
            return
        if len(self.path) == 3:
            self.is_vf = (name == "interface" and attributes.get("type") == "hostdev") or \
                (name == "hostdev" and (attributes.get("mode", "subsystem"), attributes.get("type")) == ("subsystem", "pci"))
            self.is_transient = False
        elif len(self.path) == 4 and name == "teaming":
            self.is_transient = attributes.get("type") == "transient"

    def end(self, _):
        if self.path[:2] == ["domain", "devices"] and len(self.path) == 3 and self.is_vf:
            self.devices += 1
            self.unplugged += self.is_transient
            self.is_vf = False
        self.path.pop()

    def text(self, text):
        """Of one that has been too long for a while no more is kept: it comes in pieces, and libvirt waits."""
        if self.path == ["domain", "uuid"] and len(self.uuid) <= UUID_CHARACTERS:
            self.uuid += text.strip()


def xml_read():
    """All is read, since libvirt waits for that; None: more than is looked at."""
    xml, more, too_much = b"", True, False
    while more:
        more = sys.stdin.buffer.read(1 << 16)
        too_much |= len(xml) + len(more) > XML_MOST
        if not too_much:
            xml += more
    return None if too_much else xml


def domain_of(xml, log):
    """None: nothing is known of it."""
    try:
        if xml is None:
            raise ValueError("is larger than any")
        return Domain(xml)
    except (ValueError, expat.ExpatError, RecursionError) as error:
        log(f"the domain's XML is not looked at: {error}")
        return None


# ---- what tether says ----

class Api:
    """HTTP over a unix socket; each question has until the same time."""

    def __init__(self, path, until):
        self.path, self.until = path, until

    def left(self):
        left = self.until - time.monotonic()
        if left <= 0:
            raise Away("it has not answered in time")
        return left

    def exchange(self, request):
        answer = b""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(self.left())
            link.connect(self.path)
            link.sendall(request)
            while len(answer) <= ANSWER_MOST:
                link.settimeout(self.left())
                more = link.recv(1 << 16)
                if not more:
                    return answer
                answer += more
        raise Away("its answer has no end")

    def ask(self, method, path, body=None):
        """(status, the answer's object)"""
        text = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n"
        try:
            answer = self.exchange(head.encode() + text)
            start, _, rest = answer.partition(b"\r\n\r\n")
            status = re.match(rb"HTTP/1\.[01] ([0-9]{3}) ", start)
            found = json.loads(rest)
            if not status or not isinstance(found, dict):
                raise ValueError("it is not an object")
        except (OSError, ValueError, RecursionError) as error:
            raise Away(f"{self.path}: {error}") from None
        return int(status[1]), found

    def rows(self, name):
        status, answer = self.ask("GET", f"/v1/{name}")
        rows = answer.get(name)
        if status != 200 or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Away(f"{self.path}: status {status} of {name}")
        return rows

    def migration_of(self, vm):
        """The one that is under way; None: there is none."""
        return next((row for row in self.rows("migrations") if row.get("vm") == vm and row.get("ended") is False), None)


def report_of(migration, host, extra):
    """What the end of the VM's QEMU on @host means for its migration, which waits to hear of the memory; None: nothing."""
    if not migration or migration.get("mode") != "called":
        return None
    if migration.get("from") == host:
        return "moved" if extra in MOVED else "failed"
    # One that came here and has ended before it was at work.
    return "failed" if migration.get("to") == host and extra != "migrated" else None


def tell_end(api, vm, host, extra, log):
    """Until it is taken: tether-smd may just be started again, or have heard less than libvirt knows."""
    said = ""
    while True:
        try:
            migration = api.migration_of(vm)
            step = report_of(migration, host, extra)
            if not step:
                log("nobody waits for it")
                return
            if migration.get("awaits") == "moved":
                status, answer = api.ask("POST", f"/v1/migrations/{int(migration['id'])}/steps", {"step": step})
                if status == 202:
                    log(f"migration {migration['id']}: {step} is reported")
                    return
                said = f"migration {migration['id']}: {step} is not taken: {answer.get('reason')}"
            elif migration.get("awaits") or migration.get("state") not in ("detaching", "recovering"):
                log(f"migration {migration['id']}: in {migration.get('state')} it waits for no such report")
                return
        except (Away, KeyError, TypeError) as error:
            said = f"not told: {error}"
        if time.monotonic() + PAUSE_S > api.until:
            log(said or "not told: tether was not ready for it")
            return
        time.sleep(PAUSE_S)


def may_come(api, vm, host, domain):
    """None: it may; else why not. With its VF a domain is migrated only where QEMU itself unplugs that (teaming), which waits for nobody's
    RELEASE; and whoever has detached a VM's VF without tether has not waited for it either."""
    migration = api.migration_of(vm)
    if migration:
        number, state, mode = migration.get("id"), migration.get("state"), migration.get("mode")
        if migration.get("to") != host:
            return f"migration {number} of tether takes it to {migration.get('to')}"
        if domain.devices:
            return f"migration {number} of tether is under way, and the domain still has {domain.devices} PCI devices"
        if (mode, state) == ("driven", "moving") or (mode, migration.get("awaits")) == ("called", "moved"):
            return None
        return f"migration {number} of tether is {state}: it does not wait for the memory, its VF may be in use"
    for row in api.rows("vms"):
        if row.get("name") == vm and row.get("slot"):
            return f"it has a VF ({row.get('slot')} of {row.get('host')}): ask tether to migrate it"
    return None


# ---- what the hook does ----

def in_background(work, log):
    """libvirt waits for our end and for that of its pipes; @work has neither."""
    if os.fork():
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nowhere, fd)
        work()
    except Exception as error:  # it has nobody to tell
        log(f"not told: {error}")
    finally:
        os._exit(0)


def take_stock(command, log):
    try:
        subprocess.run(command.split(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=STOCK_S,
                       check=True)
    except (OSError, subprocess.SubprocessError) as error:
        log(f"the agent is not told: {error}")


def tell(settings, vm, operation, extra, log):
    """An agent takes stock when it is given an order, too: during a migration it does not depend on this."""
    if settings["stock"]:
        take_stock(settings["stock"], log)
    if operation == "release" and settings["api"]:
        tell_end(Api(settings["api"], time.monotonic() + int(settings["patience_s"])), vm, settings["host"], extra, log)


def guard(settings, vm, xml, log):
    """The exit status."""
    domain = domain_of(xml, log)
    if domain and domain.unplugged:
        log(f"QEMU unplugs {domain.unplugged} of its devices when it migrates, and waits for no program that uses them")
    if settings["guard"] == "off":
        return 0
    try:
        if not domain:
            raise Away("what the domain has is not known")
        if not settings["api"]:
            raise Away("there is no way to it from this host")
        why = may_come(Api(settings["api"], time.monotonic() + int(settings["guard_ms"]) / 1000), vm, settings["host"], domain)
    except Away as error:
        why = f"tether cannot be asked: {error}" if settings["guard"] == "strict" else None
        log(f"tether cannot be asked: {error}")
    if not why:
        return 0
    log(f"may not come: {why}")
    print(f"tether: {vm} may not come: {why}", file=sys.stderr)
    return 1


def main(arguments):
    name, operation, suboperation, extra = (arguments + ["-"] * 4)[:4]
    settings, wrong = settings_read(os.environ.get("TETHER_LIBVIRT_HOOK", SETTINGS_FILE))
    log = Log(settings["log"], f"{name} {operation} {suboperation} {extra}")
    for text in wrong:
        log(text)
    xml, vm = xml_read(), name
    if settings["vm"] == "uuid":
        domain = domain_of(xml, log)
        vm = domain.uuid if domain else ""
    if not VM_NAME.fullmatch(vm):
        log("is none of tether's VMs")
        return 0
    if (operation, suboperation) == ("migrate", "begin"):
        return guard(settings, vm, xml, log)
    if (operation, suboperation) in NEW_STOCK:
        in_background(lambda: tell(settings, vm, operation, extra, log), log)
    return 0


if __name__ == "__main__":
    # A reconnect that is refused kills a VM that runs: what is wrong with the hook is never libvirt's concern.
    try:
        ended = main(sys.argv[1:])
    except Exception as error:
        syslog.openlog("tether-libvirt-hook", syslog.LOG_PID, syslog.LOG_DAEMON)
        syslog.syslog(f"has failed: {error!r}")
        ended = 0
    sys.exit(ended)
