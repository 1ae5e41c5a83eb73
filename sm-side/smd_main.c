/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether-smd: one loop for agents, the SM, the API and time. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/service.h"
#include "notifier/base/watchdog.h"
#include "notifier/base/settings.h"
#include "notifier/base/timer.h"
#include "notifier/base/version.h"
#include "notifier/certificates/credentials.h"
#include "notifier/link/refusal_log.h"
#include "notifier/wire/repeats.h"
#include "notifier/wire/versions.h"
#include "sm-side/api/api.h"
#include "sm-side/conductor/conductor.h"
#include "sm-side/directory/directory_log.h"
#include "sm-side/api/dry_run.h"
#include "sm-side/conductor/evacuation_record.h"
#include "sm-side/conductor/evacuator.h"
#include "sm-side/migration/needs.h"
#include "sm-side/smd_credentials.h"
#include "sm-side/smd_metrics.h"
#include "sm-side/smd_settings.h"
#include "sm-side/vm_change/vm_changes.h"

enum {
	EXIT_USAGE = 2,
	TELL_S = 2, /* at most, once the last migration has ended */
};

static const char usage[] =
        "usage: tether-smd --config FILE [--check-config]\n"
        "       tether-smd --help | --version\n"
        "\n"
        "The service beside the subnet manager that moves VMs with their RDMA connections.\n"
        "\n"
        "  --config FILE    settings (tether-smd(8))\n"
        "  --check-config   read them, say what is wrong, and end\n";

struct options {
	const char *config;
	bool check_only, help, version;
};

static int options_parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {{"config", required_argument, NULL, 'c'},
	        {"check-config", no_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'},
	        {"version", no_argument, NULL, 'V'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->config = optarg;
			break;
		case 'n':
			options->check_only = true;
			break;
		case 'h':
			options->help = true;
			break;
		case 'V':
			options->version = true;
			break;
		default:
			return -EINVAL;
		}
	}
	if (optind < argc)
		return -EINVAL;
	return options->config || options->help || options->version ? 0 : -EINVAL;
}

struct daemon {
	struct smd_settings settings;
	struct event_base *base;
	struct event *term, *interrupt, *reload;
	struct event *watchdog;          /* NULL: nobody watches */
	struct credentials *credentials; /* NULL: no TLS */
	struct event *late;              /* a migration has not ended in time */
	struct event
	        *last; /* whoever follows the last migration has had the time to hear its end */
	bool ending;
	struct ledger ledger;
	struct vm_changes changes;
	struct directory *directory;
	struct refusal_log refusals; /* of the directory */
	struct journal *journal;
	struct api *api;
	struct conductor *conductor;
	struct dry_run *dry_run;
	struct evacuations evacuations;
	struct evacuator *evacuator;
	struct smd_metrics *metrics;
};

/* Once politely: a VM in the middle of its move would have no VF until the next start. */
static void end_asked(evutil_socket_t signal, short what, void *context)
{
	struct daemon *daemon = context;

	service_stopping();
	if (!daemon->ending && daemon->conductor)
		conductor_close(daemon->conductor);
	if (daemon->ending || !daemon->conductor || !conductor_is_at_work(daemon->conductor) ||
	        timer_set(daemon->late, daemon->settings.deadlines.overall_ms)) {
		log_info("smd", "signal %d: ending; what is under way stays in the journal",
		        (int)signal);
		event_base_loopbreak(daemon->base);
		return;
	}
	log_info("smd", "signal %d: ending with the migration that is under way; again: at once",
	        (int)signal);
	daemon->ending = true;
}

static void age_log(const struct credentials *credentials)
{
	char doubt[256];

	if (credentials_doubt(credentials, time(NULL), doubt, sizeof(doubt)))
		log_warn("smd", "%s", doubt);
}

static void credentials_read_again(struct daemon *daemon)
{
	char error[256];

	if (!daemon->credentials)
		return;
	if (credentials_reload(daemon->credentials, error, sizeof(error))) {
		log_error("smd", "certificates are kept: %s", error);
		return;
	}
	log_info("smd", "certificates read again");
	age_log(daemon->credentials);
	conductor_credentials_changed(daemon->conductor);
}

/* Log level and deadlines are taken; for the rest tether-smd has to be started again. */
static void settings_read_again(struct daemon *daemon)
{
	struct smd_settings *settings = &daemon->settings, fresh;
	char error[512];

	if (smd_settings_read(&fresh, settings->file, error, sizeof(error))) {
		log_error("smd", "settings are kept: %s", error);
	} else {
		settings->deadlines = fresh.deadlines;
		settings->log_level = fresh.log_level;
		needs_at_least((uint32_t)fresh.protocol_least);
		conductor_deadlines_changed(daemon->conductor);
		log_info("smd", "settings read again");
	}
	smd_settings_clear(&fresh);
	/* The file may have been moved away by whoever rotates logs. */
	if (log_open("tether-smd", settings->log, settings->log_level))
		log_error("smd", "cannot open %s", settings->log);
}

