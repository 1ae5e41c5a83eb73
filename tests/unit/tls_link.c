/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/tls_link.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/large_hello.h"

enum { PATIENCE_S = 20 };

static const struct connection_settings quick = {
        .reconnect_ms = 1,
        .reconnect_max_ms = 20,
        .frame_ms = 60000, /* a busy machine is no failure */
        .queue_max_bytes = 4 << 20,
};

static void leave_if_done(struct tls_scene *scene)
{
	if (scene->wanted && *scene->wanted >= scene->wanted_count)
		event_base_loopbreak(scene->base);
}

static void on_opened(struct connection *connection, void *owner)
{
	struct tls_end *end = owner;
	const struct peer_identity *peer = channel_tls_identity(connection_channel(connection));

	assert_non_null(peer);
	end->peer = *peer;
	end->opened++;
	leave_if_done(end->scene);
}

static void on_frame(struct connection *connection, const Tether__Frame *frame, void *owner)
{
	struct tls_end *end = owner;

	end->frames++;
	if (frame->body_case == TETHER__FRAME__BODY_HELLO)
		end->last_bytes = strlen(frame->hello->name);
	leave_if_done(end->scene);
}

static void on_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	struct tls_end *end = owner;

	end->closed++;
	snprintf(end->text, sizeof(end->text), "%s", text);
	leave_if_done(end->scene);
}

static void on_failed(struct connection *connection, const char *text, void *owner)
{
	struct tls_end *end = owner;

	end->failed++;
	snprintf(end->text, sizeof(end->text), "%s", text);
	leave_if_done(end->scene);
}

static const struct connection_callbacks callbacks = {
        .opened = on_opened,
        .frame = on_frame,
        .closed = on_closed,
        .failed = on_failed,
};

static void accepted(struct tls_scene *scene, int taken)
{
	struct tls_end *end = &scene->accepting;
	struct connection_settings settings = quick;
	struct sockaddr_storage peer = {0};
	struct channel channel;

	assert_int_equal(channel_tls_accepted(taken, &peer, end->credentials, &channel), 0);
	connection_destroy(end->connection);
	if (scene->handshake_ms)
		settings.frame_ms = scene->handshake_ms;
	end->connection = connection_accept(scene->base, &channel, &settings, &callbacks, end);
	assert_non_null(end->connection);
	scene->accepted++;
	leave_if_done(scene);
}

/* One that is accepted later; they have their turns in the order in which they came. */
struct late {
	struct tls_scene *scene;
	int taken;
};

static void on_late(evutil_socket_t fd, short what, void *at)
{
	struct late *late = at;

	accepted(late->scene, late->taken);
	free(late);
}

static void on_acceptable(evutil_socket_t fd, short what, void *at)
{
	struct tls_scene *scene = at;
	struct timeval wait = {.tv_usec = 1000 * scene->late_ms};
	int taken = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct late *late;

	if (taken < 0)
		return;
	if (!scene->late_ms) {
		accepted(scene, taken);
		return;
	}
	late = malloc(sizeof(*late));
	*late = (struct late){scene, taken};
	event_base_once(scene->base, -1, EV_TIMEOUT, on_late, late, &wait);
}

void tls_scene_make(struct tls_scene *scene)
{
	*scene = (struct tls_scene){.listener = -1};
	signal(SIGPIPE, SIG_IGN);
	tls_place_make(&scene->place);
	scene->base = event_base_new();
	scene->accepting.scene = scene->connecting.scene = scene;
	assert_int_equal(channel_tls_listen("127.0.0.1:0", &scene->listener, &scene->at), 0);
	scene->acceptable =
	        event_new(scene->base, scene->listener, EV_READ | EV_PERSIST, on_acceptable, scene);
	event_add(scene->acceptable, NULL);
}

static void end_clear(struct tls_end *end)
{
	connection_destroy(end->connection);
	credentials_destroy(end->credentials);
	holder_clear(&end->holder);
}

void tls_scene_clear(struct tls_scene *scene)
{
	end_clear(&scene->connecting);
	end_clear(&scene->accepting);
	event_free(scene->acceptable);
	close(scene->listener);
	free(scene->at);
	event_base_free(scene->base);
	tls_place_remove(&scene->place);
}

void tls_scene_of(struct tls_scene *scene, const char *connecting)
{
	tls_scene_make(scene);
	tls_end_becomes(&scene->accepting, "sm/smd");
	tls_end_becomes(&scene->connecting, connecting);
}

void tls_end_becomes(struct tls_end *end, const char *who)
{
	holder_make(&end->scene->place, &end->holder, who);
	tls_end_reads(end);
}

void tls_end_reads(struct tls_end *end)
{
	char error[256] = "";

	end->credentials = credentials_create(&end->holder.files, error, sizeof(error));
	if (!end->credentials)
		fail_msg("%s", error);
}

void tls_end_reload(struct tls_end *end)
{
	char error[256] = "";

	if (credentials_reload(end->credentials, error, sizeof(error)))
		fail_msg("%s", error);
	connection_recheck(end->connection);
}

void tls_connect(struct tls_scene *scene)
{
	struct connection_settings settings = quick;
	CLEANUP_FREE char *address = NULL;

	settings.credentials = scene->connecting.credentials;
	if (scene->patience_ms)
		settings.frame_ms = scene->patience_ms;
	assert_true(asprintf(&address, "tls:%s", scene->at) > 0);
	scene->connecting.connection =
	        connection_connect(scene->base, address, &settings, &callbacks, &scene->connecting);
	assert_non_null(scene->connecting.connection);
}

void tls_open(struct tls_scene *scene)
{
	tls_connect(scene);
	tls_run(scene, &scene->accepting.opened, 1);
}

int tls_connect_bare(struct tls_scene *scene)
{
	struct sockaddr_storage at;
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(getsockname(scene->listener, (struct sockaddr *)&at, &length), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, length), 0);
	return fd;
}

void tls_run(struct tls_scene *scene, const unsigned *count, unsigned wanted)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};

	scene->wanted = count;
	scene->wanted_count = wanted;
	if (*count >= wanted)
		return;
	event_base_loopexit(scene->base, &patience);
	event_base_dispatch(scene->base);
	if (*count < wanted)
		fail_msg("accepting: %s; connecting: %s", scene->accepting.text,
		        scene->connecting.text);
}

void tls_say(struct tls_end *end, size_t size)
{
	assert_int_equal(large_hello_send(end->connection, size), 0);
}

void tls_hear(struct tls_scene *scene)
{
	unsigned heard = scene->connecting.frames;

	tls_say(&scene->accepting, 1);
	tls_run(scene, &scene->connecting.frames, heard + 1);
}

void tls_reconnect(struct tls_scene *scene)
{
	unsigned opened = scene->accepting.opened;

	/* What is resumed comes with what is read. */
	tls_hear(scene);
	connection_drop(scene->connecting.connection, "to come again");
	tls_run(scene, &scene->accepting.opened, opened + 1);
}
