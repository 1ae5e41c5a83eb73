/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * That a VM has moved, written down before its QEMU here is told to end: an order that is given
 * again finds no QEMU, and has to know whether that moved the VM or lost it. A small file beside
 * the VM's socket; gone with the machine's start, as all VMs are.
 */
#ifndef TETHER_QMP_MARK_H
#define TETHER_QMP_MARK_H

/* -errno */
int qmp_mark_write(const char *folder, const char *vm, const char *host);
/* The host, to be freed; NULL: there is none. */
char *qmp_mark_read(const char *folder, const char *vm);
void qmp_mark_remove(const char *folder, const char *vm);

#endif
