# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Debian's kernel package as guests boot it, fetched once into BUILD/vm/kernel; nothing of it is installed."""
import glob
import gzip
import lzma
import os
import shutil
import struct
import subprocess

PACKAGE = "linux-image-amd64"
# What guests may load lies there, and what that depends on.
MODULE_FOLDERS = ("crypto", "lib", "net", "arch", "drivers/infiniband", "drivers/virtio", "drivers/char", "drivers/net/*.ko",
                  "fs/configfs")


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def image_package():
    """The package of today's kernel, by the one that always depends on it."""
    found = [line.split()[-1] for line in run("apt-cache", "depends", PACKAGE).splitlines() if "Depends: linux-image-" in line]
    if not found:
        raise RuntimeError(f"apt knows no {PACKAGE}: run apt-get update")
    return found[0]


def uncompressed(bzimage):
    """The ELF file inside (x86 boot protocol, payload): the guest has nothing to unpack, and starts that much faster."""
    setup_sectors = bzimage[0x1f1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    begin = (setup_sectors + 1) * 512 + offset
    payload = bzimage[begin:begin + length]
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x1f\x8b"):
        return gzip.decompress(payload)
    raise RuntimeError(f"kernel compressed in a way that is not known: {payload[:8].hex()}")


class Kernel:
    """`vmlinux`, `release` and where the modules are."""

    def __init__(self, directory):
        self.directory = os.path.join(directory, "kernel")
        self.root = os.path.join(self.directory, "root")
        self.vmlinux = os.path.join(self.directory, "vmlinux")

    @property
    def release(self):
        return os.path.basename(glob.glob(os.path.join(self.root, "lib/modules/*"))[0])

    def fetch(self, report):
        """vmlinux is written last: where it is, all is."""
        if os.path.exists(self.vmlinux):
            return
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.root)
        package = image_package()
        report(f"fetching {package}")
        subprocess.run(["apt-get", "download", "-qq", package], cwd=self.directory, check=True, stderr=subprocess.DEVNULL)
        self._unpack(glob.glob(os.path.join(self.directory, "*.deb"))[0])
        report(f"kernel {self.release}")

    def _unpack(self, deb):
        wanted = ["./boot/vmlinuz-*", "./lib/modules/*/modules.*", *(f"./lib/modules/*/kernel/{name}" for name in MODULE_FOLDERS)]
        members = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", self.root, "--wildcards", *wanted], stdin=members.stdout, check=True)
        members.stdout.close()
        if members.wait():
            raise RuntimeError(f"{deb} cannot be read")
        os.unlink(deb)
        run("depmod", "-b", self.root, self.release)
        with open(glob.glob(os.path.join(self.root, "boot/vmlinuz-*"))[0], "rb") as boot:
            elf = uncompressed(boot.read())
        with open(self.vmlinux + ".part", "wb") as out:
            out.write(elf)
        os.rename(self.vmlinux + ".part", self.vmlinux)

    def modules(self, names):
        """Paths of the files of @names and of all that they need, in the order in which they can be loaded."""
        paths = []
        for name in names:
            shown = run("modprobe", "-d", self.root, "-S", self.release, "--show-depends", name)
            paths += [line.split()[1] for line in shown.splitlines() if line.startswith("insmod")]
        return list(dict.fromkeys(os.path.abspath(path) for path in paths))
