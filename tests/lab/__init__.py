# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A whole tether system in a temporary directory: brought up on evidence, taken down whatever happens.

    deadline.py   waiting for something, with a limit and the logs when it passes
    process.py    one child process with its log; Children takes them all down
    port.py       a virtio-serial port, as QEMU has it
    ports.py      TCP ports for programs that meet over them
    authority.py  a private CA, and certificates of it
    metrics.py    what a daemon tells Prometheus
    service_manager.py what it tells systemd
    checker.py    sanitizer or valgrind, and what it reported
    system.py     fabric, OpenSM with the plugin, tether-smd, agents, VMs
    workload.py   programs in VMs: perftest pairs, rc-verify pairs
    mpi.py        MPI jobs with a rank in each VM, VMs that move at random
    migration.py  what `tether migrate --json` says, and the pauses that belong to it
    survival.py   programs that live through moves: VM 1 to and fro, either VM in turn
    tap.py        "ok N - what" lines
    told_to_end.py SIGTERM takes down what was started
"""
