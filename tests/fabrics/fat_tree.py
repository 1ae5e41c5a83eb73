#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Print a fat-tree as an ibsim topology.

usage: fat_tree.py SIZE [--vf K [--dynamic]] [--sm] [--radix R]

SIZE is one of the four trees of 36-port switches in Table I of the vSwitch paper, by the number of hosts (324, 648,
5832, 11664), or L,S,H: L leaves with H hosts each under S spines. A host is a plain CA ("h1"...); with --vf K it is a
hypervisor: a vSwitch ("v1") with the PF ("h1") and K VFs ("h1_vf1"...), which with --dynamic have a link while a VM has them.
--sm adds a plain CA "sm" on the first leaf with
a free port (L,S,H only: the paper's trees have none free).
"""
import argparse
import sys


class Tree:
    def __init__(self):
        self.kinds = {}   # name -> (kind, ports), in the order of their appearance
        self.cables = {}  # name -> {port: (peer, peer's port)}
        self.hypervisors = []
        self.suffix = ""

    def add(self, kind, name, ports):
        self.kinds[name] = (kind, ports)
        self.cables[name] = {}

    def join(self, a, a_port, b, b_port):
        self.cables[a][a_port] = (b, b_port)
        self.cables[b][b_port] = (a, a_port)

    def free_port(self, name):
        return next((p for p in range(1, self.kinds[name][1] + 1) if p not in self.cables[name]), None)

    def add_host(self, leaf, port, number, vfs):
        pf = f"h{number}"
        if vfs is None:
            self.add("Ca", pf, 1)
            self.join(leaf, port, pf, 1)
            return
        vswitch = f"v{number}"
        self.add("Switch", vswitch, 2 + vfs)
        self.join(leaf, port, vswitch, 1)
        self.add("Ca", pf, 1)
        self.join(vswitch, 2, pf, 1)
        for k in range(1, vfs + 1):
            self.add("Ca", f"{pf}_vf{k}", 1)
            self.join(vswitch, 2 + k, f"{pf}_vf{k}", 1)
        self.hypervisors.append((pf, vswitch, pf))

    def write(self, out):
        for name, vswitch, pf in self.hypervisors:
            out.write(f'#hypervisor "{name}" vswitch "{vswitch}" pf "{pf}"{self.suffix}\n')
        # CAs first: ibsim takes the first port of the file for a client that names none.
        for wanted in ("Ca", "Switch"):
            for name, (kind, ports) in self.kinds.items():
                if kind != wanted:
                    continue
                out.write(f'\n{kind}\t{ports} "{name}"\n')
                for port, (peer, peer_port) in sorted(self.cables[name].items()):
                    out.write(f'[{port}]\t"{peer}"[{peer_port}]\n')


def two_levels(tree, leaves, spines, hosts_per_leaf, radix):
    """Leaves and spines; the free leaf ports, as (leaf, port), for hosts."""
    for i in range(leaves):
        tree.add("Switch", f"leaf{i + 1}", max(radix, spines + hosts_per_leaf))
    for j in range(spines):
        tree.add("Switch", f"spine{j + 1}", max(radix, leaves))
    for i in range(leaves):
        for j in range(spines):
            tree.join(f"leaf{i + 1}", hosts_per_leaf + 1 + j, f"spine{j + 1}", 1 + i)
    return [(f"leaf{i + 1}", 1 + p) for i in range(leaves) for p in range(hosts_per_leaf)]


def three_levels(tree, pods, radix):
    """Pods of half-radix leaves and middles; middle j of each pod goes to the same group of tops."""
    half = radix // 2
    for pod in range(pods):
        for i in range(half):
            tree.add("Switch", f"leaf{pod + 1}_{i + 1}", radix)
        for j in range(half):
            tree.add("Switch", f"middle{pod + 1}_{j + 1}", radix)
    for t in range(half * half):
        tree.add("Switch", f"top{t + 1}", radix)
    for pod in range(pods):
        for i in range(half):
            for j in range(half):
                tree.join(f"leaf{pod + 1}_{i + 1}", half + 1 + j, f"middle{pod + 1}_{j + 1}", 1 + i)
        for j in range(half):
            for k in range(half):
                tree.join(f"middle{pod + 1}_{j + 1}", half + 1 + k, f"top{j * half + k + 1}", 1 + pod)
    return [(f"leaf{pod + 1}_{i + 1}", 1 + p) for pod in range(pods) for i in range(half) for p in range(half)]


def build(size, vfs=None, with_sm=False, radix=36):
    tree = Tree()
    if size in ("324", "648"):
        places = two_levels(tree, 18 if size == "324" else 36, 18, 18, 36)
    elif size in ("5832", "11664"):
        places = three_levels(tree, 18 if size == "5832" else 36, 36)
    else:
        leaves, spines, hosts = map(int, size.split(","))
        places = two_levels(tree, leaves, spines, hosts, radix)
    for number, (leaf, port) in enumerate(places, 1):
        tree.add_host(leaf, port, number, vfs)
    if with_sm:
        leaf = next((l for l, _ in places if tree.free_port(l)), None)
        if not leaf:
            raise SystemExit("no leaf has a free port for the SM")
        tree.add("Ca", "sm", 1)
        tree.join(leaf, tree.free_port(leaf), "sm", 1)
    return tree


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("size")
    args.add_argument("--vf", type=int, metavar="K")
    args.add_argument("--dynamic", action="store_true")
    args.add_argument("--sm", action="store_true")
    args.add_argument("--radix", type=int, default=36)
    args = args.parse_args()
    tree = build(args.size, args.vf, args.sm, args.radix)
    tree.suffix = " dynamic" if args.dynamic else ""
    tree.write(sys.stdout)


if __name__ == "__main__":
    main()
