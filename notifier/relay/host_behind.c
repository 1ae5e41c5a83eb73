/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/host_behind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/children.h"
#include "notifier/wire/message.h"

struct host_behind *hosts_find(struct host_behind *hosts, const char *name)
{
	while (hosts && strcmp(hosts->said->name, name))
		hosts = hosts->next;
	return hosts;
}

static struct host_behind *host_make(struct host_behind **hosts)
{
	struct host_behind *host = calloc(1, sizeof(*host));

	if (!host)
		return NULL;
	host->next = *hosts;
	*hosts = host;
	return host;
}

static int vms_index(struct name_index *index, const Tether__HostBehind *said)
{
	if (name_index_reserve(index, said->n_vms))
		return -ENOMEM;
	for (size_t i = 0; i < said->n_vms; i++) {
		struct name vm = name_whole(said->vms[i]->name);

		name_index_add(index, &vm); /* there is room */
	}
	return 0;
}

int hosts_put(struct host_behind **hosts, const struct vm_places *places,
        const Tether__HostBehind *said, Tether__HostBehind **before)
{
	struct host_behind *host = hosts_find(*hosts, said->name);
	Tether__HostBehind *copy = message_copy(&said->base);
	struct name_index vms = {0};

	if (!copy || vms_index(&vms, copy) || (!host && !(host = host_make(hosts)))) {
		name_index_clear(&vms);
		if (copy)
			tether__host_behind__free_unpacked(copy, NULL);
		return -ENOMEM;
	}
	*before = host->said;
	name_index_clear(&host->vms);
	host->said = copy;
	host->vms = vms;
	host->away_ms = 0;
	host->places = places;
	host->looked_at = UINT64_MAX;
	return 0;
}

void host_is_away(struct host_behind *host, uint64_t now_ms)
{
	if (!host->away_ms)
		host->away_ms = now_ms ? now_ms : 1;
}

void hosts_remove(struct host_behind **hosts, struct host_behind *host)
{
	while (*hosts != host)
		hosts = &(*hosts)->next;
	*hosts = host->next;
	name_index_clear(&host->vms);
	tether__host_behind__free_unpacked(host->said, NULL);
	free(host);
}

static bool may_claim(const struct host_behind *host, const char *vm)
{
	return vm_place_may_claim(host->places, vm, host->said->name);
}

/* Names are asked about in each event, and whose a VM is changes seldom: then all are looked up. */
static bool is_undisputed(struct host_behind *host)
{
	uint64_t changes = vm_places_changes(host->places);

	if (host->looked_at == changes)
		return host->undisputed;
	host->looked_at = changes;
	host->undisputed = true;
	for (size_t i = 0; i < host->said->n_vms && host->undisputed; i++)
		host->undisputed = may_claim(host, host->said->vms[i]->name);
	return host->undisputed;
}

bool host_may_have(struct host_behind *host, const char *vm)
{
	return is_undisputed(host) || may_claim(host, vm);
}

bool host_says_vm(const struct host_behind *host, const char *text)
{
	struct name vm = name_whole(text);

	return name_index_find(&host->vms, &vm);
}

uint32_t host_vm_find(struct host_behind *host, const struct name *vm)
{
	uint32_t at = name_index_find(&host->vms, vm);

	return at && host_may_have(host, host->vms.names[at - 1].text) ? at : 0;
}

bool host_has_vm(struct host_behind *host, const struct name *vm)
{
	return host_vm_find(host, vm);
}

bool host_vm_is_at(struct host_behind *host, uint32_t at, const char *vm, size_t length)
{
	return at && at <= host->vms.count && name_is(&host->vms.names[at - 1], vm, length) &&
	       host_may_have(host, host->vms.names[at - 1].text);
}

bool hosts_have_vm(struct host_behind *hosts, const char *text)
{
	struct name vm = name_whole(text);

	while (hosts && !host_has_vm(hosts, &vm))
		hosts = hosts->next;
	return hosts;
}

Tether__HostBehind host_of_hello(const Tether__Hello *hello)
{
	Tether__HostBehind host = TETHER__HOST_BEHIND__INIT;

	host.name = hello->name;
	host.vms = hello->vms;
	host.n_vms = hello->n_vms;
	host.slots = hello->slots;
	host.n_slots = hello->n_slots;
	host.open = hello->open;
	host.n_open = hello->n_open;
	return host;
}
