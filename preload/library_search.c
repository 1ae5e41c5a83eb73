/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/library_search.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/intercept_dlopen.h"

/* The folders where the library that holds @code has others looked for; NULL: not known. */
static Dl_serinfo *folders_of(const void *code)
{
	Dl_serinfo *folders, size;
	struct link_map *map;
	Dl_info info;

	if (!dladdr1(code, &info, (void **)&map, RTLD_DL_LINKMAP) ||
	        dlinfo(map, RTLD_DI_SERINFOSIZE, &size))
		return NULL;
	folders = malloc(size.dls_size);
	if (!folders)
		return NULL;
	*folders = size;
	if (!dlinfo(map, RTLD_DI_SERINFOSIZE, folders) && !dlinfo(map, RTLD_DI_SERINFO, folders))
		return folders;
	free(folders);
	return NULL;
}

static bool contains(const Dl_serinfo *folders, const char *name)
{
	for (unsigned i = 0; i < folders->dls_cnt; i++) {
		if (!strcmp(folders->dls_serpath[i].dls_name, name))
			return true;
	}
	return false;
}

/*
 * How many of @theirs come before what is common to all: LD_LIBRARY_PATH, where their own RUNPATH
 * follows it, and that. Behind them is the loader's cache, which no list shows.
 */
static unsigned count_of_their_own(const Dl_serinfo *theirs, const Dl_serinfo *common)
{
	unsigned count = theirs->dls_cnt;

	while (count && contains(common, theirs->dls_serpath[count - 1].dls_name))
		count--;
	return count;
}

static void *open_in_folders(const Dl_serinfo *folders, unsigned count, const char *file, int flags)
{
	void *handle = NULL;
	char path[PATH_MAX];

	for (unsigned i = 0; i < count && !handle; i++) {
		int length = snprintf(
		        path, sizeof(path), "%s/%s", folders->dls_serpath[i].dls_name, file);

		if (length < (int)sizeof(path))
			handle = loader_dlopen(path, flags);
	}
	return handle;
}

static void *open_in_their_own(const void *caller, const char *file, int flags)
{
	Dl_serinfo *theirs = folders_of(caller);
	Dl_serinfo *common = folders_of((const void *)(uintptr_t)library_open_as);
	void *handle = NULL;

	if (theirs && common)
		handle = open_in_folders(theirs, count_of_their_own(theirs, common), file, flags);
	free(theirs);
	free(common);
	return handle;
}

void *library_open_as(const void *caller, const char *file, int flags)
{
	void *handle = NULL;

	if (!strchr(file, '/')) {
		handle = loader_dlopen(file, flags | RTLD_NOLOAD);
		if (!handle && !(flags & RTLD_NOLOAD))
			handle = open_in_their_own(caller, file, flags);
	}
	if (!handle)
		handle = loader_dlopen(file, flags);
	else
		dlerror(); /* of where it was not */
	return handle;
}
