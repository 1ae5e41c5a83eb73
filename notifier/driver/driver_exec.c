/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The driver is a site's executable: DRIVER VERB key=value..., JSON on its standard output, status
 * 0 for done (notifier/DESIGN.md "The driver").
 */
#include "notifier/driver/driver.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"
#include "notifier/driver/driver_keeper.h"
#include "notifier/driver/driver_output.h"
#include "notifier/driver/host_inventory.h"

enum {
	ARGUMENTS_MOST = 16,
	OUTPUT_MOST = 1 << 20,
	OUTPUT_TOLD = 4096,
	ERRORS_KEPT = 1024,
};

extern char **environ;

struct driver_exec {
	struct driver driver;
	struct event_base *base;
	char *path;
	char *host_variable; /* "TETHER_HOST=hyp1" */
	struct driver_job *jobs;
	struct event *child_ended;
	int lock; /* held as long as anything of a driver is at work; -1: none */
};

/* One of the process's two streams. */
struct stream {
	int fd;
	struct event *readable;
	char *bytes;
	size_t count;
};

struct driver_job {
	struct driver_job *next;
	struct driver_exec *owner;
	pid_t pid; /* its keeper's */
	struct event *deadline;
	struct stream output, errors;
	bool is_late, is_stopped;
	bool has_said_too_much;
	bool wants_inventory;
	unsigned deadline_ms;
	uint64_t started_us;
	driver_done done;
	void *context;
};

struct arguments {
	char *list[ARGUMENTS_MOST + 1];
	size_t count;
	bool failed;
};

static void argument_add(struct arguments *arguments, char *text)
{
	if (!text || arguments->count == ARGUMENTS_MOST) {
		free(text);
		arguments->failed = true;
		return;
	}
	arguments->list[arguments->count++] = text;
}

static void text_add(struct arguments *arguments, const char *key, const char *value)
{
	char *text = NULL;

	if (!value || !*value)
		return;
	if (asprintf(&text, "%s=%s", key, value) < 0)
		text = NULL;
	argument_add(arguments, text);
}

static void guid_add(struct arguments *arguments, const char *key, uint64_t guid)
{
	char text[32];

	if (!guid)
		return;
	snprintf(text, sizeof(text), "0x%016" PRIx64, guid);
	text_add(arguments, key, text);
}

/* "" for LINK_KEEP: it is not said. */
static const char *link_word(Tether__SlotLink link)
{
	if (link == TETHER__SLOT_LINK__LINK_KEEP)
		return "";
	return link == TETHER__SLOT_LINK__LINK_UP ? "up" : "down";
}

static void arguments_make(struct arguments *arguments, const struct driver_exec *driver,
        const struct driver_request *request)
{
	const Tether__HostOrder *order = request->order;
	char timeout[16];

	*arguments = (struct arguments){0};
	snprintf(timeout, sizeof(timeout), "%u", request->deadline_ms);
	argument_add(arguments, strdup(driver->path));
	argument_add(arguments, strdup(driver_verb(order->action)));
	text_add(arguments, "vm", order->vm);
	text_add(arguments, "slot", order->slot);
	text_add(arguments, "peer_host", order->peer_host);
	guid_add(arguments, "node_guid", order->node_guid);
	guid_add(arguments, "port_guid", order->port_guid);
	text_add(arguments, "link", link_word(order->link));
	text_add(arguments, "socket", request->socket);
	text_add(arguments, "socket_dir", request->socket_dir);
	text_add(arguments, "timeout_ms", timeout);
}

static void arguments_free(struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->count; i++)
		free(arguments->list[i]);
}

/* The agent's environment with TETHER_HOST in front; the strings are not copied. */
static char **environment_make(const struct driver_exec *driver)
{
	size_t count = 0;
	char **copy;

	while (environ[count])
		count++;
	copy = calloc(count + 2, sizeof(*copy));
	if (!copy)
		return NULL;
	copy[0] = driver->host_variable;
	memcpy(copy + 1, environ, count * sizeof(*copy));
	return copy;
}

static void stream_clear(struct stream *stream)
{
	if (stream->readable)
		event_free(stream->readable);
	if (stream->fd >= 0)
		close(stream->fd);
	free(stream->bytes);
}

static void job_destroy(struct driver_job *job)
{
	struct driver_job **at = &job->owner->jobs;

	while (*at && *at != job)
		at = &(*at)->next;
	if (*at)
		*at = job->next;
	stream_clear(&job->output);
	stream_clear(&job->errors);
	if (job->deadline)
		event_free(job->deadline);
	free(job);
}

