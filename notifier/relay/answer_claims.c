/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/answer_claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first part of a path. */
struct part {
	const char *text;
	size_t length;
};

static struct part first_part(const char *path)
{
	return (struct part){path, strcspn(path, "/")};
}

static bool part_is(const struct part *part, const char *name)
{
	return !strncmp(name, part->text, part->length) && !name[part->length];
}

/* Whose VM was asked about last: names come host by host, and VM by VM. */
struct last {
	struct host_behind *host;
	uint32_t at; /* its place and 1; 0: none yet */
};

/* It is that one, or the next. */
static bool is_near(struct last *last, const struct part *part)
{
	if (!last->host)
		return false;
	if (host_vm_is_at(last->host, last->at + 1, part->text, part->length)) {
		last->at++;
		return true;
	}
	return host_vm_is_at(last->host, last->at, part->text, part->length);
}

static bool is_found_at(struct last *last, struct host_behind *host, const struct name *vm)
{
	uint32_t at = host_vm_find(host, vm);

	if (at)
		*last = (struct last){host, at};
	return at;
}

static bool has_vm(const struct child *child, const struct part *part, struct last *last)
{
	struct name vm;

	if (child->vm)
		return part_is(part, child->vm);
	if (is_near(last, part))
		return true;
	vm = name_part(part->text, part->length);
	if (last->host && is_found_at(last, last->host, &vm))
		return true;
	for (struct host_behind *host = child->hosts; host; host = host->next)
		if (is_found_at(last, host, &vm))
			return true;
	return false;
}

static bool has_host(const struct child *child, const struct part *host)
{
	for (const struct host_behind *behind = child->hosts; behind; behind = behind->next)
		if (part_is(host, behind->said->name))
			return true;
	return child->name && part_is(host, child->name);
}

/* An agent between may name others of its kind, which nobody above has heard of. */
static bool is_between(const struct child *child)
{
	return child->role == TETHER__ROLE__ROLE_RELAY;
}

static bool name_is_its(
        const struct child *child, const char *name, bool answered, struct last *last)
{
	struct part first = first_part(name);

	if (name[first.length])
		return name[first.length + 1] && has_vm(child, &first, last);
	return !answered &&
	       (is_between(child) || has_vm(child, &first, last) || has_host(child, &first));
}

/* What is no path names a thing of its own, as a process does its queue pairs. */
static bool blame_is_its(const struct child *child, const char *who)
{
	struct part first = first_part(who);

	if (!who[first.length] || is_between(child))
		return true;
	if (child_is_process(child))
		return false;
	return child->vm ? part_is(&first, child->vm) : has_host(child, &first);
}

static bool result_is_its(const struct child *child, const Tether__HostResult *result)
{
	struct part host = first_part(result->host);

	if (child->vm)
		return false;
	return !*result->host || (!result->host[host.length] && has_host(child, &host));
}

/* Those of @said that are @child's, into @kept; how many. @answered: of processes alone. */
static size_t names_keep(
        const struct child *child, char **said, size_t count, bool answered, char **kept)
{
	struct last last = {.host = child->hosts};
	size_t left = 0;

	for (size_t i = 0; i < count; i++)
		if (name_is_its(child, said[i], answered, &last))
			kept[left++] = said[i];
	return left;
}

static int names_take(
        struct answer_claims *claims, const struct child *child, const Tether__Answer *said)
{
	Tether__Answer *answer = &claims->answer;

	size_t count = said->n_answered + said->n_missing + said->n_ended;

	if (child_is_process(child) || !count)
		return 0;
	claims->names = calloc(count, sizeof(*claims->names));
	if (!claims->names)
		return -ENOMEM;
	answer->answered = claims->names;
	answer->n_answered =
	        names_keep(child, said->answered, said->n_answered, true, answer->answered);
	answer->missing = claims->names + answer->n_answered;
	answer->n_missing =
	        names_keep(child, said->missing, said->n_missing, false, answer->missing);
	answer->ended = answer->missing + answer->n_missing;
	answer->n_ended = names_keep(child, said->ended, said->n_ended, true, answer->ended);
	claims->foreign += said->n_ended - answer->n_ended;
	claims->foreign += said->n_answered - answer->n_answered;
	claims->foreign += said->n_missing - answer->n_missing;
	return 0;
}

/* A complaint stays, and is its own who sends it. */
static int blame_take(
        struct answer_claims *claims, const struct child *child, const Tether__Answer *said)
{
	size_t foreign = 0;

	for (size_t i = 0; i < said->n_refusals; i++)
		foreign += !blame_is_its(child, said->refusals[i]->who);
	if (!foreign)
		return 0;
	claims->refusals = calloc(said->n_refusals, sizeof(*claims->refusals));
	claims->unsigned_refusals = calloc(foreign, sizeof(*claims->unsigned_refusals));
	if (!claims->refusals || !claims->unsigned_refusals)
		return -ENOMEM;
	claims->foreign += foreign;
	for (size_t i = 0; i < said->n_refusals; i++) {
		claims->refusals[i] = said->refusals[i];
		if (blame_is_its(child, said->refusals[i]->who))
			continue;
		claims->refusals[i] = &claims->unsigned_refusals[--foreign];
		*claims->refusals[i] = *said->refusals[i];
		claims->refusals[i]->who = (char *)"";
	}
	claims->answer.refusals = claims->refusals;
	return 0;
}

int answer_claims_take(
        struct answer_claims *claims, const struct child *child, const Tether__Answer *said)
{
	int err;

	*claims = (struct answer_claims){.answer = *said};
	err = names_take(claims, child, said);
	if (!err)
		err = blame_take(claims, child, said);
	if (err) {
		answer_claims_clear(claims);
		return err;
	}
	if (said->result && !result_is_its(child, said->result)) {
		claims->answer.result = NULL;
		claims->foreign++;
	}
	return 0;
}

void answer_claims_clear(struct answer_claims *claims)
{
	free(claims->names);
	free(claims->refusals);
	free(claims->unsigned_refusals);
	*claims = (struct answer_claims){0};
}
