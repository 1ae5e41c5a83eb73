/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/self.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* proc(5): the 22nd field, the 20th behind the name in parentheses. */
static unsigned long long start_ticks(void)
{
	FILE *stat = fopen("/proc/self/stat", "re");
	char line[1024];
	const char *at = NULL;
	unsigned long long ticks = 0;

	if (stat && fgets(line, sizeof(line), stat))
		at = strrchr(line, ')');
	for (int field = 2; at && field < 22; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (at)
		sscanf(at, "%llu", &ticks);
	if (stat)
		fclose(stat);
	return ticks;
}

void self_name(const char *vm, char *name, size_t size)
{
	snprintf(name, size, "%s%s%d.%llu", vm ? vm : "", vm ? "/" : "", (int)getpid(),
	        start_ticks());
}

void self_program(char *name, size_t size)
{
	FILE *comm = fopen("/proc/self/comm", "re");

	if (!comm || !fgets(name, (int)size, comm))
		snprintf(name, size, "?");
	name[strcspn(name, "\n")] = '\0';
	if (comm)
		fclose(comm);
}
