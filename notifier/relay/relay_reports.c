/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How this relay's agent is, and those below: asked all at once, answered by each for itself. */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/version.h"
#include "notifier/wire/versions.h"

enum {
	REPORT_VMS_MAX = 4096,
	REPORT_COUNTERS_MAX = 256,
	REPORT_VERSION_BYTES = 64,
};

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define COUNT(name, meaning) {#name, offsetof(struct relay_counts, name)},
#include "notifier/relay/relay_counts.def"
};

static bool is_agent(const struct child *child)
{
	return child->name && child->connected && !child_is_process(child);
}

/* Each host behind it has an agent, and each VM may have one in it; agents between are fewer than
 * hosts where a tree is worth its levels. */
static unsigned answers_of(const struct child *child)
{
	unsigned hosts = 0, vms = 0;

	for (const struct host_behind *host = child->hosts; host; host = host->next) {
		hosts++;
		vms += (unsigned)host->said->n_vms;
	}
	if (child->role != TETHER__ROLE__ROLE_RELAY)
		return 1 + vms;
	return 1 + 2 * hosts + vms;
}

/* What this relay's own answer could not say yet. */
static void last_say(struct relay *relay)
{
	Tether__Report report = TETHER__REPORT__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	report.request = relay->report_asked;
	report.name = relay->name;
	report.role = relay->settings.role;
	report.last = true;
	frame.body_case = TETHER__FRAME__BODY_REPORT;
	frame.report = &report;
	relay->outputs->parent_send(relay->owner, &frame);
}

static void due_end(struct relay *relay, struct child *child)
{
	if (!child->report_is_due)
		return;
	child->report_is_due = false;
	if (!--relay->reports_due)
		last_say(relay);
}

static void due_begin(struct relay *relay)
{
	relay->reports_due = 0;
	for (struct child *child = relay->children.first; child; child = child->next) {
		child->report_is_due = is_agent(child);
		relay->reports_due += child->report_is_due;
	}
}

void relay_reports_ask(struct relay *relay, uint32_t request)
{
	Tether__Report question = TETHER__REPORT__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	question.request = request;
	frame.body_case = TETHER__FRAME__BODY_REPORT;
	frame.report = &question;
	relay->report_asked = request;
	due_begin(relay);
	/* The root has no answer of its own. */
	if (!relay->reports_due && relay->settings.role == TETHER__ROLE__ROLE_ROOT)
		last_say(relay);
	for (struct child *child = relay->children.first; child; child = child->next) {
		if (!child->report_is_due)
			continue;
		child->reports_left = answers_of(child);
		relay_child_say(relay, child, &frame);
	}
}

void relay_reports_gone(struct relay *relay, struct child *child)
{
	if (is_agent(child) && relay->outputs->agent_away)
		relay->outputs->agent_away(relay->owner, child->name, child->role);
	due_end(relay, child);
}

void relay_reports_forget(struct relay *relay, struct child *child)
{
	due_end(relay, child);
}

void relay_agents_each(const struct relay *relay,
        void (*each)(void *context, const char *name, Tether__Role role), void *context)
{
	for (const struct child *child = relay->children.first; child; child = child->next)
		if (is_agent(child))
			each(context, child->name, child->role);
}

/* A guest need not know what it is called: its channel does. */
static char *name_of(const struct child *child, const Tether__Report *report)
{
	return child->role == TETHER__ROLE__ROLE_GUEST && !*report->name ? child->name
	                                                                 : report->name;
}

/* Whether @child may say how @report's agent is: itself, or one behind it. Of agents between it is
 * known only that they are nobody else's. */
static bool is_its_to_say(
        const struct relay *relay, const struct child *child, const Tether__Report *report)
{
	if (!strcmp(name_of(child, report), child->name) && report->role == child->role)
		return true;
	if (report->role == TETHER__ROLE__ROLE_GUEST)
		return child_has_vm(child, report->name);
	if (child->role != TETHER__ROLE__ROLE_RELAY)
		return false;
	if (report->role == TETHER__ROLE__ROLE_HOST)
		return hosts_find(child->hosts, report->name);
	return report->role == TETHER__ROLE__ROLE_RELAY && relay_name_is_clean(report->name) &&
	       !relay_host_is_elsewhere(relay, child, report->name);
}

/* Operators see what it says. */
static bool is_clean(const Tether__Report *report)
{
	if (report->n_vms > REPORT_VMS_MAX || report->n_counters > REPORT_COUNTERS_MAX ||
	        strlen(report->version) > REPORT_VERSION_BYTES ||
	        !relay_name_is_clean(report->version))
		return false;
	for (size_t i = 0; i < report->n_vms; i++)
		if (!relay_name_is_clean(report->vms[i]->name))
			return false;
	for (size_t i = 0; i < report->n_counters; i++)
		if (!relay_name_is_clean(report->counters[i]->name))
			return false;
	return true;
}

