/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the application waits for at a completion queue (ibv_req_notify_cq), and whether it has
 * come. The device is armed alike, but it knows nothing of what is made up here, fires for what the
 * application is not shown, and is exchanged.
 *
 * While an arm stands and there is a device that has not refused it, either the device is armed or
 * it has an event that nobody has read. So completions that it tells of need no event of ours, and
 * an event of which nothing came that the application sees is spent by arming the device again.
 *
 * Everything here inside the queue's gate. The queue is polled by way of its ring while armed, so
 * that what arrives is seen in one place.
 */
#ifndef TETHER_COMPLETION_ARM_H
#define TETHER_COMPLETION_ARM_H

#include <infiniband/verbs.h>
#include <stdbool.h>

struct completion_queue;

enum arm_kind { ARM_NONE, ARM_SOLICITED, ARM_ALL };

struct completion_arm {
	enum arm_kind kind;
	bool met;       /* it has come since */
	bool maybe_met; /* a receive has: only the device's event tells whether it was solicited */
	bool marked;    /* the same, before the device's events were looked at */
	bool overdue;   /* an earlier arm was met, and its event may still come */
	bool left_over; /* the event was raised here, and the device may tell the same again */
	bool refused;   /* by a device that may be gone: it is not armed */
};

/* ibv_req_notify_cq; an errno. */
int completion_arm_request(struct completion_queue *cq, int solicited_only);

/* A device that has refused to be armed is there after all: it is armed now, or an event is raised
 * where something has come meanwhile. An errno. */
int completion_arm_repeat(struct completion_queue *cq);

/*
 * A completion that the application sees is in the ring. @device_tells: it is of the device, or
 * follows in the same breath from one that is; otherwise an event is raised where one is due.
 */
void completion_arm_arrived(
        struct completion_queue *cq, const struct ibv_wc *wc, bool device_tells);

/* An event of the device was read. True: it is the application's. May harvest. */
bool completion_arm_judge(struct completion_queue *cq);

/*
 * Once the events are judged that the device has told since a receive was marked, it was not
 * solicited. False: there are others, which have come since; they are marked now. A completion is
 * there before its event is, so what was read of the device says nothing of one that has just come.
 */
bool completion_arm_sift(struct completion_queue *cq);

/* The real queue is gone, with what the device owed; there is another one. -errno */
void completion_arm_uproot(struct completion_queue *cq);
int completion_arm_plant(struct completion_queue *cq);

#endif