static void reload_asked(evutil_socket_t signal, short what, void *context)
{
	struct daemon *daemon = context;

	service_reloading();
	settings_read_again(daemon);
	credentials_read_again(daemon);
	service_ready();
}

static void end_late(evutil_socket_t unused, short what, void *context)
{
	struct daemon *daemon = context;

	if (conductor_is_at_work(daemon->conductor))
		log_warn("smd", "the migration has not ended in time: it stays in the journal");
	event_base_loopbreak(daemon->base);
}

/* A client that follows may be between two questions. */
static void end_when_told(evutil_socket_t unused, short what, void *context)
{
	static const struct timeval pause = {0, 20000};
	struct daemon *daemon = context;

	if (!api_owes_an_end(daemon->api) || evtimer_add(daemon->last, &pause))
		event_base_loopbreak(daemon->base);
}

static int take(void *context, const struct record *record)
{
	struct daemon *daemon = context;

	if (record->kind == RECORD_evacuation || record->kind == RECORD_evacuee)
		return evacuations_take(&daemon->evacuations, record);
	if (record->kind == RECORD_change || record->kind == RECORD_change_state)
		return vm_changes_take(&daemon->changes, record);
	if (record->kind == RECORD_directory_vm || record->kind == RECORD_directory_slot)
		return directory_take(daemon->directory, record);
	return ledger_take(&daemon->ledger, record);
}

static void end_is_near(struct daemon *daemon)
{
	static const struct timeval patience = {TELL_S, 0};

	if (evtimer_add(daemon->late, &patience))
		event_base_loopbreak(daemon->base);
	else
		end_when_told(-1, 0, daemon);
}

static void changed(void *owner)
{
	struct daemon *daemon = owner;

	api_changed(daemon->api);
	if (daemon->evacuator)
		evacuator_look(daemon->evacuator);
	if (daemon->ending && !conductor_is_at_work(daemon->conductor))
		end_is_near(daemon);
}

static int journal_start(struct daemon *daemon)
{
	char why[512];
	int err;

	ledger_init(&daemon->ledger, &daemon->settings.deadlines);
	vm_changes_init(&daemon->changes, &daemon->settings.deadlines);
	daemon->directory = directory_create(&directory_log, &daemon->refusals);
	if (!daemon->directory)
		return -ENOMEM;
	err = journal_open(daemon->settings.journal, (unsigned)daemon->settings.journal_keep, take,
	        daemon, &daemon->journal, why, sizeof(why));
	if (daemon->changes.epoch > daemon->ledger.epoch)
		daemon->ledger.epoch = daemon->changes.epoch;
	if (err)
		log_error("journal", "%s", why);
	/* Agents leave a root of an older epoch than they have seen. Microseconds are more than
	 * there ever were epochs. */
	else if (!daemon->ledger.epoch)
		daemon->ledger.epoch = (uint64_t)conductor_wall_us();
	return err;
}

static int loop_start(struct daemon *daemon)
{
	signal(SIGPIPE, SIG_IGN);
	daemon->base = event_base_new();
	if (!daemon->base)
		return -ENOMEM;
	daemon->term = evsignal_new(daemon->base, SIGTERM, end_asked, daemon);
	daemon->interrupt = evsignal_new(daemon->base, SIGINT, end_asked, daemon);
	daemon->late = evtimer_new(daemon->base, end_late, daemon);
	daemon->last = evtimer_new(daemon->base, end_when_told, daemon);
	daemon->reload = evsignal_new(daemon->base, SIGHUP, reload_asked, daemon);
	if (!daemon->term || !daemon->interrupt || !daemon->reload || !daemon->late ||
	        !daemon->last || evsignal_add(daemon->term, NULL) ||
	        evsignal_add(daemon->interrupt, NULL) || evsignal_add(daemon->reload, NULL))
		return -ENOMEM;
	return 0;
}

static void evacuation_changed(void *owner)
{
	struct daemon *daemon = owner;

	api_changed(daemon->api);
}

static int dry_run_start(struct daemon *daemon)
{
	struct smd_settings *s = &daemon->settings;

	daemon->dry_run = dry_run_create(daemon->base, s->sm_socket, &s->deadlines);
	if (!daemon->dry_run) {
		log_error("sm", "%s: %s", s->sm_socket, strerror(errno));
		return -errno;
	}
	api_dry_run_set(daemon->api, daemon->dry_run);
	return 0;
}

static int credentials_start(struct daemon *daemon)
{
	char error[256];
	int err =
	        smd_credentials_make(&daemon->settings, &daemon->credentials, error, sizeof(error));

	if (err)
		log_error("smd", "%s", error);
	else if (daemon->credentials)
		age_log(daemon->credentials);
	return err;
}

