/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/world_verbs.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/real_verbs.h"
#include "tests/model/world.h"
#include "tests/model/world_fabric.h"

static struct real_verbs face, verbs;

const struct real_verbs *real_verbs(void)
{
	return &verbs;
}

static int be_in(unsigned vm)
{
	char name[16];

	snprintf(name, sizeof(name), "vm%u", vm);
	return setenv("SIMFABRIC_VM", name, 1);
}

int world_verbs_vm_of(const char *device)
{
	for (unsigned vm = 0; vm < WORLD_VMS; vm++) {
		int slot = world_slot_of(vm);
		char name[16];

		snprintf(name, sizeof(name), "slot%d", slot);
		if (slot >= 0 && !strcmp(name, device))
			return (int)vm;
	}
	return -1;
}

static void be_at(const struct ibv_device *device)
{
	int vm = world_verbs_vm_of(device->name);

	if (vm < 0)
		unsetenv("SIMFABRIC_VM");
	else
		be_in((unsigned)vm);
}

static struct ibv_device **list_all(int *count)
{
	struct ibv_device **all = calloc(WORLD_VMS + 1, sizeof(struct ibv_device *));
	int n = 0;

	for (unsigned vm = 0; all && vm < WORLD_VMS; vm++) {
		struct ibv_device **one;

		be_in(vm);
		one = face.ibv_get_device_list(NULL);
		if (one && *one)
			all[n++] = *one;
		face.ibv_free_device_list(one);
	}
	if (count)
		*count = n;
	return all;
}

static void free_list(struct ibv_device **list)
{
	free(list);
}

static __be64 guid_of(struct ibv_device *device)
{
	be_at(device);
	return face.ibv_get_device_guid(device);
}

static struct ibv_context *open_there(struct ibv_device *device)
{
	be_at(device);
	return face.ibv_open_device(device);
}

/* Beside this program: BUILD/lib from BUILD/bin or BUILD/unit. */
static void *library(void)
{
	static const char name[] = "/../lib/libsimfabric-turns.so";
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(name));
	char *slash;
	void *handle;

	path[length < 0 ? 0 : length] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		memcpy(slash, name, sizeof(name));
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		fprintf(stderr, "world: %s\n", dlerror());
		world_fabric_unname();
		_exit(2);
	}
	return handle;
}

const struct turns *world_verbs_load(void)
{
	void *handle = library();

#define SYMBOL(ret, name, version, params, args, test) *(void **)&face.name = dlsym(handle, #name);
#include "preload/wrapped_symbols.def"
	verbs = face;
	verbs.ibv_get_device_list = list_all;
	verbs.ibv_free_device_list = free_list;
	verbs.ibv_get_device_guid = guid_of;
	verbs.ibv_open_device = open_there;
	return dlsym(handle, "simfabric_turns");
}

void world_verbs_join(void)
{
	struct ibv_device **list = list_all(NULL);
	struct ibv_context *context = *list ? open_there(*list) : NULL;

	if (context)
		face.ibv_close_device(context);
	free_list(list);
}
