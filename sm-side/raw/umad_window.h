/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * SMPs through libibumad, a window of them under way at a time. What does not come back in time is
 * sent again, under another transaction, so that a late answer to the first try is nobody's. The
 * window owns its port and its queue; it keeps time itself and needs nothing of the kernel's
 * repetitions. One thread.
 */
#ifndef TETHER_UMAD_WINDOW_H
#define TETHER_UMAD_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/raw/smp.h"

struct umad_window;

enum { UMAD_WINDOW_MAX = 256 };

/* What has been sent so far. */
struct umad_window_counts {
	uint64_t asked;  /* without repetitions */
	uint64_t resent; /* repetitions */
};

struct umad_window_settings {
	const char *ca; /* NULL: the first with an active port */
	int port;       /* 0: the first active one */
	unsigned window;
	unsigned timeout_ms; /* of one try */
	unsigned tries;
	/* Called again and again while umad_window_run does not return; NULL: nobody looks. */
	void (*progress)(const struct umad_window_counts *counts);
};

enum ask_verdict {
	ASK_DONE,
	ASK_AGAIN, /* that was no answer to it; counts as a try */
};

struct ask;

/*
 * Called from umad_window_run, and may post. @answer is NULL with @error: -ETIMEDOUT, no try was
 * answered, or the deadline has come; -ECANCELED. Then the verdict does not matter. An answer's own
 * status is the callback's to judge.
 */
typedef enum ask_verdict (*ask_done)(
        const struct ask *ask, const struct smp_answer *answer, int error);

struct ask {
	struct smp_request request;
	ask_done done;
	void *context;
	uint32_t index; /* the asker's own, with context */
	uint8_t port;
};

/* 0 or -errno: -ENODEV, no such port; -EACCES; what libibumad says otherwise. */
int umad_window_open(const struct umad_window_settings *settings, struct umad_window **window);
void umad_window_close(struct umad_window *window);

/* Queue a copy of @ask; it is sent by umad_window_run, in order. -ENOMEM. */
int umad_window_post(struct umad_window *window, const struct ask *ask);
/*
 * Send what is queued and call back for each, until nothing is left or @deadline_ns has passed
 * (what is left then is called back with -ETIMEDOUT). 0; -ETIMEDOUT: the deadline has passed;
 * -EIO: the port cannot send or receive any more (the rest is cancelled).
 */
int umad_window_run(struct umad_window *window, uint64_t deadline_ns);
/* What is queued or under way is called back with -ECANCELED. Also from within a callback. */
void umad_window_cancel(struct umad_window *window);

struct umad_window_counts umad_window_counts(const struct umad_window *window);
/* How many SMPs may be under way: 1 to UMAD_WINDOW_MAX. Between two runs. */
void umad_window_resize(struct umad_window *window, unsigned size);

#endif
