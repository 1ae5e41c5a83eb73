/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the log has of one migration, to be read from top to bottom: what was asked, each state when
 * it is entered, each reason before the state that it led to, and how it ended.
 */
#include <inttypes.h>
#include <stdio.h>

#include "notifier/base/log.h"
#include "sm-side/conductor/conductor_state.h"
#include "sm-side/migration/advice.h"

void drive_log_asked(const struct drive *d)
{
	const struct migration_intent *intent = &d->entry->migration.intent;

	log_info("migration", "%" PRIu64 "/%" PRIu64 " %s is to move from %s (%s) to %s (%s)%s%s%s",
	        intent->id, intent->epoch, intent->vm, intent->source.host, intent->source.slot,
	        intent->destination.host, intent->destination.slot,
	        intent->called ? ", called: an orchestrator reports its steps" : "",
	        intent->force ? ", by force" : "",
	        intent->reattach ? ", where it has lost its VF" : "");
}

void drive_log_findings(struct drive *d)
{
	const struct migration *m = &d->entry->migration;

	for (; d->findings_logged < m->testimony.finding_count; d->findings_logged++) {
		const struct finding *f = &m->testimony.findings[d->findings_logged];

		log_warn("migration", "%" PRIu64 "/%" PRIu64 " %s: %s: %s", m->intent.id,
		        m->intent.epoch, f->who, f->reason, f->text);
	}
}

void drive_log_state(struct drive *d)
{
	const struct migration *m = &d->entry->migration;

	drive_log_findings(d);
	log_info("migration", "%" PRIu64 "/%" PRIu64 " %s from %s to %s: %s (%s)", m->intent.id,
	        m->intent.epoch, m->intent.vm, m->intent.source.host, m->intent.destination.host,
	        migration_state_name(m->state), migration_state_meaning(m->state));
}

void drive_log_said(const struct drive *d, const char *what, const char *refused)
{
	const struct migration_intent *intent = &d->entry->migration.intent;

	log_info("migration", "%" PRIu64 "/%" PRIu64 " %s%s%s", intent->id, intent->epoch, what,
	        refused ? ": " : "", refused ? refused : "");
}

void drive_log_reported(const struct drive *d, enum migration_report report, const char *refused)
{
	char what[64];

	snprintf(what, sizeof(what), "\"%s\" is reported%s", migration_report_name(report),
	        refused ? ", and not taken" : "");
	drive_log_said(d, what, refused);
}

static uint64_t length_us(const struct migration *m)
{
	return m->step_count ? m->steps[m->step_count - 1].started_us - m->steps[0].started_us : 0;
}

static const char *what_next(const struct testimony *testimony, enum migration_state end)
{
	size_t unpaired = 0;

	for (size_t i = 0; i < testimony->finding_count; i++)
		unpaired += advice_is_unpaired(testimony->findings[i].reason);
	return advice(end, testimony->finding_count, unpaired);
}

void drive_log_end(struct drive *d)
{
	const struct migration *m = &d->entry->migration;
	const Tether__Counts *counts = &m->testimony.counts;
	const char *next = what_next(&m->testimony, m->state);

	drive_log_findings(d);
	log_info("migration",
	        "%" PRIu64 "/%" PRIu64 " ended %s after %.1f ms: processes %" PRIu32
	        ", queue pairs %" PRIu32 ", replayed %" PRIu32 ", made up %" PRIu32
	        ", errors %" PRIu32 ", LFT Sets %u%s%s",
	        m->intent.id, m->intent.epoch, migration_state_name(m->state),
	        (double)length_us(m) / 1000, counts->processes, counts->qps, counts->replayed,
	        counts->made_up, counts->errors, m->counts.lft_sets, next ? "; " : "",
	        next ? next : "");
}
