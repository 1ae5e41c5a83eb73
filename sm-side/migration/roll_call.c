/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/roll_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t names_append(char **told, size_t count, char *const *names, size_t more)
{
	if (more)
		memcpy(told + count, names, more * sizeof(*told));
	return count + more;
}

/* All that @said names, in order; the caller frees the list. NULL: no memory. */
static char **told_list(const Tether__Answer *said, size_t *count)
{
	char **told = calloc(said->n_answered + said->n_missing + said->n_ended + 1, sizeof(*told));

	if (!told)
		return NULL;
	*count = names_append(told, 0, said->answered, said->n_answered);
	*count = names_append(told, *count, said->missing, said->n_missing);
	*count = names_append(told, *count, said->ended, said->n_ended);
	qsort(told, *count, sizeof(*told), name_compare);
	return told;
}

int roll_call_take(
        struct roll_call *roll, char *const *expected, size_t count, const Tether__Answer *said)
{
	size_t told_count = 0;
	CLEANUP_FREE char **told = told_list(said, &told_count);

	*roll = (struct roll_call){.answer = *said};
	roll->missing = calloc(said->n_missing + count + 1, sizeof(*roll->missing));
	if (!told || !roll->missing) {
		roll_call_clear(roll);
		return -ENOMEM;
	}
	roll->answer.missing = roll->missing;
	names_append(roll->missing, 0, said->missing, said->n_missing);
	for (size_t i = 0; i < count; i++)
		if (!bsearch(&expected[i], told, told_count, sizeof(*told), name_compare))
			roll->missing[said->n_missing + roll->untold++] = expected[i];
	roll->answer.n_missing += roll->untold;
	if (roll->untold && said->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		roll->answer.outcome = TETHER__OUTCOME__OUTCOME_PARTIAL;
	return 0;
}

void roll_call_clear(struct roll_call *roll)
{
	free(roll->missing);
	*roll = (struct roll_call){0};
}
