# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A VM is given a VF by tether-smd, or gives it up: asked for, and followed to its end."""
from smd import equal


def create(smd, name, host, **members):
    return begun(smd, "POST", "/v1/vms", {"name": name, "host": host, **members})


def destroy(smd, name):
    return begun(smd, "DELETE", f"/v1/vms/{name}")


def begun(smd, method, path, body=None):
    status, answer = smd.ask(method, path, body)
    equal(status, 202, answer)
    return answer["id"]


def change_of(smd, name):
    """The VM's latest change, when it has ended."""
    seen = 0
    while True:
        status, vm = smd.get(f"/v1/vms/{name}?wait=change&seen={seen}")
        equal(status, 200, vm)
        if vm["change"]["ended"]:
            return vm["change"]
        seen = vm["change"]["changes"]


def created(smd, name, host, **members):
    create(smd, name, host, **members)
    return change_of(smd, name)


def destroyed(smd, name):
    destroy(smd, name)
    return change_of(smd, name)
