/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/umad_window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/umad.h>

#include "notifier/base/monotonic.h"

enum {
	SLOT_BITS = 8,
	LATE_MS = 1000, /* how much longer than we the kernel keeps a transaction */
};

struct queued {
	struct queued *next;
	struct ask ask;
};

/* One SMP under way. The transaction is (serial, slot): the serial is another for each try. */
struct flight {
	struct queued *queued; /* NULL: free */
	uint32_t tid;
	unsigned tries;
	uint64_t due_ns;
};

struct umad_window {
	struct umad_window_settings settings;
	int fd, lid_agent, directed_agent;
	void *umad;
	struct queued *first, **end;
	uint32_t serial;
	unsigned in_flight;
	bool is_cancelled;
	struct umad_window_counts counts;
	struct flight flights[UMAD_WINDOW_MAX];
};

void umad_window_resize(struct umad_window *window, unsigned size)
{
	if (size == 0)
		size = 1;
	window->settings.window = size < UMAD_WINDOW_MAX ? size : UMAD_WINDOW_MAX;
}

static int agents_register(struct umad_window *window)
{
	window->lid_agent = umad_register(window->fd, SMP_CLASS_LID, 1, 0, NULL);
	window->directed_agent = umad_register(window->fd, SMP_CLASS_DIRECTED, 1, 0, NULL);
	return window->lid_agent < 0 || window->directed_agent < 0 ? -EIO : 0;
}

int umad_window_open(const struct umad_window_settings *settings, struct umad_window **window)
{
	struct umad_window *w = calloc(1, sizeof(*w));
	int error = w ? umad_init() : -ENOMEM;

	if (error) {
		free(w);
		return w ? -EIO : -ENOMEM;
	}
	w->settings = *settings;
	umad_window_resize(w, settings->window);
	w->end = &w->first;
	w->fd = umad_open_port(settings->ca, settings->port);
	/* Opening a port settles how long the header is. */
	w->umad = calloc(1, umad_size() + SMP_BYTES);
	if (w->umad && w->fd >= 0)
		error = agents_register(w);
	else
		error = w->umad ? w->fd : -ENOMEM;
	if (error) {
		umad_window_close(w);
		return error;
	}
	*window = w;
	return 0;
}

void umad_window_close(struct umad_window *window)
{
	if (!window)
		return;
	umad_window_cancel(window);
	if (window->fd >= 0)
		umad_close_port(window->fd);
	umad_done();
	free(window->umad);
	free(window);
}

struct umad_window_counts umad_window_counts(const struct umad_window *window)
{
	return window->counts;
}

int umad_window_post(struct umad_window *window, const struct ask *ask)
{
	struct queued *queued = malloc(sizeof(*queued));

	if (!queued)
		return -ENOMEM;
	queued->ask = *ask;
	queued->next = NULL;
	*window->end = queued;
	window->end = &queued->next;
	return 0;
}

/* The queued ask is over: its callback may post and cancel. */
static void ask_end(struct queued *queued, int error)
{
	queued->ask.done(&queued->ask, NULL, error);
	free(queued);
}

static struct queued *flight_land(struct umad_window *window, struct flight *flight)
{
	struct queued *queued = flight->queued;

	flight->queued = NULL;
	window->in_flight--;
	return queued;
}

static void end_all(struct umad_window *window, int error)
{
	struct queued *queued;

	for (unsigned i = 0; i < UMAD_WINDOW_MAX; i++)
		if (window->flights[i].queued)
			ask_end(flight_land(window, &window->flights[i]), error);
	while ((queued = window->first)) {
		window->first = queued->next;
		if (!window->first)
			window->end = &window->first;
		ask_end(queued, error);
	}
}

void umad_window_cancel(struct umad_window *window)
{
	end_all(window, -ECANCELED);
	window->is_cancelled = true;
}

static int flight_send(struct umad_window *window, struct flight *flight)
{
	const struct smp_request *request = &flight->queued->ask.request;
	uint16_t lid = request->route.lid ? request->route.lid : SMP_LID_PERMISSIVE;
	int timeout_ms = (int)window->settings.timeout_ms;

	flight->tries++;
	flight->tid = ++window->serial << SLOT_BITS | (uint32_t)(flight - window->flights);
	flight->due_ns = monotonic_ns() + window->settings.timeout_ms * NS_PER_MS;
	memset(window->umad, 0, umad_size() + SMP_BYTES);
	smp_encode(request, flight->tid, umad_get_mad(window->umad));
	umad_set_addr(window->umad, lid, 0, 0, 0);
	return umad_send(window->fd,
	               request->route.lid ? window->lid_agent : window->directed_agent,
	               window->umad, SMP_BYTES, timeout_ms + LATE_MS, 0) < 0
	               ? -EIO
	               : 0;
}

