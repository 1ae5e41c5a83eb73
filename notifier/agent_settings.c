/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/agent_settings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/folder.h"
#include "notifier/base/name.h"
#include "notifier/base/settings.h"
#include "notifier/channel/channel_tls.h"
#include "notifier/channel/channel_vsock.h"
#include "notifier/link/guest_channel.h"
#include "notifier/link/listener.h"
#include "notifier/notices/mad_port.h"
#include "notifier/qmp/qmp_settings.h"
#include "notifier/metrics/metrics_address.h"

#define ANY_PARENT "any"

/* One setting into *@target; @file: the settings', beside which relative paths are. */
typedef int text_take(char **target, const char *file, const char *value);

static int role_take(char **target, const char *file, const char *value)
{
	if (strcmp(value, "host") != 0 && strcmp(value, "relay") != 0 &&
	        strcmp(value, "guest") != 0)
		return -EINVAL;
	return setting_text(target, value);
}

static int name_take(char **target, const char *file, const char *value)
{
	return name_is_fit(value) ? setting_text(target, value) : -EINVAL;
}

static int address_take(char **target, const char *file, const char *value)
{
	const struct channel_ops *ops;
	struct channel_vsock_peer peer;
	const char *rest;

	if (!strncmp(value, "unix:", 5))
		return setting_path(target, file, "unix:", value);
	if (channel_address(value, &ops, &rest) ||
	        (ops == &channel_vsock_ops && channel_vsock_address(rest, &peer)))
		return -EINVAL;
	return setting_text(target, value);
}

static int parent_name_take(char **target, const char *file, const char *value)
{
	struct peer_identity parent;

	if (strcmp(value, ANY_PARENT) != 0 &&
	        (peer_identity_parse_short(value, strlen(value), &parent) ||
	                parent.role == PEER_HOST))
		return -EINVAL;
	return setting_text(target, value);
}

static int listen_take(char **target, const char *file, const char *value)
{
	if (!strncmp(value, "unix:", 5) && !strchr(value, ' '))
		return setting_path(target, file, "unix:", value);
	return listener_fits(value) ? setting_text(target, value) : -EINVAL;
}

/* All links that an agent takes are 16,384: so many of one VM leave room for others'. */
enum { VM_PROCESSES_STANDARD = 4096, VM_PROCESSES_MOST = 16384 };

static int guest_channel_take(char **target, const char *file, const char *value)
{
	struct guest_channel channel;

	if (guest_channel_parse(value, &channel) || channel.kind > GUEST_CHANNEL_UNIX)
		return -EINVAL;
	return setting_text(target, value);
}

static int driver_take(char **target, const char *file, const char *value)
{
	return setting_path(target, file, strncmp(value, "qmp:", 4) ? "exec:" : "qmp:", value);
}

static int path_take(char **target, const char *file, const char *value)
{
	return setting_path(target, file, "", value);
}

static int devices_take(char **target, const char *file, const char *value)
{
	return strcmp(value, "none") ? setting_path(target, file, "", value)
	                             : setting_text(target, value);
}

static int mad_port_take(char **target, const char *file, const char *value)
{
	if (strcmp(value, "none") && !mad_port_name_is_fit(value))
		return -EINVAL;
	return setting_text(target, value);
}

static const struct text_row {
	const char *key;
	size_t offset;
	const char *standard; /* NULL: must be said */
	text_take *take;
	const char *wants; /* what it has to be, for whoever wrote something else */
} texts[] = {
        {"role", offsetof(struct agent_settings, role), NULL, role_take, "host, relay or guest"},
        {"name", offsetof(struct agent_settings, name), NULL, name_take,
                "this server's name: letters, digits and _.-:@"},
        {"root", offsetof(struct agent_settings, root), NULL, address_take,
                "where tether-smd listens: unix:/PATH or tls:ADDRESS:PORT; of a guest "
                "virtio:/PATH, vsock:CID:PORT or unix:/PATH"},
        {"parent_name", offsetof(struct agent_settings, parent_name), ANY_PARENT, parent_name_take,
                "sm/NAME or relay/NAME, whose certificate the parent has to show, or any"},
        {"driver", offsetof(struct agent_settings, driver), NULL, driver_take,
                "exec:/PATH, of an executable, or qmp:/PATH, of a tether-qmp.conf(5)"},
        {"listen", offsetof(struct agent_settings, listen), "", listen_take,
                "unix:/PATH; of a relay tls:ADDRESS:PORT, too, separated by blanks"},
        {"guest_channel", offsetof(struct agent_settings, guest_channel), "none",
                guest_channel_take, "none or unix"},
        {"state_dir", offsetof(struct agent_settings, state_dir), "/var/lib/tether", path_take,
                "a directory"},
        {"socket_dir", offsetof(struct agent_settings, socket_dir), "/run/tether/vms", path_take,
                "a directory"},
        {"devices", offsetof(struct agent_settings, devices), "none", devices_take,
                "none, or the directory of the RDMA device nodes"},
        {"mad_port", offsetof(struct agent_settings, mad_port), "none", mad_port_take,
                "none, or the adapter at which notices are heard: CA or CA:PORT"},
        {"log", offsetof(struct agent_settings, log), "stderr", setting_log,
                "stderr, none or a file"},
        {"metrics", offsetof(struct agent_settings, metrics), "none", metrics_address_take,
                METRICS_ADDRESS_WANT},
};

