/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What carries out an order on the physical server: takes a VF from a VM, moves the VM, programs
 * GUIDs, gives it another VF. One set of operations per backend: driver_exec.c runs the site's
 * executable, qmp/driver_qmp.c speaks to QEMU. Neither blocks the loop; lives in its thread.
 */
#ifndef TETHER_DRIVER_H
#define TETHER_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct event_base;
struct host_inventory;
struct driver;
struct driver_job;

struct driver_request {
	const Tether__HostOrder *order; /* HOST_NOTHING: the inventory is wanted, nothing else */
	const char *socket;             /* of order->vm here; NULL: none */
	const char *socket_dir;
	unsigned deadline_ms;
	uint64_t migration, epoch; /* for the log; 0: of none */
};

struct driver_result {
	int err; /* 0: done; -ETIMEDOUT: killed at the deadline; -ECANCELED: stopped; -EREMOTEIO: it
	            says it failed; -EBADMSG: its answer makes no sense; else why it could not be
	            run */
	int exit_status;    /* 128 + signal where one ended it */
	const char *output; /* first 4 KiB */
	const char *text;   /* one line for the operator; "" when done */
	uint32_t elapsed_us;
	uint32_t copy_ms;                 /* as the driver says; 0 if it does not */
	struct host_inventory *inventory; /* NULL: it said none. The callee may take it */
};

/* Called from the loop, once for each job; the job is gone afterwards. May start others, may not
 * close the driver. */
typedef void (*driver_done)(void *context, const struct driver_result *result);

struct driver_ops {
	const char *scheme; /* "exec" in exec:/usr/lib/tether/driver */
	struct driver *(*create)(
	        struct event_base *base, const char *rest, const char *host, int lock);
	void (*destroy)(struct driver *driver);
	/* NULL with errno: not even begun. What @request points to is copied. */
	struct driver_job *(*start)(struct driver *driver, const struct driver_request *request,
	        driver_done done, void *context);
	/* End @job before its time; its done comes all the same, from the loop. */
	void (*stop)(struct driver_job *job);
};

struct driver {
	const struct driver_ops *ops;
};

extern const struct driver_ops driver_exec_ops, driver_qmp_ops;

/* @address: "exec:/path", "qmp:/path". @lock: a descriptor that stays open, also when this process
 * is killed, as long as anything of a job is at work; -1: none. -EPROTONOSUPPORT, -ENOMEM. */
int driver_open(struct event_base *base, const char *address, const char *host, int lock,
        struct driver **driver);
/* Jobs under way are killed and waited for, their done is not called. NULL is fine. */
void driver_close(struct driver *driver);

/* "detach", as drivers and logs call it. */
const char *driver_verb(Tether__HostAction action);

#endif
