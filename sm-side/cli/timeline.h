/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One migration of the API on the terminal: its steps as they begin and end, what it waits for, and
 * its end. What is printed goes to one stream, which nobody else writes to between two calls.
 */
#ifndef TETHER_TIMELINE_H
#define TETHER_TIMELINE_H

#include <stdbool.h>
#include <stdio.h>

#include <json-c/json.h>

/* How far it has been shown; all but @to is 0 at first. */
struct timeline {
	FILE *to;
	size_t ended; /* steps whose line is whole */
	bool is_open; /* the line of the next one has been begun */
	double waits_for;
	char awaits[16];
};

/* What is new since it was shown last: the line of a step begins with the step and ends with it. */
void timeline_show(struct timeline *timeline, struct json_object *migration);
/* All of it at once. */
void timeline_print(FILE *to, struct json_object *migration);
bool timeline_has_ended(struct json_object *migration);

void refusals_print(FILE *to, struct json_object *migration);
/* How it ended on stdout; why, and what may be done next, on stderr. */
void end_print(struct json_object *migration);

#endif
