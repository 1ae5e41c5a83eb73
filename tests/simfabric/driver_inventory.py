#!/usr/bin/env python3
"""What simfabric's hypervisor $TETHER_HOST has, for its agent: the `inventory` verb of the driver beside this file.

usage: driver_inventory.py SOCKET_DIR

Of a VM with several VFs NAME has the first, and NAME+2 and so on the others. A VM is here if a VF of it is, or if it has none and
its socket's link says so. A VM whose VF is here gets its link: it may have been given the VF by hand.
"""
import json
import os
import subprocess
import sys

import vm_sockets


def fabric(*words):
    return json.loads(subprocess.run([os.environ.get("SIMFABRIC_CLI", "simfabric"), "-f", os.environ["SIMFABRIC"], *words],
                                     check=True, stdout=subprocess.PIPE).stdout)


def point(link, target):
    """Let `link` point to `target`, without an instant at which it is not there."""
    fresh = f"{link}.{os.getpid()}"
    os.symlink(target, fresh)
    os.rename(fresh, link)


def whole(name):
    """The VM that it stands for a VF of."""
    return name and name.partition("+")[0]


def whole_vms(rows):
    """Each with the first slot that it has; None: none."""
    vms = {}
    for row in sorted(rows, key=lambda row: row["vm"]):
        name = whole(row["vm"])
        vms[name] = vms.get(name) or row["slot"]
    return [{"vm": name, "slot": slot} for name, slot in vms.items()]


def vm_is_here(vm, mine, socket_dir):
    target = os.path.join(socket_dir, vm["vm"] + ".sock")
    link = os.path.join(os.environ["TETHER_VM_SOCKETS"], vm["vm"] + ".sock")
    points_to = vm_sockets.target_of(os.environ["TETHER_VM_SOCKETS"], vm["vm"])
    if vm["slot"] is None:
        return points_to == target
    if vm["slot"] not in mine:
        return False
    if points_to != target:
        for suffix in ".guest", ".sock":
            point(link.removesuffix(".sock") + suffix, target.removesuffix(".sock") + suffix)
    return True


def slot(row):
    """A row of the inventory. Under Shared Port a VF has no place behind a vSwitch but the LID and a GID of its port."""
    said = {"name": row["slot"], "vm": whole(row["vm"]), "node_guid": row["node_guid"], "port_guid": row["port_guid"],
            "attributes": row["attributes"]}
    if "alias" in row:
        gid = f"{row['gid_prefix'] & 0xffffffffffffffff:016x}{int(row['port_guid'], 16):016x}"
        return {**said, "shared_port": True, "lid": row["lid"], "gid": gid}
    return {**said, "switch_guid": row["vswitch_guid"], "switch_port": row["vswitch_port"], "dynamic": row["dynamic"]}


def channel(host, vm):
    """To the agent in the VM."""
    ports = os.environ.get("TETHER_VM_PORTS")
    return {"guest": f"virtio:{os.path.join(ports, f'{host}.{vm}')}"} if ports else {}


def main():
    host, socket_dir = os.environ["TETHER_HOST"], sys.argv[1]
    with vm_sockets.held(os.environ["TETHER_VM_SOCKETS"]):
        slots = {row["slot"]: row for row in fabric("slots", "--json") if row["hypervisor"] == host}
        vms = [vm for vm in whole_vms(fabric("vm", "list", "--json")) if vm_is_here(vm, slots, socket_dir)]
    print(json.dumps({
        "vms": [{"name": vm["vm"], "slot": vm["slot"], **channel(host, vm["vm"])} for vm in vms],
        "slots": [slot(row) for row in slots.values()],
    }))


main()
