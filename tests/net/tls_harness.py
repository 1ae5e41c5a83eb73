"""tether-smd and real agents with links over TLS, and the CA that `tether cert` has made for them.

Everything lives in one temporary directory and ends with the `Site` context. What comes is waited for, never slept for.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(os.path.dirname(HERE), "faults"), HERE]
from agent_harness import AGENT, BUILD, DRIVER, INVENTORY, PATIENCE_S, VERSION, WRAP, Folder  # noqa: E402
from faults import wire  # noqa: E402
from lab.authority import Authority  # noqa: E402
from lab.deadline import tails, wait_until  # noqa: E402
from lab.metrics import Metrics  # noqa: E402
from smd import Smd  # noqa: E402

TETHER = os.path.join(BUILD, "bin", "tether")
LISTENS = re.compile(r"TLS at (\S+)")


def read_to_the_end(link):
    """Until the other end has closed it."""
    try:
        while link.recv(4096):
            pass
    except OSError:
        pass


class Host(Folder):
    """One tether-agent with a driver of shell."""

    def __init__(self, site, name, who=None, authority=None, ca=None, inventory=None, **settings):
        self.name, self.dir = name, os.path.join(site.dir, name)
        self.log_path = self.path("agent.log")
        for made in ("", "state", "vms"):
            os.mkdir(self.path(made))
        self.write("driver", DRIVER)
        os.chmod(self.path("driver"), 0o755)
        self.write("inventory.json", json.dumps(inventory or INVENTORY).replace("vm1", f"{name}-vm"))
        self.settings = {"role": "host", "name": name, "root": f"tls:{site.place}", "driver": f"exec:{self.dir}/driver",
                         "state_dir": f"{self.dir}/state", "socket_dir": f"{self.dir}/vms", "log": self.log_path,
                         "log_level": "debug", "heartbeat_ms": 2000,
                         **(authority or site.ca).settings(who or f"host/{name}", ca), **settings}
        self.process = subprocess.Popen(WRAP + [AGENT, "--config", self.conf(self.settings)])

    def conf(self, settings):
        self.write_conf("agent.conf", {key: value for key, value in settings.items() if value})
        return self.path("agent.conf")

    def log(self):
        return self.read("agent.log")

    def says(self, text, count=1):
        wait_until(f"{self.name} says {text!r}", lambda: self.log().count(text) >= count, logs=[self.log_path])

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)


class Speaker:
    """A hostile host with a valid certificate, or with none: says by hand what an agent would not, to tether-smd or to who listens at @place."""

    def __init__(self, site, who=None, version=None, place=None):
        context = site.context(who)
        if version:
            context.maximum_version = version
        self.link = site.connect(context, place)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.link.close()

    def hello(self, name, role="ROLE_HOST"):
        wire.send(self.link, "hello", {"version": VERSION, "role": role, "name": name})

    def is_closed(self):
        read_to_the_end(self.link)


class Site:
    def __init__(self, *issued, crl=False, **settings):
        self.dir = tempfile.mkdtemp(prefix="tether-tls.")
        self.ca = Authority(TETHER, os.path.join(self.dir, "ca"), "sm/smd", *issued)
        self.hosts = []
        tls = self.ca.settings("sm/smd")
        if crl:
            tls["tls_crl"] = self.ca.path("ca.crl")
        self.smd = Smd(self.dir, "none", **{"listen": "tls:127.0.0.1:0", **tls, **settings})
        self.log_path = os.path.join(self.dir, "smd.log")

    def __enter__(self):
        self.smd.start()
        self.place = LISTENS.search(self.smd.log()).group(1)
        return self

    def __exit__(self, kind, error, trace):
        statuses = [host.stop() for host in self.hosts] + [self.smd.stop()]
        if kind:
            print("".join(f"# {line}\n" for line in
                          tails([self.log_path] + [host.log_path for host in self.hosts]).splitlines()), end="")
        shutil.rmtree(self.dir)
        assert kind or not any(statuses), f"exit statuses {statuses}"

    @property
    def port(self):
        return int(self.place.rsplit(":", 1)[1])

    def context(self, who=None):
        """Of somebody who takes the site's certificates, and shows @who's."""
        return self.ca.context(who)

    def connect(self, context, place=None):
        """A link that is spoken over by hand, to tether-smd or to who listens at @place."""
        address, port = (place or self.place).rsplit(":", 1)
        return context.wrap_socket(socket.create_connection((address, int(port)), PATIENCE_S))

    def host(self, name, **how):
        host = Host(self, name, **how)
        self.hosts.append(host)
        return host

    def refused(self, kind):
        """How many links, where it has metrics = unix:metrics.sock."""
        return Metrics(f"unix:{self.dir}/metrics.sock").values()[f'tether_smd_tls_refused_total{{kind="{kind}"}}']

    def refuses(self, kind, count):
        wait_until(f"{count} are refused: {kind}", lambda: self.refused(kind) == count, logs=[self.log_path])

    def says(self, text, count=1):
        wait_until(f"tether-smd says {text!r}", lambda: self.smd.log().count(text) >= count, logs=[self.log_path])

    def reload(self):
        count = self.smd.log().count("certificates read again")
        self.smd.child.send_signal(signal.SIGHUP)
        self.says("certificates read again", count + 1)