/* What is there now. Of the output the beginning is kept, of the errors the end. */
static void stream_drain(struct driver_job *job, struct stream *stream)
{
	size_t most = stream == &job->output ? OUTPUT_MOST : 4 * ERRORS_KEPT;
	ssize_t count;

	for (;;) {
		if (stream->count == most && stream == &job->errors) {
			memmove(stream->bytes, stream->bytes + most - ERRORS_KEPT, ERRORS_KEPT);
			stream->count = ERRORS_KEPT;
		}
		if (stream->count == most) {
			job->has_said_too_much = true;
			driver_keeper_stop(job->pid);
			break;
		}
		count = read(stream->fd, stream->bytes + stream->count, most - stream->count);
		if (count < 0 && errno == EAGAIN)
			return;
		if (count <= 0)
			break;
		stream->count += count;
	}
	event_del(stream->readable);
}

static void on_output(evutil_socket_t fd, short what, void *at)
{
	struct driver_job *job = at;

	stream_drain(job, fd == job->output.fd ? &job->output : &job->errors);
}

static void on_deadline(evutil_socket_t fd, short what, void *at)
{
	struct driver_job *job = at;

	job->is_late = true;
	driver_keeper_stop(job->pid);
}

static void exec_stop(struct driver_job *job)
{
	job->is_stopped = true;
	driver_keeper_stop(job->pid);
}

/* The last line that says something. */
static const char *last_line(struct stream *errors)
{
	char *text = errors->bytes, *line;

	text[errors->count] = 0;
	while (errors->count && (text[errors->count - 1] == '\n' || text[errors->count - 1] == ' '))
		text[--errors->count] = 0;
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	return line;
}

/* What it says goes into @result. */
static int output_judge(struct driver_job *job, struct driver_result *result,
        struct host_inventory *inventory, char *text, size_t size)
{
	struct driver_output output;
	int err = driver_output_read(job->output.bytes, job->output.count, job->wants_inventory,
	        &output, inventory, text, size);

	if (err)
		return err;
	result->copy_ms = output.copy_ms;
	result->inventory = output.has_inventory ? inventory : NULL;
	return 0;
}

static void result_judge(struct driver_job *job, int status, struct driver_result *result,
        struct host_inventory *inventory, char *text, size_t size)
{
	const char *said = last_line(&job->errors);

	result->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (job->is_late) {
		result->err = -ETIMEDOUT;
		snprintf(text, size, "the driver was killed after %u ms", job->deadline_ms);
	} else if (job->is_stopped) {
		result->err = -ECANCELED;
		snprintf(text, size, "the driver was stopped for another order");
	} else if (job->has_said_too_much) {
		result->err = -EBADMSG;
		snprintf(text, size, "the driver's output is larger than %d bytes", OUTPUT_MOST);
	} else if (WIFSIGNALED(status)) {
		result->err = -EREMOTEIO;
		snprintf(text, size, "the driver was ended by signal %d", WTERMSIG(status));
	} else if (result->exit_status) {
		result->err = -EREMOTEIO;
		if (*said)
			snprintf(text, size, "%s", said);
		else
			snprintf(text, size, "exit status %d", result->exit_status);
	} else {
		result->err = output_judge(job, result, inventory, text, size);
	}
}

static void job_finish(struct driver_job *job, int status)
{
	struct driver_result result = {.elapsed_us = monotonic_us() - job->started_us};
	struct host_inventory inventory = {0};
	driver_done done = job->done;
	void *context = job->context;
	CLEANUP_FREE char *output = NULL;
	char text[ERRORS_KEPT] = "";

	if (event_pending(job->output.readable, EV_READ, NULL))
		stream_drain(job, &job->output);
	if (event_pending(job->errors.readable, EV_READ, NULL))
		stream_drain(job, &job->errors);
	result_judge(job, status, &result, &inventory, text, sizeof(text));
	output = strndup(job->output.bytes,
	        job->output.count < OUTPUT_TOLD ? job->output.count : OUTPUT_TOLD);
	result.output = output ? output : "";
	result.text = text;
	job_destroy(job);
	done(context, &result);
	host_inventory_clear(&inventory);
}

static struct driver_job *job_ended(const struct driver_exec *driver, int *status)
{
	struct driver_job *job = driver->jobs;

	while (job && waitpid(job->pid, status, WNOHANG) != job->pid)
		job = job->next;
	return job;
}

