/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/agent_credentials.h"
#include "notifier/agent_settings.h"
#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/service.h"
#include "notifier/base/watchdog.h"
#include "notifier/base/settings.h"
#include "notifier/base/version.h"
#include "notifier/guest_role.h"
#include "notifier/host_role.h"
#include "notifier/relay_role.h"
#include "notifier/wire/repeats.h"
#include "notifier/wire/versions.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char version[] = "tether-agent " TETHER_VERSION;
static const char usage[] =
        "usage: tether-agent --config FILE [--check-config] [--foreground]\n"
        "       tether-agent --help | --version\n"
        "\n"
        "  --config FILE    settings, see tether.conf(5); default /etc/tether/agent.conf\n"
        "  --check-config   read them, say what is wrong, and end\n"
        "  --foreground     stay in the foreground: what it does anyway\n";

struct options {
	const char *config;
	bool check_config;
};

struct agent {
	struct event_base *base;
	const char *config;
	struct agent_settings settings;
	const struct role *role;
	void *made; /* by it */
};

static const struct role *const roles[] = {&host_role, &relay_role, &guest_role};

/* 0: go on; else the exit status plus one. */
static int options_read(int count, char **arguments, struct options *options)
{
	static const struct option known[] = {
	        {"config", required_argument, NULL, 'c'},
	        {"check-config", no_argument, NULL, 'C'},
	        {"foreground", no_argument, NULL, 'f'},
	        {"help", no_argument, NULL, 'h'},
	        {"version", no_argument, NULL, 'V'},
	        {0},
	};
	int option;

	*options = (struct options){.config = "/etc/tether/agent.conf"};
	while ((option = getopt_long(count, arguments, "c:", known, NULL)) >= 0) {
		switch (option) {
		case 'c':
			options->config = optarg;
			break;
		case 'C':
			options->check_config = true;
			break;
		case 'f':
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		case 'V':
			printf("%s, protocol %" PRIu32 "\n", version, versions_newest());
			return 1;
		default:
			fputs(usage, stderr);
			return 1 + EXIT_USAGE;
		}
	}
	if (optind < count) {
		fputs(usage, stderr);
		return 1 + EXIT_USAGE;
	}
	return 0;
}

static void on_terminate(evutil_socket_t signal, short what, void *at)
{
	struct agent *agent = at;

	log_info("agent", "ends by signal %d", (int)signal);
	service_stopping();
	event_base_loopbreak(agent->base);
}

/* Log level and deadlines are taken; for the rest the agent has to be started again. */
static void on_reload(evutil_socket_t signal, short what, void *at)
{
	struct agent *agent = at;
	struct agent_settings fresh = {0};
	char error[512] = "";

	service_reloading();
	if (agent_settings_read(&fresh, agent->config, error, sizeof(error))) {
		log_error("agent", "settings are kept: %s", error);
		service_ready();
		return;
	}
	agent->settings.deadlines = fresh.deadlines;
	agent->settings.log_level = fresh.log_level;
	/* The file may have been moved away by whoever rotates logs. */
	if (log_open("tether-agent", agent->settings.log, fresh.log_level))
		log_error("agent", "cannot open %s", agent->settings.log);
	agent_settings_clear(&fresh);
	log_info("agent", "settings read again");
	agent->role->reload(agent->made);
	service_ready();
}

/* agent_settings_read knows the same names. */
static const struct role *role_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (!strcmp(roles[i]->name, name))
			return roles[i];
	return NULL;
}

static int agent_run(struct agent *agent)
{
	struct event *signals[] = {
	        evsignal_new(agent->base, SIGTERM, on_terminate, agent),
	        evsignal_new(agent->base, SIGINT, on_terminate, agent),
	        evsignal_new(agent->base, SIGHUP, on_reload, agent),
	};
	struct event *watchdog = NULL;
	int err = agent->role->create(agent->base, &agent->settings, &agent->made);

	if (!err)
		err = watchdog_start(agent->base, &watchdog);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (!signals[i] || event_add(signals[i], NULL))
			err = -ENOMEM;
	if (!err) {
		log_info("agent", "%s, protocol %" PRIu32 ", %s %s", version, versions_newest(),
		        agent->role->name, agent->settings.name);
		err = event_base_dispatch(agent->base) < 0 ? -EIO : 0;
	}
	agent->role->destroy(agent->made);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (signals[i])
			event_free(signals[i]);
	if (watchdog)
		event_free(watchdog);
	return err ? EXIT_FAILED : 0;
}

/* Takes @settings. */
static int config_check(struct agent_settings *settings, const char *path)
{
	struct credentials *credentials = NULL;
	char error[512], text[256];
	int err = agent_settings_check(settings, path, error, sizeof(error));

	if (!err) {
		err = agent_credentials_make(settings, &credentials, text, sizeof(text));
		if (err)
			settings_blame(path, "tls_certificate", error, sizeof(error), "%s", text);
	}
	credentials_destroy(credentials);
	if (err)
		fprintf(stderr, "tether-agent: %s\n", error);
	agent_settings_clear(settings);
	return err ? EXIT_USAGE : 0;
}

int main(int argc, char **argv)
{
	struct agent agent = {0};
	struct options options;
	char error[512] = "";
	int status;

	versions_pretend(getenv("TETHER_PROTOCOL"));
	repeats_pretend(getenv("TETHER_REPEATS"));
	status = options_read(argc, argv, &options);
	if (status)
		return status - 1;
	if (agent_settings_read(&agent.settings, options.config, error, sizeof(error))) {
		fprintf(stderr, "tether-agent: %s\n", error);
		return EXIT_USAGE;
	}
	if (options.check_config)
		return config_check(&agent.settings, options.config);
	if (log_open("tether-agent", agent.settings.log, agent.settings.log_level)) {
		fprintf(stderr, "tether-agent: %s: %s\n", agent.settings.log, strerror(errno));
		agent_settings_clear(&agent.settings);
		return EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	agent.config = options.config;
	agent.role = role_find(agent.settings.role);
	agent.base = event_base_new();
	status = agent.base ? agent_run(&agent) : EXIT_FAILED;
	if (agent.base)
		event_base_free(agent.base);
	agent_settings_clear(&agent.settings);
	libevent_global_shutdown();
	return status;
}
