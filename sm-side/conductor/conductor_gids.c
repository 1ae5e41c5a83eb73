/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * By which GIDs a VM without LIDs is known: what its processes announce when it is about to be
 * prepared. In the journal before anybody is asked, since all later events name the same.
 */
#include "sm-side/conductor/conductor_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "notifier/relay/gid_book.h"

struct finding_gids {
	struct migration *migration;
	size_t announced;
	int err;
};

static void gid_take(void *context, const char *vm, const uint8_t gid[GID_BYTES])
{
	struct finding_gids *finding = context;
	int err = migration_gid_add(finding->migration, gid);

	finding->announced++;
	if (err && !finding->err)
		finding->err = err;
}

static void find_why(struct migration *m, const struct finding_gids *finding)
{
	char text[320];

	snprintf(text, sizeof(text),
	        "%s announces %zu addresses, and %d are what a VM may move with: take away those "
	        "that nobody uses, and ask again",
	        m->intent.vm, finding->announced, MIGRATION_GIDS_MAX);
	if (finding->err == -ENOSPC)
		testimony_find(&m->testimony, m->intent.vm, "too-many-addresses", text);
	else
		conductor_find(m, "no-memory", "addresses could not be kept");
}

/* For texts: of a peer, too. */
static bool gid_of(void *root, uint32_t name, uint8_t gid[GID_BYTES])
{
	return gid_book_find(root_gids(root), name, gid);
}

bool drive_gids_find(struct drive *d)
{
	struct finding_gids finding = {.migration = drive_migration(d)};
	struct migration *m = finding.migration;

	if (!migration_is_by_gids(&m->intent))
		return true;
	m->testimony.gid_of = gid_of;
	m->testimony.gid_owner = d->conductor->root;
	gid_book_each(root_gids(d->conductor->root), m->intent.vm, gid_take, &finding);
	if (!finding.err && !drive_record_gids(d))
		return true;
	if (finding.err)
		find_why(m, &finding);
	else
		conductor_find(m, "journal-failed", "its addresses could not be written");
	drive_feed(d, EVENT_FAILED);
	return false;
}
