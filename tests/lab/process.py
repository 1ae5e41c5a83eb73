# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""One child process with its log, and the set of them that is taken down together."""
import ctypes
import os
import select
import signal
import subprocess

from lab.deadline import Late, tail

PR_SET_PDEATHSIG = 1
# A program behind it has a PID namespace and a /proc of its own, as in a container. The root of a chroot is no mount, of which
# the propagation could be changed.
CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--propagation", "unchanged", "--mount-proc"]
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def _die_with_parent():
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Child(subprocess.Popen):
    """Keeps its number when it has ended, until let_go: it is nobody else's meanwhile, nor is that of its group. So whoever signals it
    late reaches no stranger."""

    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.end = os.pidfd_open(self.pid)

    def poll(self):
        if self.returncode is None:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found:
                self.returncode = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        return self.returncode

    def wait(self, timeout=None):
        if self.poll() is None:
            ends = select.poll()
            ends.register(self.end, select.POLLIN)
            ends.poll(None if timeout is None else 1000 * timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def send_signal(self, sig):
        if self.poll() is None:
            os.kill(self.pid, sig)

    def let_go(self):
        self.wait()
        if self.end >= 0:
            os.waitpid(self.pid, 0)
            os.close(self.end)
            self.end = -1


class Process:
    """Runs in a session of its own; output and errors go to one log file, output alone to stdout_path where given."""

    def __init__(self, name, argv, log, env=None, stdout_path=None):
        self.name = name
        self.argv = argv
        self.log = log
        self.stdout_path = stdout_path or log
        with open(log, "ab") as errors, open(self.stdout_path, "ab") as output:
            self.child = Child(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=env,
                               start_new_session=True, preexec_fn=_die_with_parent)
        self.pid = self.child.pid

    def poll(self):
        return self.child.poll()

    def wait(self, seconds):
        """The exit status; Late with the log's end after @seconds."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Late(f"{self.name} ({' '.join(self.argv)}) has not ended within {seconds} s\n{tail(self.log)}") from None

    def signal(self, number):
        """Somebody else may be waiting for its end at the same time."""
        self.child.send_signal(number)

    def kill(self):
        """Also whatever it has started. Again it does nothing."""
        if self.child.end >= 0:
            os.killpg(self.pid, signal.SIGKILL)
            self.child.let_go()

    def output(self):
        with open(self.stdout_path, errors="replace") as output:
            return output.read()


class Children:
    """All processes of a lab, in the order of their start."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = []

    def start(self, name, argv, env=None, separate_output=False):
        """@name names the log; a name used before gets a number."""
        used = sum(p.name.split("#")[0] == name for p in self.processes)
        name = f"{name}#{used + 1}" if used else name
        log = os.path.join(self.directory, f"{name}.log")
        stdout_path = os.path.join(self.directory, f"{name}.out") if separate_output else None
        process = Process(name, argv, log, env, stdout_path)
        self.processes.append(process)
        return process

    def logs(self):
        return list(dict.fromkeys(path for p in self.processes for path in (p.log, p.stdout_path)))

    def take_down(self, grace_s=3):
        """Politely and in reverse, then not."""
        for process in reversed(self.processes):
            process.signal(signal.SIGTERM)
            try:
                process.child.wait(grace_s)
            except subprocess.TimeoutExpired:
                grace_s = 0.1
        for process in self.processes:
            process.kill()
