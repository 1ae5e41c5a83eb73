/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What tether-qmp.conf(5) says: the VMs of a host, the sockets of their QEMUs, the VFs that can be
 * given to them, how memory is moved. Read once, then unchanged; whoever uses it holds it.
 */
#ifndef TETHER_QMP_SETTINGS_H
#define TETHER_QMP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* In each of them %v is the VM, in `incoming` %h the host that it goes to. */
struct qmp_vm {
	char *name;
	char *qmp;      /* QEMU's QMP socket */
	char *guest;    /* guest_channel.h; "": as the agent's settings say */
	char *incoming; /* what migrate is told: where the other host's QEMU waits */
};

struct qmp_slot {
	char *name;
	char *id;                       /* of the device in QEMU */
	char *device;                   /* qmp_device.h */
	struct json_object *arguments;  /* of device_add */
	struct json_object *attributes; /* as in an inventory; NULL: none are said */
};

struct qmp_settings {
	unsigned holders;
	struct qmp_vm *vms;
	size_t vms_count;
	struct qmp_slot *slots;
	size_t slots_count;
	struct qmp_vm standard;           /* of VMs that do not say it themselves */
	struct json_object *capabilities; /* names, beside what is always wanted */
	unsigned long max_bandwidth;      /* bytes a second; 0: QEMU's own */
	unsigned long downtime_limit_ms;  /* 0: QEMU's own */
	bool pause_before_switchover;
	bool keeps_source; /* its QEMU is not quit when the VM has moved */
};

/* -errno with one line in @error; *@settings is written on success, and held once. */
int qmp_settings_read(
        const char *path, struct qmp_settings **settings, char *error, size_t error_size);
struct qmp_settings *qmp_settings_hold(struct qmp_settings *settings);
/* NULL is fine. */
void qmp_settings_drop(struct qmp_settings *settings);

const struct qmp_vm *qmp_settings_vm(const struct qmp_settings *settings, const char *name);
const struct qmp_slot *qmp_settings_slot(const struct qmp_settings *settings, const char *name);

/* @pattern with %v, %h and %% replaced, to be freed. NULL: no memory. */
char *qmp_pattern_fill(const char *pattern, const char *vm, const char *host);

#endif
