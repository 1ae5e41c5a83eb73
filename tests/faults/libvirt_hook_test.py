#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""sm-side/orchestrators/libvirt_hook.py, called as libvirt calls /etc/libvirt/hooks/qemu (libvirt.org/hooks.html): four arguments, the
domain's XML on standard input, nothing in the environment. It reports to tether-smd; whatever it meets, only `migrate begin` is ever
refused, and only where its settings say so, nothing is said on standard output, and libvirt waits for nobody."""
import contextlib
import os
import re
import runpy
import shutil
import socket
import subprocess
import tempfile
import threading

from crowd import Held
from smd import Stage, equal, run, wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOOK = os.path.join(TOP, "sm-side", "orchestrators", "libvirt_hook.py")
UUID = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0"
# (operation, suboperation, extra) as libvirt calls them, in the order of a migration: at the destination, then at the source.
COMING = [("migrate", "begin", "-"), ("prepare", "begin", "-"), ("start", "begin", "-"), ("started", "begin", "-")]
GOING = [("stopped", "end", "-"), ("release", "end", "migrated")]
OTHERS = [("reconnect", "begin", "-"), ("attach", "begin", "-"), ("restore", "begin", "-"), ("release", "end", "-"),
          ("release", "end", "from snapshot"), ("release", "end", "daemon"), ("what comes", "in a later", "libvirt")]
ADDRESS = "<address domain='0x0000' bus='0x81' slot='0x00' function='0x{:x}'/>"
HOSTDEV = ("<hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/><source>" + ADDRESS.format(2) +
           "</source><alias name='hostdev0'/><address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/></hostdev>")
INTERFACE = ("<interface type='hostdev' managed='yes'><mac address='52:54:00:6d:90:02'/><driver name='vfio'/><source><address type='pci' "
             "domain='0x0000' bus='0x81' slot='0x00' function='0x3'/></source>{}</interface>")
TEAMED = INTERFACE.format("<teaming type='transient' persistent='ua-backup0'/>")
PERSISTENT = ("<interface type='network'><source network='default'/><model type='virtio'/><teaming type='persistent'/>"
              "<alias name='ua-backup0'/></interface>")
USB = "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>"


def domain(*devices, name="vm1", uuid=UUID, more=""):
    return (f"<domain type='kvm' id='3'>\n  <name>{name}</name>\n  <uuid>{uuid}</uuid>\n{more}  <memory unit='KiB'>262144</memory>\n"
            f"  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>\n  <devices>{''.join(devices)}</devices>\n</domain>\n").encode()


# As somebody's metadata: it is his own, and no device.
METADATA = ("<metadata><x:y xmlns:x='urn:x'><devices><hostdev mode='subsystem' type='pci'/></devices><uuid>no</uuid></x:y></metadata>"
            "<description>&lt;hostdev mode=&apos;subsystem&apos; type=&apos;pci&apos;/&gt;</description>")
LAUGHS = "<!DOCTYPE d [<!ENTITY a 'ha'>" + "".join(f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefghi", "bcdefghij")) + "]>"
NO_XML = {"empty": b"", "broken": domain(HOSTDEV)[:-30], "not XML": b"\x00\xff\xfe" * 100, "with entities": LAUGHS.encode() + domain(more="<title>&j;</title>"),
          "from a file": b"<!DOCTYPE d [<!ENTITY f SYSTEM 'file:///etc/passwd'>]>" + domain(more="<title>&f;</title>"),
          "huge": domain(more="<title>" + "x" * (5 << 20) + "</title>"), "deep": b"<a>" * 200000, "no UUID": domain(uuid="../../x")}


class Hook:
    def __init__(self, directory, api, **settings):
        self.directory, self.log, self.conf = directory, f"{directory}/hook.log", f"{directory}/hook.conf"
        settings = {"api": api, "host": "hyp1", "stock": "", "log": self.log, **settings}
        with open(self.conf, "w") as conf:
            conf.writelines(f"{key} = {value}\n" for key, value in settings.items())

    def __call__(self, operation, suboperation, extra="-", name="vm1", xml=domain()):
        """(exit status, standard error). What it leaves behind holds no pipe of libvirt's, else this would not return."""
        done = subprocess.run([HOOK, name, operation, suboperation, extra], input=xml, capture_output=True, timeout=60,
                              env={"PATH": os.environ["PATH"], "HOME": "/", "LC_ALL": "C", "TETHER_LIBVIRT_HOOK": self.conf})
        equal(done.stdout, b"", "at migrate this would be another XML")
        return done.returncode, done.stderr.decode()

    def said(self):
        with contextlib.suppress(FileNotFoundError):
            with open(self.log, errors="replace") as log:
                return log.read()
        return ""

    def has_said(self, text):
        wait_until(f"it says {text}", lambda: text in self.said(), 60, [self.log])

    def goes_on(self, *words, **more):
        equal(self(*words, **more), (0, ""), f"{words}: {self.said()}")

    def refuses(self, why, **more):
        status, said = self("migrate", "begin", **more)
        equal((status, said.startswith("tether: vm1 may not come: ") and why in said), (1, True), said)