/* The other keys, beside the deadlines. */
static const struct {
	const char *key, *wants;
} others[] = {
        {"log_level", "none, error, warn, info or debug"},
        {"socket_mode", "a file mode in octal, at most 0777"},
        {"vsock_port", "a number; 0 for none"},
        {"vm_processes", "how many processes of a VM find their agent: 1 to 16384"},
};

static const char *key_of(size_t index, const char **wants)
{
	if (index < ARRAY_SIZE(texts)) {
		*wants = texts[index].wants;
		return texts[index].key;
	}
	index -= ARRAY_SIZE(texts);
	if (index < ARRAY_SIZE(others)) {
		*wants = others[index].wants;
		return others[index].key;
	}
	index -= ARRAY_SIZE(others);
	*wants = CREDENTIALS_SETTINGS_WANT;
	if (index < CREDENTIALS_SETTINGS)
		return credentials_setting_key(index);
	*wants = DEADLINES_WANT;
	return deadlines_key(index - CREDENTIALS_SETTINGS);
}

static const struct settings_words words = {.manual = "tether.conf(5)", .key = key_of};

/* What is not the same in every role. */
static const struct role_standard {
	const char *role, *key, *standard;
} role_standards[] = {
        {"guest", "name", ""},
        {"guest", "root", "virtio:/dev/virtio-ports/org.tether.agent.0"},
        {"guest", "driver", ""},
        {"guest", "devices", "/dev/infiniband"},
        {"guest", "listen", "unix:/run/tether/agent.sock"},
        {"relay", "driver", ""},
        {"relay", "listen", NULL},
};

static char **text_of(struct agent_settings *settings, const struct text_row *row)
{
	return (char **)((char *)settings + row->offset);
}

static int mode_take(struct agent_settings *settings, const char *value)
{
	char *end;
	unsigned long mode = strtoul(value, &end, 8);

	if (end == value || *end || *value == '-' || mode > 0777)
		return -EINVAL;
	settings->socket_mode = mode;
	return 0;
}

static int number_take(uint32_t *number, const char *value, uint32_t least, uint32_t most)
{
	char *end;
	unsigned long taken = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || taken < least || taken > most)
		return -EINVAL;
	*number = (uint32_t)taken;
	return 0;
}

struct reading {
	struct agent_settings *settings;
	const char *file;
};

static int take(void *context, const char *key, const char *value)
{
	const struct reading *reading = context;
	struct agent_settings *settings = reading->settings;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcmp(texts[i].key, key))
			return texts[i].take(text_of(settings, &texts[i]), reading->file, value);
	if (!strcmp(key, "log_level"))
		return log_level_parse(value, &settings->log_level);
	if (!strcmp(key, "socket_mode"))
		return mode_take(settings, value);
	if (!strcmp(key, "vsock_port"))
		return number_take(&settings->vsock_port, value, 0, UINT32_MAX - 1);
	if (!strcmp(key, "vm_processes"))
		return number_take(&settings->vm_processes, value, 1, VM_PROCESSES_MOST);
	err = credentials_setting(&settings->tls, reading->file, key, value);
	return err != -ENOENT ? err : deadlines_set(&settings->deadlines, key, value);
}

static bool is_root_tls(const struct agent_settings *settings)
{
	const struct channel_ops *ops;
	const char *rest;

	return !channel_address(settings->root, &ops, &rest) && ops == &channel_tls_ops;
}

bool agent_settings_parent(const struct agent_settings *settings, struct peer_identity *parent)
{
	const char *name = settings->parent_name;

	return strcmp(name, ANY_PARENT) != 0 &&
	       !peer_identity_parse_short(name, strlen(name), parent);
}

bool agent_settings_want_credentials(const struct agent_settings *settings)
{
	return is_root_tls(settings) || listener_wants_credentials(settings->listen);
}

static int tls_complete(struct agent_settings *settings, const char *path, char *error, size_t size)
{
	const char *missing = credentials_setting_missing(&settings->tls);

	if (!missing || !agent_settings_want_credentials(settings))
		return 0;
	settings_blame(path, is_root_tls(settings) ? "root" : "listen", error, size,
	        "it is tls:, but \"%s\" is not said: add a line \"%s = ...\": %s", missing, missing,
	        CREDENTIALS_SETTINGS_WANT);
	return -EINVAL;
}

static bool is_guest(const struct agent_settings *settings)
{
	return !strcmp(settings->role, "guest");
}

