/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who is let in where a program listens. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include "notifier/channel/channel_tls.h"
#include "notifier/certificates/credentials.h"
#include "notifier/link/listener.h"
#include "tests/unit/tls_place.h"

enum { GONE = 3 };

struct scene {
	struct event_base *base;
	char first[64]; /* who was taken first */
};

static void accepted(struct channel *channel, void *owner)
{
	struct scene *scene = owner;

	snprintf(scene->first, sizeof(scene->first), "%s", channel_tls_place(channel));
	channel->ops->close(channel);
	event_base_loopbreak(scene->base);
}

/* A port that nobody listens at. */
static struct sockaddr_in port_find(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	close(fd);
	return at;
}

static int come(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)at, sizeof(*at)), 0);
	assert_int_equal(write(fd, "hello", 5), 5);
	return fd;
}

static void who_has_given_up_before_its_turn_costs_no_handshake(void **state)
{
	struct sockaddr_in at = port_find();
	struct scene scene = {.base = event_base_new()};
	struct credentials *credentials;
	struct tls_place place;
	struct listener *listener;
	struct holder smd;
	socklen_t length = sizeof(at);
	char address[64], error[256];
	int stays;

	tls_place_make(&place);
	holder_make(&place, &smd, "sm/smd");
	credentials = credentials_create(&smd.files, error, sizeof(error));
	assert_non_null(credentials);
	snprintf(address, sizeof(address), "tls:127.0.0.1:%u", ntohs(at.sin_port));
	assert_int_equal(
	        listener_create(scene.base, address, credentials, accepted, &scene, &listener), 0);
	for (int i = 0; i < GONE; i++)
		close(come(&at));
	stays = come(&at);
	event_base_dispatch(scene.base);
	assert_int_equal(getsockname(stays, (struct sockaddr *)&at, &length), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(at.sin_port));
	assert_string_equal(scene.first, address);
	close(stays);
	listener_destroy(listener);
	credentials_destroy(credentials);
	holder_clear(&smd);
	tls_place_remove(&place);
	event_base_free(scene.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_has_given_up_before_its_turn_costs_no_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