static int rooms_start(struct daemon *daemon)
{
	struct smd_settings *s = &daemon->settings;
	struct conductor_settings settings = {
	        .listen = s->listen,
	        .credentials = daemon->credentials,
	        .sm_socket = s->fabric ? s->sm_socket : NULL,
	        .signal_mad = s->signal_mad,
	        .deadlines = &s->deadlines,
	        .migrations_max = s->migrations_max,
	        .evacuations = &daemon->evacuations,
	        .changes = &daemon->changes,
	        .directory = daemon->directory,
	};

	needs_at_least((uint32_t)s->protocol_least);
	daemon->api = api_create(daemon->base, s->api);
	if (!daemon->api) {
		log_error("api", "%s: %s", s->api, strerror(errno));
		return -errno;
	}
	daemon->conductor = conductor_create(
	        daemon->base, &settings, &daemon->ledger, daemon->journal, changed, daemon);
	if (!daemon->conductor) {
		log_error("root", "%s: %s", s->listen, strerror(errno));
		return -errno;
	}
	api_conductor_set(daemon->api, daemon->conductor);
	daemon->evacuator = evacuator_create(daemon->base, daemon->conductor, daemon->journal,
	        &daemon->evacuations, evacuation_changed, daemon);
	if (!daemon->evacuator)
		return -ENOMEM;
	api_evacuator_set(daemon->api, daemon->evacuator);
	daemon->metrics = smd_metrics_create(
	        daemon->base, s->metrics, daemon->conductor, daemon->credentials);
	if (!daemon->metrics) {
		log_error("smd", "metrics at %s: %s", s->metrics, strerror(errno));
		return -errno;
	}
	return s->fabric ? dry_run_start(daemon) : 0;
}

static void daemon_clear(struct daemon *daemon)
{
	smd_metrics_destroy(daemon->metrics);
	dry_run_destroy(daemon->dry_run);
	evacuator_destroy(daemon->evacuator);
	conductor_destroy(daemon->conductor);
	api_destroy(daemon->api);
	journal_close(daemon->journal);
	directory_destroy(daemon->directory);
	ledger_clear(&daemon->ledger);
	vm_changes_clear(&daemon->changes);
	evacuations_clear(&daemon->evacuations);
	if (daemon->late)
		event_free(daemon->late);
	if (daemon->last)
		event_free(daemon->last);
	if (daemon->term)
		event_free(daemon->term);
	if (daemon->interrupt)
		event_free(daemon->interrupt);
	if (daemon->reload)
		event_free(daemon->reload);
	if (daemon->watchdog)
		event_free(daemon->watchdog);
	if (daemon->base)
		event_base_free(daemon->base);
	credentials_destroy(daemon->credentials);
	smd_settings_clear(&daemon->settings);
}

static int run(struct daemon *daemon)
{
	const struct smd_settings *s = &daemon->settings;
	int err = log_open("tether-smd", s->log, s->log_level);
	char doubt[256];

	if (err) {
		fprintf(stderr, "tether-smd: %s: %s\n", s->log, strerror(-err));
		return err;
	}
	err = loop_start(daemon);
	if (!err)
		err = journal_start(daemon);
	if (!err)
		err = credentials_start(daemon);
	if (!err)
		err = rooms_start(daemon);
	if (err && s->log && *s->log)
		fprintf(stderr, "tether-smd: not started; %s says why\n", s->log);
	if (err)
		return err;
	if (smd_settings_doubt(s, doubt, sizeof(doubt)))
		log_warn("smd", "%s", doubt);
	log_info("smd", "epoch %llu; agents at %s, API at %s, fabric %s",
	        (unsigned long long)daemon->ledger.epoch, s->listen, s->api,
	        s->fabric ? "opensm" : "none");
	service_status(
	        "epoch %llu, agents at %s", (unsigned long long)daemon->ledger.epoch, s->listen);
	service_ready();
	if (watchdog_start(daemon->base, &daemon->watchdog))
		return -ENOMEM;
	if (event_base_dispatch(daemon->base) < 0)
		return -EIO;
	/* Whoever waited for the end has been answered; once more round takes it out. */
	return event_base_loop(daemon->base, EVLOOP_NONBLOCK) < 0 ? -EIO : 0;
}

/* Certificates, too, are looked into. */
static int config_check(struct daemon *daemon, char *error, size_t size)
{
	const struct smd_settings *s = &daemon->settings;
	char text[256];
	int err = smd_settings_check(s, error, size);

	if (err)
		return err;
	err = smd_credentials_make(s, &daemon->credentials, text, sizeof(text));
	if (err)
		settings_blame(s->file, "tls_certificate", error, size, "%s", text);
	return err;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct daemon daemon = {0};
	char error[512];
	int err;

	if (options_parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (options.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (options.version) {
		puts("tether-smd " TETHER_VERSION);
		return 0;
	}
	versions_pretend(getenv("TETHER_PROTOCOL"));
	repeats_pretend(getenv("TETHER_REPEATS"));
	umask(077);
	err = smd_settings_read(&daemon.settings, options.config, error, sizeof(error));
	if (!err && options.check_only)
		err = config_check(&daemon, error, sizeof(error));
	if (err)
		fprintf(stderr, "tether-smd: %s\n", error);
	else if (!options.check_only)
		err = run(&daemon);
	daemon_clear(&daemon);
	return err ? 1 : 0;
}
