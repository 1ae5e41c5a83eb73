# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The initramfs of guests: self-contained, since a guest that has a file system of the machine's mounted can be neither moved nor
saved. What is in it: busybox, Debian's programs for verbs with rxe's provider, what this build has made, an MPI, modules."""
import glob
import hashlib
import os
import re
import stat
import subprocess

from lab.build import TOP
from vm.cpio import Archive

HERE = os.path.join(TOP, "tests", "vm", "in_guest")
LIBDIR = "/usr/lib/x86_64-linux-gnu"
# In the order in which they are loaded at boot. rdma_rxe fails without a crc32.
LOADED = ("virtio_pci", "virtio_console", "virtio_net", "crc32_generic", "rdma_rxe", "ib_uverbs", "rdma_ucm")
# There for those who load them.
LOADABLE = ("vsock_loopback", "veth", "dummy")
PROGRAMS = [
    "/bin/bash", "/sbin/ip", "/usr/bin/rdma", "/usr/bin/kmod",
    *(f"/usr/bin/ibv_{name}" for name in ("devinfo", "devices", "asyncwatch", "rc_pingpong", "uc_pingpong", "ud_pingpong",
                                     "srq_pingpong")),
    *(f"/usr/bin/ib_{verb}_{what}" for verb in ("send", "write", "read", "atomic") for what in ("lat", "bw")),
    *(f"/usr/bin/{name}" for name in ("rping", "udaddy", "cmtime", "ucmatose", "rdma_server", "rdma_client", "udpong", "rstream",
                                      "riostream", "mckey")),
    "/usr/bin/ucx_info", "/usr/bin/orted", "/usr/bin/orterun",
]
# What programs open by name at run time.
PLUGINS = [f"{LIBDIR}/libibverbs/librxe-rdmav*.so", f"{LIBDIR}/rsocket/librspreload.so*", f"{LIBDIR}/libgcc_s.so.1",
           f"{LIBDIR}/ucx/libuc*.so*",
           f"{LIBDIR}/openmpi/lib/openmpi3/*.so", f"{LIBDIR}/pmix2/lib/pmix/*.so"]
# They ask for libraries of hardware that no guest has.
NO_PLUGINS = re.compile(r"_(ofi|psm2?|portals4|ucc|hcoll|cuda|rocm|treematch|usnic)[._]|mca_(fs|fbtl|fcoll|io|sharedfp|topo)_"
                        r"|libuct_(cuda|rocm)")
DATA = ["/etc/libibverbs.d/rxe.driver", "/etc/openmpi/*", "/usr/share/openmpi/*.txt", "/usr/share/pmix2/*.txt",
        "/usr/share/pmix/*.txt", "/etc/pmix*.conf", "/etc/nsswitch.conf"]
OURS = {"vm-runner": "/sbin", "tether-agent": "/usr/sbin", "tether": "/usr/bin",
        "rc-verify": "/usr/bin", "ud-verify": "/usr/bin", "window-verify": "/usr/bin", "loss-load": "/usr/bin",
        "verbs-shell": "/usr/bin", "plain-rebuild": "/usr/bin", "tcp-echo": "/usr/bin", "cm-verify": "/usr/bin",
        "mpi-verify-openmpi": "/usr/bin"}
SCRIPTS = ("rxe-keeper", "lab-rsh", "lab-rshd")
TEXTS = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
}
# Not busybox's shell: that takes its own applets for programs of the same name.
LINKS = {"sh": "bash", "mpirun": "orterun", "mpiexec": "orterun"}
FOLDERS = ("proc", "sys", "dev", "run", "tmp", "root", "newroot", "var/tmp", "etc/tether")
MERGED = ("bin", "sbin", "lib", "lib64")


def libraries_of(paths):
    """All that the loader would bring in with them."""
    shown = subprocess.run(["ldd", *paths], capture_output=True, text=True).stdout
    if "not found" in shown:
        raise RuntimeError(f"libraries are missing:\n{shown}")
    return sorted(set(re.findall(r"(/\S+) \(0x", shown)))


def found(patterns):
    return sorted(path for pattern in patterns for path in glob.glob(pattern) if not NO_PLUGINS.search(os.path.basename(path)))


def in_guest(path):
    """Folders of the root are links into /usr, as in Debian."""
    return "/usr" + path if path.split("/")[1] in MERGED else path


def stamp(source):
    told = os.stat(source)
    return told.st_mode, told.st_size, told.st_mtime_ns


class Image:
    """Rows of {path in the guest: file here}; the archive that they make is kept under a name that tells what is in it."""

    def __init__(self, build, kernel):
        self.directory = os.path.join(build.directory, "vm")
        self.build = build
        self.kernel = kernel

    def _files(self):
        ours = {os.path.join(folder, name): self.build.program(name) for name, folder in OURS.items()}
        ours[f"{LIBDIR}/tether/libtether.so"] = self.build.library("libtether.so")
        plugins = found(PLUGINS)
        files = [*PROGRAMS, "/bin/busybox", *plugins, *found(DATA)]
        rows = {in_guest(path): path for path in [*files, *libraries_of([*PROGRAMS, *plugins, *ours.values()])]}
        rows.update((in_guest(path), source) for path, source in ours.items())
        rows["/init"] = os.path.join(HERE, "init")
        rows.update((f"/usr/sbin/{name}", os.path.join(HERE, name)) for name in SCRIPTS)
        rows.update((f"/usr/lib/modules/{os.path.basename(path)}", path) for path in self.kernel.modules(LOADED + LOADABLE))
        return {path: source for path, source in rows.items() if os.path.isfile(source)}

    def _texts(self):
        order = "".join(f"/lib/modules/{os.path.basename(path)}\n" for path in self.kernel.modules(LOADED))
        return {**TEXTS, "/usr/lib/modules/order": order}

    def make(self, report):
        """Its path. Made anew only where something in it is another."""
        files, texts = self._files(), self._texts()
        rows = [(path, source, stamp(source)) for path, source in sorted(files.items())]
        with open(__file__, "rb") as recipe:
            key = hashlib.sha256(repr((rows, sorted(texts.items()))).encode() + recipe.read()).hexdigest()[:16]
        path = os.path.join(self.directory, f"initramfs-{key}.cpio")
        if not os.path.exists(path):
            report("initramfs")
            self._drop_others()
            with open(path + ".part", "wb") as out:
                self._write(Archive(out), files, texts)
            os.rename(path + ".part", path)
        return path

    def _drop_others(self):
        for old in glob.glob(os.path.join(self.directory, "initramfs-*")):
            os.unlink(old)

    @staticmethod
    def _write(archive, files, texts):
        for folder in FOLDERS:
            archive.folder(f"/{folder}")
        for name in MERGED:
            archive.folder(f"/usr/{name}")
            archive.link(f"/{name}", f"usr/{name}")
        archive.character_device("/dev/console", 5, 1)
        for path, source in sorted(files.items()):
            target = os.path.join(os.path.dirname(path), os.readlink(source)) if os.path.islink(source) else ""
            if target in files:
                archive.link(path, os.path.basename(target))
                continue
            with open(source, "rb") as data:
                archive.file(path, data.read(), stat.S_IMODE(os.stat(source).st_mode) | 0o444)
        for path, text in texts.items():
            archive.file(path, text.encode(), 0o644)
        applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
        for name in sorted(set(applets) - {"sh"} - {os.path.basename(path) for path in files}):
            archive.link(f"/usr/bin/{name}", "busybox")
        for name, target in LINKS.items():
            archive.link(f"/usr/bin/{name}", target)
        archive.close()