/* From the front each time: what is told of one may begin another, or end all. */
static void on_child_ended(evutil_socket_t signal_number, short what, void *at)
{
	struct driver_exec *driver = at;
	struct driver_job *job;
	int status;

	while ((job = job_ended(driver, &status)))
		job_finish(job, status);
}

static int stream_open(struct driver_job *job, struct stream *stream, int fd, size_t most)
{
	stream->fd = fd;
	stream->bytes = malloc(most + 1);
	stream->readable = event_new(job->owner->base, fd, EV_READ | EV_PERSIST, on_output, job);
	if (!stream->bytes || !stream->readable)
		return -ENOMEM;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return event_add(stream->readable, NULL) ? -ENOMEM : 0;
}

/* After fork: the agent's side of it. The process is killed where this fails. */
static int job_watch(struct driver_job *job, int out, int err)
{
	int failed = stream_open(job, &job->output, out, OUTPUT_MOST);

	if (!failed)
		failed = stream_open(job, &job->errors, err, 4 * ERRORS_KEPT);
	else
		close(err);
	if (failed)
		return failed;
	job->deadline = evtimer_new(job->owner->base, on_deadline, job);
	if (!job->deadline || timer_set(job->deadline, job->deadline_ms))
		return -ENOMEM;
	return 0;
}

static int job_fork(struct driver_job *job, const struct arguments *arguments, char **environment)
{
	struct driver_command command = {
	        .arguments = arguments->list, .environment = environment, .lock = job->owner->lock};
	int out[2], err[2];

	if (pipe2(out, O_CLOEXEC))
		return -errno;
	if (pipe2(err, O_CLOEXEC)) {
		close(out[0]);
		close(out[1]);
		return -EMFILE;
	}
	command.output = out[1];
	command.errors = err[1];
	job->pid = driver_keeper_start(&command);
	close(out[1]);
	close(err[1]);
	if (job->pid < 0) {
		close(out[0]);
		close(err[0]);
		return job->pid;
	}
	return job_watch(job, out[0], err[0]);
}

static struct driver_job *exec_start(struct driver *driver, const struct driver_request *request,
        driver_done done, void *context)
{
	struct driver_exec *owner = (struct driver_exec *)driver;
	struct driver_job *job = calloc(1, sizeof(*job));
	CLEANUP_FREE char **environment = environment_make(owner);
	struct arguments arguments;
	int err = -ENOMEM;

	arguments_make(&arguments, owner, request);
	if (job && environment && !arguments.failed) {
		job->owner = owner;
		job->output.fd = job->errors.fd = -1;
		job->deadline_ms = request->deadline_ms;
		job->wants_inventory = request->order->action == TETHER__HOST_ACTION__HOST_NOTHING;
		job->started_us = monotonic_us();
		job->done = done;
		job->context = context;
		err = job_fork(job, &arguments, environment);
	}
	arguments_free(&arguments);
	if (!err) {
		job->next = owner->jobs;
		owner->jobs = job;
		return job;
	}
	if (job && job->pid > 0) {
		driver_keeper_stop(job->pid);
		waitpid(job->pid, NULL, 0);
	}
	if (job && job->owner)
		job_destroy(job);
	else
		free(job);
	errno = -err;
	return NULL;
}

static void exec_destroy(struct driver *driver)
{
	struct driver_exec *owner = (struct driver_exec *)driver;

	while (owner->jobs) {
		driver_keeper_stop(owner->jobs->pid);
		waitpid(owner->jobs->pid, NULL, 0);
		job_destroy(owner->jobs);
	}
	if (owner->child_ended)
		event_free(owner->child_ended);
	free(owner->path);
	free(owner->host_variable);
	free(owner);
}

static struct driver *exec_create(
        struct event_base *base, const char *rest, const char *host, int lock)
{
	struct driver_exec *driver = calloc(1, sizeof(*driver));

	if (!driver)
		return NULL;
	driver->driver.ops = &driver_exec_ops;
	driver->base = base;
	driver->lock = lock;
	driver->path = strdup(rest);
	driver->child_ended = evsignal_new(base, SIGCHLD, on_child_ended, driver);
	if (driver->path && driver->child_ended && !event_add(driver->child_ended, NULL) &&
	        asprintf(&driver->host_variable, "TETHER_HOST=%s", host) >= 0)
		return &driver->driver;
	driver->host_variable = NULL;
	exec_destroy(&driver->driver);
	return NULL;
}

const struct driver_ops driver_exec_ops = {
        .scheme = "exec",
        .create = exec_create,
        .destroy = exec_destroy,
        .start = exec_start,
        .stop = exec_stop,
};