static bool is_expected(
        const struct relay *relay, const struct child *child, const Tether__Report *report)
{
	return report->request == relay->report_asked && child->report_is_due &&
	       is_its_to_say(relay, child, report);
}

/* Of all below @child: it is no answer of anybody's. */
static bool is_last_word(const struct child *child, const Tether__Report *report)
{
	return report->last && !*report->version && report->role == child->role &&
	       !strcmp(name_of(child, report), child->name);
}

static void report_pass(
        struct relay *relay, const struct child *child, const Tether__Report *report)
{
	Tether__Report passed = *report;
	Tether__Frame frame = TETHER__FRAME__INIT;

	passed.name = name_of(child, report);
	passed.behind = strcmp(passed.name, child->name) ? child->name : (char *)"";
	passed.last = false;
	frame.body_case = TETHER__FRAME__BODY_REPORT;
	frame.report = &passed;
	relay->outputs->parent_send(relay->owner, &frame);
}

void relay_report_take(struct relay *relay, struct child *child, const Tether__Report *report)
{
	bool is_own = !strcmp(name_of(child, report), child->name);

	if (!is_expected(relay, child, report)) {
		relay->counts.unasked_reports++;
		return;
	}
	if (is_last_word(child, report)) {
		due_end(relay, child);
		return;
	}
	if (!child->reports_left) {
		relay->counts.unasked_reports++;
		return;
	}
	child->reports_left--;
	if (is_clean(report))
		report_pass(relay, child, report);
	else
		relay->counts.bad_reports++;
	if (report->last && is_own)
		due_end(relay, child);
}

static uint32_t processes_of(const struct relay *relay, const char *vm)
{
	uint32_t count = 0;

	for (const struct child *child = relay->children.first; child; child = child->next)
		count += child->connected && child->name && child_is_process(child) &&
		         !strcmp(child->vm, vm);
	return count;
}

static int vms_fill(const struct relay *relay, Tether__Report *report)
{
	Tether__VmReport *vms;
	size_t count = 0;

	for (const struct vm_state *vm = relay->vms; vm; vm = vm->next)
		count += vm->is_here;
	vms = calloc(count + 1, sizeof(*vms));
	/* The list has one place more: for the block that its messages are in. */
	report->vms = calloc(count + 1, sizeof(*report->vms));
	if (!vms || !report->vms) {
		free(vms);
		free(report->vms);
		report->vms = NULL;
		return -ENOMEM;
	}
	for (struct vm_state *vm = relay->vms; vm; vm = vm->next) {
		Tether__VmReport *of_vm = &vms[report->n_vms];

		if (!vm->is_here)
			continue;
		tether__vm_report__init(of_vm);
		of_vm->name = vm->name;
		of_vm->processes = processes_of(relay, vm->name);
		of_vm->protocol = relay_oldest_of(relay, vm->name);
		report->vms[report->n_vms++] = of_vm;
	}
	report->vms[count] = vms;
	return 0;
}

static int counters_fill(const struct relay *relay, Tether__Report *report)
{
	const struct relay_counts now = relay_counts(relay);
	const size_t count = ARRAY_SIZE(counters);
	Tether__Counter *filled = calloc(count, sizeof(*filled));

	report->counters = calloc(count, sizeof(*report->counters));
	if (!filled || !report->counters) {
		free(filled);
		free(report->counters);
		report->counters = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		tether__counter__init(&filled[i]);
		filled[i].name = (char *)counters[i].name;
		memcpy(&filled[i].value, (const char *)&now + counters[i].offset,
		        sizeof(filled[i].value));
		report->counters[i] = &filled[i];
	}
	report->n_counters = count;
	return 0;
}

static bool has_processes(const struct relay *relay)
{
	return relay->settings.role == TETHER__ROLE__ROLE_HOST ||
	       relay->settings.role == TETHER__ROLE__ROLE_GUEST;
}

int relay_report_fill(const struct relay *relay, Tether__Report *report)
{
	tether__report__init(report);
	if (vms_fill(relay, report) || counters_fill(relay, report)) {
		relay_report_clear(report);
		return -ENOMEM;
	}
	report->name = relay->name;
	report->role = relay->settings.role;
	report->version = (char *)TETHER_VERSION;
	report->protocol = versions_newest();
	report->epoch = relay->epoch;
	report->open = (uint32_t)relay->begun_count;
	if (has_processes(relay))
		report->processes_max = relay->settings.processes_max;
	for (const struct child *child = relay->children.first; child; child = child->next)
		report->agents += is_agent(child);
	report->last = !report->agents;
	return 0;
}

void relay_report_clear(Tether__Report *report)
{
	if (report->vms)
		free(report->vms[report->n_vms]);
	free(report->vms);
	if (report->counters)
		free(report->counters[0]);
	free(report->counters);
	tether__report__init(report);
}