static int fill(struct umad_window *window)
{
	for (unsigned i = 0; i < window->settings.window && window->first; i++) {
		struct flight *flight = &window->flights[i];
		int error;

		if (flight->queued)
			continue;
		flight->queued = window->first;
		window->first = flight->queued->next;
		if (!window->first)
			window->end = &window->first;
		flight->tries = 0;
		window->in_flight++;
		window->counts.asked++;
		error = flight_send(window, flight);
		if (error)
			return error;
	}
	return 0;
}

/* That try was for nothing. */
static int try_again(struct umad_window *window, struct flight *flight)
{
	if (flight->tries >= window->settings.tries) {
		ask_end(flight_land(window, flight), -ETIMEDOUT);
		return 0;
	}
	window->counts.resent++;
	return flight_send(window, flight);
}

static struct flight *flight_of(struct umad_window *window, uint32_t tid)
{
	struct flight *flight = &window->flights[tid & (UMAD_WINDOW_MAX - 1)];

	return flight->queued && flight->tid == tid ? flight : NULL;
}

/*
 * The callback may cancel everything, so the flight has landed before; one that shall fly again
 * takes off from its own slot, which nobody else fills before umad_window_run goes on.
 */
static int take_answer(
        struct umad_window *window, struct flight *flight, const struct smp_answer *answer)
{
	struct queued *queued = flight_land(window, flight);

	if (queued->ask.done(&queued->ask, answer, 0) == ASK_DONE || window->is_cancelled) {
		free(queued);
		return 0;
	}
	flight->queued = queued;
	window->in_flight++;
	return try_again(window, flight);
}

static int receive(struct umad_window *window, uint64_t until_ns)
{
	uint64_t now = monotonic_ns();
	int wait_ms = until_ns > now ? (int)((until_ns - now + NS_PER_MS - 1) / NS_PER_MS) : 1;
	int length = SMP_BYTES;
	int got = umad_recv(window->fd, window->umad, &length, wait_ms);
	struct smp_answer answer;
	struct flight *flight;

	if (got == -ETIMEDOUT || got == -EAGAIN || got == -EINTR)
		return 0;
	if (got < 0)
		return -EIO;
	if (umad_status(window->umad) ||
	        smp_decode(umad_get_mad(window->umad), (size_t)length, &answer))
		return 0;
	flight = flight_of(window, answer.tid);
	if (!flight || answer.attribute != flight->queued->ask.request.attribute ||
	        answer.modifier != flight->queued->ask.request.modifier)
		return 0;
	return take_answer(window, flight, &answer);
}

static uint64_t next_due(const struct umad_window *window, uint64_t deadline_ns)
{
	for (unsigned i = 0; i < window->settings.window; i++)
		if (window->flights[i].queued && window->flights[i].due_ns < deadline_ns)
			deadline_ns = window->flights[i].due_ns;
	return deadline_ns;
}

/* What has come is taken before anything counts as late: this program may not have run for long. */
static int resend_due(struct umad_window *window)
{
	uint64_t now = monotonic_ns();
	int error = 0;

	if (next_due(window, UINT64_MAX) > now || umad_poll(window->fd, 0) == 0)
		return 0;
	for (unsigned i = 0; i < window->settings.window && !error; i++)
		if (window->flights[i].queued && window->flights[i].due_ns <= now)
			error = try_again(window, &window->flights[i]);
	return error;
}

int umad_window_run(struct umad_window *window, uint64_t deadline_ns)
{
	int error = 0;

	window->is_cancelled = false;
	while (!error && (window->first || window->in_flight)) {
		if (monotonic_ns() >= deadline_ns) {
			end_all(window, -ETIMEDOUT);
			return -ETIMEDOUT;
		}
		error = fill(window);
		if (!error)
			error = receive(window, next_due(window, deadline_ns));
		if (!error)
			error = resend_due(window);
		if (window->settings.progress)
			window->settings.progress(&window->counts);
	}
	if (error)
		umad_window_cancel(window);
	return error;
}