@contextlib.contextmanager
def hook_of_nobody(**settings):
    """tether is not there."""
    directory = tempfile.mkdtemp(prefix="hook.")
    try:
        yield Hook(directory, f"{directory}/api.sock", **{"patience_s": 0, **settings})
    finally:
        # What a hook has left behind may just write its last line.
        wait_until("its folder is gone", lambda: shutil.rmtree(directory, ignore_errors=True) or not os.path.exists(directory))


class Listener:
    """A socket where somebody listens who says what he is told to, when he is."""

    def __init__(self, directory, answer):
        self.path, self.answer, self.asked, self.go = f"{directory}/api.sock", answer, threading.Event(), threading.Event()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(self.path)
        self.sock.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        link, _ = self.sock.accept()
        with link:
            link.recv(4096)
            self.asked.set()
            self.go.wait(60)
            with contextlib.suppress(OSError):
                for piece in self.answer:
                    link.sendall(piece)

    def end(self):
        self.go.set()
        self.thread.join()
        self.sock.close()


def awaiting(stage, report, mode="called"):
    """The number of a migration that waits for @report."""
    number = stage.smd.migrate("vm1", "hyp2", mode=mode)[1]["id"]
    for step in ("detached", "moved", "attached"):
        wait_until(step, lambda: stage.smd.get(f"/v1/migrations/{number}")[1].get("awaits") == step)
        if step == report:
            return number
        equal(stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": step})[0], 202)
    raise AssertionError(report)


def goes_on_well(stage, number):
    wait_until("attached is awaited", lambda: stage.smd.get(f"/v1/migrations/{number}")[1].get("awaits") == "attached")
    # The orchestrator says so as well, a little later.
    equal([stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": step})[0] for step in ("moved", "attached")], [202, 202])
    equal(stage.smd.wait_for(number)["outcome"], "done")


def hook_of(stage, **settings):
    return Hook(stage.smd.directory, stage.smd.api_path, **settings)


# ---- what it reports ----

def the_end_at_the_source_is_reported_as_moved():
    for extra in ("migrated", "-"):  # since libvirt 10.5, before it
        with Stage() as stage:
            number, hook = awaiting(stage, "moved"), hook_of(stage)
            hook.goes_on("stopped", "end")
            hook.goes_on("release", "end", extra)
            goes_on_well(stage, number)
            hook.has_said(f"migration {number}: moved is reported")


def another_end_at_either_host_is_reported_as_failed():
    with Stage() as stage:
        for host, extra in (("hyp1", "destroyed"), ("hyp1", "crashed"), ("hyp2", "failed"), ("hyp2", "-")):
            number = awaiting(stage, "moved")
            hook = hook_of(stage, host=host)
            hook.goes_on("release", "end", extra)
            hook.has_said(f"migration {number}: failed is reported")
            migration = stage.smd.wait_for(number)
            equal((migration["outcome"], migration["refusals"][0]["reason"]), ("failed-at-source", "reported-failed"), (host, extra))


def nothing_else_is_reported():
    with Stage() as stage:
        number = awaiting(stage, "moved")
        # Another server, which knows of a VM of that name; another VM; the incoming QEMU that has moved on; other operations.
        for host, name, words in (("hyp3", "vm1", ("release", "end", "migrated")), ("hyp1", "vm2", ("release", "end", "destroyed")),
                                  ("hyp2", "vm1", ("release", "end", "migrated"))):
            hook = hook_of(stage, host=host, log=f"{stage.smd.directory}/{host}-{name}.log")
            hook.log = f"{stage.smd.directory}/{host}-{name}.log"
            hook.goes_on(*words, name=name)
            hook.has_said("nobody waits for it")
        hook = hook_of(stage)
        for words in (*COMING, GOING[0], *OTHERS[:3]):
            hook.goes_on(*words)
        equal(stage.smd.get(f"/v1/migrations/{number}")[1].get("awaits"), "moved")
        equal(stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": "moved"})[0], 202)
        goes_on_well(stage, number)


def what_a_driven_migration_does_is_nobodys_to_report():
    with Stage() as stage:
        held, hook = Held(stage.world), hook_of(stage)
        stage.world.fault("hyp1", "HOST_MOVE", held)
        number = stage.smd.migrate("vm1", "hyp2")[1]["id"]
        equal(held.there.wait(20), True)
        hook.goes_on("release", "end", "migrated")
        hook.has_said("nobody waits for it")
        held.go.set()
        equal(stage.smd.wait_for(number)["outcome"], "done")


def a_report_waits_for_who_is_being_started_again():
    with Stage() as stage:
        number, hook = awaiting(stage, "moved"), hook_of(stage, patience_s=60)
        stage.smd.kill()
        hook.goes_on("release", "end", "migrated")
        stage.smd.start()
        goes_on_well(stage, number)
        hook.has_said(f"migration {number}: moved is reported")


def what_is_not_awaited_yet_or_any_more_is_left():
    with Stage() as stage:
        number, hook = awaiting(stage, "detached"), hook_of(stage)
        hook.goes_on("release", "end", "destroyed")
        hook.has_said(f"migration {number}: in detaching it waits for no such report")
        equal(stage.smd.get(f"/v1/migrations/{number}")[1].get("awaits"), "detached")


# ---- whom it does not keep waiting ----

def libvirt_waits_for_nobody():
    """The other end is there, and says nothing until the hook is done."""
    with hook_of_nobody(patience_s=60) as hook:
        slow = Listener(hook.directory, [b"HTTP/1.1 200 OK\r\n\r\n" + b'{"migrations": []}'])
        hook.goes_on("release", "end", "migrated")
        equal(slow.asked.wait(60), True)
        equal(hook.said(), "")
        slow.end()
        hook.has_said("nobody waits for it")


def whoever_does_not_answer_is_not_there():
    answers = {"nothing": [], "half a line": [b"HTTP/1.1 2"], "no HTTP": [b"\x00" * 100], "no JSON": [b"HTTP/1.1 200 OK\r\n\r\n{"],
               "another thing": [b'HTTP/1.1 200 OK\r\n\r\n["x"]'], "other rows": [b'HTTP/1.1 200 OK\r\n\r\n{"migrations": [7]}'],
               "an error": [b'HTTP/1.1 503 No\r\n\r\n{"reason": "no-memory"}'], "no end": [b"x" * 65536] * 200,
               "depth": [b"HTTP/1.1 200 OK\r\n\r\n" + b'{"migrations": ' + b"[" * 100000]}
    for what, answer in answers.items():
        for guard, status in (("on", 0), ("strict", 1)):
            with hook_of_nobody(guard=guard, guard_ms=60000) as hook:
                other = Listener(hook.directory, answer)
                other.go.set()
                equal(hook("migrate", "begin")[0], status, f"{what}: {hook.said()}")
                equal("tether cannot be asked: " in hook.said(), True, what)
                other.end()


def the_guard_waits_so_long_and_no_longer():
    for guard, status in (("on", 0), ("strict", 1)):
        with hook_of_nobody(guard=guard, guard_ms=1) as hook:
            silent = Listener(hook.directory, [])
            equal(hook("migrate", "begin")[0], status)
            silent.end()


# ---- what it refuses ----

def what_is_not_tethers_to_move_may_come():
    with Stage() as stage:
        hook = hook_of(stage, guard="strict", host="hyp2")
        hook.goes_on("migrate", "begin", name="vm9", xml=domain(HOSTDEV, TEAMED))
        hook.has_said("QEMU unplugs 1 of its devices")
        stage.world.slots["hyp1-vf0"]["vm"] = ""
        stage.world.hosts["hyp1"].stop()
        stage.world.hosts["hyp1"].start()
        wait_until("vm1 has no VF", lambda: [vm["slot"] for vm in stage.smd.get("/v1/vms")[1]["vms"] if vm["name"] == "vm1"] == [""])
        hook.goes_on("migrate", "begin")
        stage.world.slots["hyp1-vf0"]["vm"] = "vm1"


def who_has_a_vf_comes_when_tether_waits_for_its_memory():
    with Stage() as stage:
        hook = hook_of(stage, guard="on", host="hyp2")
        hook.refuses("it has a VF (hyp1-vf0 of hyp1): ask tether to migrate it")
        number = awaiting(stage, "detached")
        hook.refuses(f"migration {number} of tether is detaching")
        equal(stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": "detached"})[0], 202)
        wait_until("moved is awaited", lambda: stage.smd.get(f"/v1/migrations/{number}")[1].get("awaits") == "moved")
        for devices in ((), (PERSISTENT,), (USB,)):
            hook.goes_on("migrate", "begin", xml=domain(*devices, more=METADATA))
        for devices in ((HOSTDEV,), (INTERFACE.format(""),), (TEAMED, PERSISTENT), (HOSTDEV, TEAMED, USB, INTERFACE.format(""))):
            pci = len(devices) - (PERSISTENT in devices) - (USB in devices)
            hook.refuses(f"the domain still has {pci} PCI devices", xml=domain(*devices))
        hook_of(stage, guard="on", host="hyp3").refuses(f"migration {number} of tether takes it to hyp2")
        equal(stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": "moved"})[0], 202)
        goes_on_well(stage, number)


def a_driver_may_have_it_moved_by_libvirt():
    with Stage() as stage:
        held, hook = Held(stage.world), hook_of(stage, guard="strict", host="hyp2")
        stage.world.fault("hyp1", "HOST_MOVE", held)
        number = stage.smd.migrate("vm1", "hyp2")[1]["id"]
        equal(held.there.wait(20), True)
        hook.goes_on("migrate", "begin")
        held.go.set()
        equal(stage.smd.wait_for(number)["outcome"], "done")


def nothing_but_migrate_is_ever_refused():
    """A `reconnect` that is refused kills a VM that runs."""
    with hook_of_nobody(guard="strict") as hook:
        for words in (*COMING, *GOING, *OTHERS):
            if words[0] == "migrate":
                hook.refuses("tether cannot be asked: ", xml=domain(HOSTDEV))
            else:
                hook.goes_on(*words, xml=domain(HOSTDEV))
        equal(subprocess.run([HOOK], input=b"", capture_output=True, env={"TETHER_LIBVIRT_HOOK": hook.conf}).returncode, 0)


def by_default_nothing_is_refused_at_all():
    with hook_of_nobody() as hook:
        for devices in ((), (TEAMED, PERSISTENT), (INTERFACE.format(""), HOSTDEV)):
            hook.goes_on("migrate", "begin", xml=domain(*devices))
        for words in (*COMING, *GOING, *OTHERS):
            hook.goes_on(*words, xml=domain(HOSTDEV))


# ---- what it believes ----

def xml_that_is_none_stops_nobody():
    for what, xml in NO_XML.items():
        with hook_of_nobody(guard="on") as hook:
            for words in (COMING[0], GOING[1]):
                hook.goes_on(*words, xml=xml)
            equal("XML is not looked at" in hook.said(), True, what)
        with hook_of_nobody(guard="strict") as hook:
            hook.refuses("what the domain has is not known", xml=xml)


def of_a_uuid_no_more_is_kept_than_one_has():
    """Kept, 4 MiB of it that come line by line would be a minute's work, for which libvirt waits."""
    kind = runpy.run_path(HOOK)["Domain"]
    known = kind(domain())
    equal(known.uuid, UUID)
    known.path = ["domain", "uuid"]
    for _ in range(100):
        known.text("x" * 100)
    equal(len(known.uuid) <= len(UUID) + 100, True, len(known.uuid))


def names_that_no_vm_of_tethers_has_are_left_alone():
    names = ["two words", "vm1\nmigrate", "../../etc", ".hidden", "$(touch x)", "'; touch x", "-", "x" * 65, "\u00fcber", b"\xff\xfe", "", "vm1/steps", "%s%n"]
    with Stage() as stage:
        hook = hook_of(stage, guard="strict")
        for name in names:
            before = hook.said().count("is none of tether's VMs")
            hook.goes_on(*(GOING[1] if name == names[0] else COMING[0]), name=name)
            equal(hook.said().count("is none of tether's VMs") - before, name != "-", name)
        equal(all(": " in line for line in hook.said().splitlines()), True, hook.said())
        equal(os.path.exists("x"), False)


def vms_may_be_known_by_their_uuid():
    with Stage() as stage:
        stage.world.vm(UUID, "hyp1")
        stage.world.hosts["hyp1"].stop()
        stage.world.hosts["hyp1"].start()
        wait_until("it is there", lambda: UUID in str(stage.smd.get("/v1/vms")[1]))
        hook = hook_of(stage, guard="on", vm="uuid", host="hyp2")
        status, said = hook("migrate", "begin", name="instance-00000007", xml=domain(name="instance-00000007"))
        equal((status, f"tether: {UUID} may not come: it has a VF" in said), (1, True), said)
        hook.goes_on("migrate", "begin", name=UUID, xml=domain(uuid=UUID.replace("4", "5")))
        hook.goes_on("release", "end", "migrated", xml=NO_XML["no UUID"])


# ---- the agent, and settings ----

def the_agent_is_told_to_take_stock_when_there_is_another():
    with hook_of_nobody() as hook:
        hook = Hook(hook.directory, "", stock=f"mkfifo {hook.directory}/stock")
        for words in (*COMING[:3], GOING[0], OTHERS[2], OTHERS[6]):
            hook.goes_on(*words)
        equal(os.path.exists(f"{hook.directory}/stock"), False)
        for words in (COMING[3], *OTHERS[:2], GOING[1]):
            hook.goes_on(*words)
            wait_until("it has been told", lambda: os.path.exists(f"{hook.directory}/stock"))
            os.unlink(f"{hook.directory}/stock")
        Hook(hook.directory, "", stock="/nonexistent/command").goes_on(*COMING[3])
        hook.has_said("the agent is not told: ")


def the_sample_of_settings_is_good():
    with open(os.path.join(os.path.dirname(HOOK), "libvirt-hook.conf")) as sample, hook_of_nobody() as hook:
        text = sample.read()
        for text in (text, re.sub(r"^#(?=\w+ = )", "", text, flags=re.M)):
            with open(hook.conf, "w") as conf:
                conf.write(f"{text}\nlog = {hook.log}\n")
            hook.goes_on("prepare", "begin")
        equal(hook.said(), "")
        names = set(re.findall(r"^#?(\w+) = ", text, re.M))
        with open(HOOK) as source:
            equal(names, set(re.findall(r'^    "(\w+)": "', source.read(), re.M)))


def what_is_wrong_with_the_settings_is_said_and_stops_nobody():
    with hook_of_nobody() as hook:
        with open(hook.conf, "a") as conf:
            conf.write("\n# a comment\nguard = perhaps\npatience_s = soon\nvm = slot\ncolour = red\nnonsense\n[section]\n")
        for words in (COMING[0], GOING[1]):
            hook.goes_on(*words)
        equal(len([line for line in hook.said().splitlines() if "is not a setting" in line]), 12, hook.said())
        hook.conf = hook.directory  # no file
        hook.goes_on(*COMING[0])
        hook.conf = "/nonexistent"
        hook.goes_on(*COMING[0])


run([the_end_at_the_source_is_reported_as_moved, another_end_at_either_host_is_reported_as_failed, nothing_else_is_reported,
     what_a_driven_migration_does_is_nobodys_to_report, a_report_waits_for_who_is_being_started_again,
     what_is_not_awaited_yet_or_any_more_is_left, libvirt_waits_for_nobody, whoever_does_not_answer_is_not_there,
     the_guard_waits_so_long_and_no_longer, what_is_not_tethers_to_move_may_come, who_has_a_vf_comes_when_tether_waits_for_its_memory,
     a_driver_may_have_it_moved_by_libvirt, nothing_but_migrate_is_ever_refused, by_default_nothing_is_refused_at_all,
     xml_that_is_none_stops_nobody, of_a_uuid_no_more_is_kept_than_one_has, names_that_no_vm_of_tethers_has_are_left_alone,
     vms_may_be_known_by_their_uuid, the_agent_is_told_to_take_stock_when_there_is_another, the_sample_of_settings_is_good,
     what_is_wrong_with_the_settings_is_said_and_stops_nobody])
