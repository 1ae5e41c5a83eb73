"""A QEMU as its QMP socket shows it: status, devices, a migration; well behaved, or not at all."""
import json
import os
import socket
import threading

GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": ["oob"]}}


class FakeQemu:
    """`deletes`, `adds`, `migrates` say what comes of a command; they may change at any time. Each client has a thread, as
    QEMU one at a time."""

    def __init__(self, path, status="running", devices=(), migration=None, peer=None):
        self.path, self.status, self.peer = path, status, peer
        self.devices = set(devices)
        self.migration = migration or {}
        self.deletes = "at once"  # "never", "refused", "second time"
        self.migrates = "completes"  # "fails", "hangs", "hangs for good", "dies", "pauses", "refused"
        self.adds = "at once"  # "refused"
        self.breaks = None  # "silent", "no greeting", "garbage", "endless", "events", "deep", "foreign answer", "closes"
        self.breaks_at = "greeting"  # or a command
        self.commands = []
        self.changed = threading.Condition()
        self.asked = {}
        self.client = None
        self.listen()

    def listen(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self._serve, args=(self.listener,), daemon=True).start()

    def end(self):
        """As a process that has died: the socket's file stays, and nobody listens."""
        if self.listener.fileno() < 0:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        client = self.client
        if client:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _serve(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.client = client
            try:
                self._talk(client)
            except (OSError, ValueError):
                pass
            self.client = None
            client.close()

    def _talk(self, client):
        if self._broken(client, "greeting"):
            return
        self._send(client, GREETING)
        for line in client.makefile("r"):
            request = json.loads(line)
            command, arguments, number = request["execute"], request["arguments"], request["id"]
            with self.changed:
                self.commands.append((command, arguments))
                self.changed.notify_all()
            if self._broken(client, command, number):
                return
            named = {key.replace("-", "_"): value for key, value in arguments.items()}
            answer = getattr(self, "do_" + command.replace("-", "_"))(**named)
            if answer is None:
                self.end()
                return
            self._send(client, {**answer, "id": number})
            if command == "quit":
                client.close()
                self.end()
                return

    def _send(self, client, message):
        client.sendall(json.dumps(message).encode() + b"\r\n")

    def event(self, name, **data):
        client = self.client
        if client:
            try:
                self._send(client, {"event": name, "data": data, "timestamp": {"seconds": 1, "microseconds": 2}})
            except OSError:
                pass  # it hangs up just now, and looks when it comes again

    def _broken(self, client, at, number=0):
        if not self.breaks or self.breaks_at != at:
            return False
        if self.breaks == "closes":
            return True
        if self.breaks == "garbage":
            client.sendall(b"\x00\xff{[\r\n" * 100)
        elif self.breaks == "deep":
            client.sendall(b"[" * 1000 + b"]" * 1000 + b"\r\n")
        elif self.breaks == "no greeting":
            client.sendall(b'{"return": {}}\r\n')
        elif self.breaks == "foreign answer":
            self._send(client, {"return": {}, "id": number + 7})
        elif self.breaks == "endless":
            while True:
                client.sendall(b'{"event": "' + b"x" * 65536)
        elif self.breaks == "events":
            while True:
                self._send(client, {"event": "STOP", "data": {"text": "x" * 60000}})
        client.recv(65536)  # until the other end has had enough
        while client.recv(65536):
            pass
        return True

    def wait_command(self, command, patience_s=20):
        with self.changed:
            assert self.changed.wait_for(lambda: any(said == command for said, _ in self.commands), patience_s), self.commands

    def said(self, command):
        return [arguments for said, arguments in self.commands if said == command]

    @staticmethod
    def _error(text, kind="GenericError"):
        return {"error": {"class": kind, "desc": text}}

    def do_qmp_capabilities(self):
        return {"return": {}}

    def do_query_status(self):
        return {"return": {"status": self.status, "running": self.status == "running"}}

    def do_query_migrate(self):
        return {"return": self.migration}

    def do_qom_list(self, path):
        assert path == "/machine/peripheral"
        devices = [{"name": name, "type": "child<virtio-net-pci>"} for name in sorted(self.devices)]
        return {"return": [{"name": "type", "type": "string"}, *devices]}

    def leave(self, device):
        """The guest lets go of it at last."""
        self.devices.discard(device)
        self.event("DEVICE_DELETED", device=device, path=f"/machine/peripheral/{device}")

    def do_device_del(self, id):
        if id not in self.devices:
            return self._error(f"Device '{id}' not found", "DeviceNotFound")
        if self.migration.get("status") == "active":
            return self._error("device_del not allowed while migrating")
        self.asked[id] = self.asked.get(id, 0) + 1
        if self.deletes == "refused":
            self.event("DEVICE_UNPLUG_GUEST_ERROR", device=id, path="x")
        elif self.deletes == "at once":
            self.leave(id)
        elif self.asked[id] > 1:
            return self._error(f"Device {id} is already in the process of unplug")
        return {"return": {}}

    def do_device_add(self, id, driver, **properties):
        if self.adds == "refused":
            return self._error("Bus 'rp0' not found")
        if id in self.devices:
            return self._error(f"Duplicate device ID '{id}'")
        self.devices.add(id)
        return {"return": {}}

    def do_cont(self):
        self.status = "running"
        self.event("RESUME")
        return {"return": {}}

    def do_migrate_set_capabilities(self, capabilities):
        return {"return": {}}

    def do_migrate_set_parameters(self, **parameters):
        return {"return": {}}

    def _migration(self, status, **more):
        self.migration = {"status": status, **more}
        self.event("MIGRATION", status=status)

    def do_migrate(self, uri):
        if self.migrates == "refused":
            return self._error("VFIO device doesn't support migration")
        if self.migrates == "dies":
            return None
        self._migration("active", ram={"transferred": 1 << 20, "remaining": 2 << 20, "dirty-sync-count": 1})
        if self.migrates == "fails":
            self.status = "paused" if self.status == "running" else self.status
            self._migration("failed", **{"error-desc": "Unable to write to socket: Broken pipe"})
        elif self.migrates == "pauses":
            self.status = "finish-migrate"
            self._migration("pre-switchover")
        elif self.migrates == "completes":
            self.complete()
        return {"return": {}}

    def complete(self):
        self.status = "postmigrate"
        self._migration("completed", **{"total-time": 321, "downtime": 12, "ram": {"transferred": 3 << 20}})
        if self.peer:
            self.peer.status = "running"

    def do_migrate_continue(self, state):
        assert state == self.migration["status"]
        self.complete()
        return {"return": {}}

    def do_migrate_cancel(self):
        if self.migrates == "hangs for good":
            self._migration("cancelling")
        elif self.migration.get("status") in ("active", "pre-switchover"):
            self.status = "running"
            self._migration("cancelled")
        return {"return": {}}

    def do_quit(self):
        return {"return": {}}