static bool is_host(const struct agent_settings *settings)
{
	return !strcmp(settings->role, "host");
}

/* A guest has another parent than a host, and a host alone a driver. */
static int role_complete(
        struct agent_settings *settings, const char *path, char *error, size_t size)
{
	bool is_port =
	        !strncmp(settings->root, "virtio:", 7) || !strncmp(settings->root, "vsock:", 6);

	if (is_port && !is_guest(settings))
		settings_blame(path, "root", error, size,
		        "a host is no guest of another: unix:/PATH or tls:ADDRESS:PORT");
	else if (!strncmp(settings->root, "tls:", 4) && is_guest(settings))
		settings_blame(path, "root", error, size,
		        "a guest has its host above: virtio:/PATH, vsock:CID:PORT or unix:/PATH");
	else if (strcmp(settings->parent_name, ANY_PARENT) != 0 && !is_root_tls(settings))
		settings_blame(path, "parent_name", error, size,
		        "root is not tls:, and nobody shows a certificate there");
	else if (*settings->driver && !is_host(settings))
		settings_blame(path, "driver", error, size, "a %s has none", settings->role);
	else if (strcmp(settings->mad_port, "none") && !is_host(settings))
		settings_blame(path, "mad_port", error, size, "a %s has none: a host hears notices",
		        settings->role);
	else if (is_guest(settings) &&
	         (strncmp(settings->listen, "unix:", 5) || strchr(settings->listen, ' ')))
		settings_blame(path, "listen", error, size, "a guest has one: unix:/PATH");
	else
		return tls_complete(settings, path, error, size);
	return -EINVAL;
}

/* NULL: it has to be said. */
static const char *standard_of(const struct agent_settings *settings, const struct text_row *row)
{
	for (size_t i = 0; settings->role && i < ARRAY_SIZE(role_standards); i++)
		if (!strcmp(role_standards[i].role, settings->role) &&
		        !strcmp(role_standards[i].key, row->key))
			return role_standards[i].standard;
	return row->standard;
}

static int complete(struct agent_settings *settings, const char *path, char *error, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *standard = standard_of(settings, &texts[i]);
		char **text = text_of(settings, &texts[i]);

		if (!*text && !standard) {
			snprintf(error, size, "%s: \"%s\" is not said: add a line \"%s = ...\": %s",
			        path, texts[i].key, texts[i].key, texts[i].wants);
			return -EINVAL;
		}
		if (!*text)
			*text = strdup(standard);
		if (!*text)
			return -ENOMEM;
	}
	return role_complete(settings, path, error, size);
}

int agent_settings_read(
        struct agent_settings *settings, const char *path, char *error, size_t error_size)
{
	struct reading reading = {.file = path};
	int err;

	*settings = (struct agent_settings){.socket_mode = 0660,
	        .vm_processes = VM_PROCESSES_STANDARD,
	        .log_level = LOG_LEVEL_INFO,
	        .deadlines = deadlines_default};
	reading.settings = settings;
	err = settings_read(path, take, &words, &reading, error, error_size);
	if (!err)
		err = complete(settings, path, error, error_size);
	if (err)
		agent_settings_clear(settings);
	return err;
}

static int place_check(
        const char *path, const char *file, const char *key, char *error, size_t size)
{
	char text[256] = "";
	int err = folder_check(path, text, sizeof(text));

	if (err)
		settings_blame(file, key, error, size, "%s", text);
	return err;
}

/* What is wrong with that file it says itself, line and all. */
static int qmp_check(const char *path, char *error, size_t size)
{
	struct qmp_settings *settings;
	int err = qmp_settings_read(path, &settings, error, size);

	if (!err)
		qmp_settings_drop(settings);
	return err;
}

static int driver_check(const char *driver, const char *file, char *error, size_t size)
{
	const char *path = strchr(driver, ':') + 1;
	struct stat found;

	if (!strncmp(driver, "qmp:", 4))
		return qmp_check(path, error, size);
	if (stat(path, &found))
		settings_blame(
		        file, "driver", error, size, "%s is not there: %s", path, strerror(errno));
	else if (!S_ISREG(found.st_mode) || access(path, X_OK))
		settings_blame(file, "driver", error, size,
		        "%s cannot be executed by uid %u: name an executable", path,
		        (unsigned)geteuid());
	else
		return 0;
	return -EACCES;
}

int agent_settings_check(
        const struct agent_settings *settings, const char *path, char *error, size_t error_size)
{
	int err = is_host(settings) ? driver_check(settings->driver, path, error, error_size) : 0;

	if (!err && !is_guest(settings))
		err = place_check(settings->state_dir, path, "state_dir", error, error_size);
	if (!err && is_host(settings))
		err = place_check(settings->socket_dir, path, "socket_dir", error, error_size);
	return err;
}

void agent_settings_clear(struct agent_settings *settings)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char **text = text_of(settings, &texts[i]);

		free(*text);
		*text = NULL;
	}
	credentials_files_clear(&settings->tls);
}
