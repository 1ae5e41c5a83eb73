# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Debian's ibsim, which is not ours, with OpenSM on it: what simfabric's tables are compared with."""
import os
import subprocess
import tempfile

from simfabric.lab import OPENSM_CONF, UP_LINE, Late, tail, wait_until

UMAD2SIM = "/usr/lib/x86_64-linux-gnu/umad2sim/libumad2sim.so"
# Without a large -L high LFT blocks overrun its heap.
SIZES = ["-N", "20000", "-S", "4000", "-P", "90000", "-L", "49152"]


class Ibsim:
    def __init__(self, net, directory, node="h1"):
        # Also where its clients leave their sys-PID folders when they are killed.
        self.directory = tempfile.mkdtemp(prefix="ibsim-", dir=directory)
        self.env = {**os.environ, "IBSIM_SOCKNAME": f"ibsim{os.getpid()}-{os.path.basename(self.directory)}"}
        self.output = os.path.join(self.directory, "output")
        self.opensm = None
        with open(self.output, "wb") as out:
            self.child = subprocess.Popen(["/usr/bin/ibsim", "-s", "-n", *SIZES, os.path.abspath(net)],
                                          stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.env)
        wait_until("ibsim answers", lambda: self.run(node, "smpquery", "-D", "nodeinfo", "0").returncode == 0, 30,
                   lambda: tail(self.output))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for child in (self.opensm, self.child):
            if child:
                child.kill()
                child.wait()

    def run(self, node, *argv, seconds=60):
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL,
                                  cwd=self.directory, env={**self.env, "SIM_HOST": node, "LD_PRELOAD": UMAD2SIM})
        except subprocess.TimeoutExpired:
            raise Late(f"{' '.join(argv)} on ibsim: no end after {seconds} s\n{tail(self.output)}") from None

    def opensm_up(self, node, seconds):
        """Start OpenSM on @node and wait until the subnet is up."""
        conf, log = (os.path.join(self.directory, name) for name in ("opensm.conf", "opensm.log"))
        with open(conf, "w") as out:
            out.writelines(f"{key} {value}\n" for key, value in OPENSM_CONF.items())
        env = {**self.env, "SIM_HOST": node, "LD_PRELOAD": UMAD2SIM, "OSM_CACHE_DIR": self.directory,
               "OSM_TMP_DIR": self.directory}
        with open(self.output, "ab") as out:
            self.opensm = subprocess.Popen(["/usr/sbin/opensm", "-F", conf, "-f", log], stdin=subprocess.DEVNULL,
                                           stdout=out, stderr=out, cwd=self.directory, env=env)
        wait_until("OpenSM on ibsim", lambda: UP_LINE in tail(log, 1 << 20), seconds, lambda: tail(log))
