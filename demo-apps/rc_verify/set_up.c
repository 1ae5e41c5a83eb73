/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/set_up.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/rc_verify/receiver.h"
#include "demo-apps/rc_verify/run.h"
#include "demo-apps/verify/process.h"

enum {
	CONNECT_TIMEOUT_MS = 20000,
	SET_UP_TIMEOUT_MS = 60000,
};

static int rendezvous_open(struct run *run)
{
	const struct options *options = run->asked;
	char line[RENDEZVOUS_LINE];
	int error;

	if (!run->is_server) {
		error = rendezvous_connect(
		        &run->rendezvous, options->host, options->port, CONNECT_TIMEOUT_MS);
		if (error)
			return failed("connect", error);
		work_options_write(&options->work, line, sizeof(line));
		return rendezvous_say(&run->rendezvous, "%s", line);
	}
	error = rendezvous_accept(&run->rendezvous, options->port);
	if (error)
		return failed("accept", error);
	error = rendezvous_hear(&run->rendezvous, line, SET_UP_TIMEOUT_MS);
	if (!error)
		error = work_options_read(&run->options.work, line);
	return error ? failed("the client's choices", error) : 0;
}

static int lanes_exchange(struct run *run)
{
	char line[RENDEZVOUS_LINE];
	int error = 0;

	for (uint32_t i = 0; i < run->options.work.qps; i++) {
		lane_describe(&run->lanes[i], &run->endpoint, line, sizeof(line));
		rendezvous_say(&run->rendezvous, "%s", line);
	}
	for (uint32_t i = 0; i < run->options.work.qps && !error; i++) {
		error = rendezvous_hear(&run->rendezvous, line, SET_UP_TIMEOUT_MS);
		if (!error)
			error = lane_peer_read(&run->lanes[i], line);
	}
	return error ? failed("the other side's addresses", error) : 0;
}

/* Nobody sends before both are ready to receive. */
static int ready_exchange(struct run *run)
{
	char line[RENDEZVOUS_LINE];
	int error = rendezvous_say(&run->rendezvous, "ready");

	if (!error)
		error = rendezvous_hear(&run->rendezvous, line, SET_UP_TIMEOUT_MS);
	if (!error && strcmp(line, "ready"))
		error = -EPROTO;
	return error ? failed("the other side is not ready", error) : 0;
}

static int lanes_open(struct run *run)
{
	uint32_t qps = run->options.work.qps;
	int error = 0;

	run->lanes = calloc(qps, sizeof(*run->lanes));
	run->scratch = malloc(run->options.work.length_max);
	run->adds = calloc(1, sizeof(*run->adds));
	if (!run->lanes || !run->scratch || !run->adds)
		return failed("memory", ENOMEM);
	for (uint32_t i = 0; i < qps && !error; i++)
		error = lane_create(&run->lanes[i], i, &run->endpoint, &run->options);
	if (!error)
		error = lanes_exchange(run);
	for (uint32_t i = 0; i < qps && !error; i++) {
		receiver_start(run, &run->lanes[i]);
		error = run->has_failed ? -EIO
		                        : lane_connect(&run->lanes[i], &run->endpoint,
		                                  (uint8_t)run->options.work.ack_timeout);
	}
	return error ? error : ready_exchange(run);
}

int set_up(struct run *run)
{
	int error = rendezvous_open(run);

	if (!error)
		error = endpoint_open(&run->endpoint, &run->options);
	return error ? error : lanes_open(run);
}
