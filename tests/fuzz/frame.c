/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A stream of frames from a hostile peer, in pieces. The first byte is the pieces' length. */
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/gid_name.h"
#include "notifier/wire/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was understood can be said, and is understood as the same. */
static void check_round_trip(const Tether__Frame *frame)
{
	CLEANUP_FREE uint8_t *first = NULL, *second = NULL;
	struct frame_reader reader = {0};
	size_t first_length, second_length, room;
	Tether__Frame *again;
	uint8_t *at;

	if (frame_encode(frame, &first, &first_length))
		abort();
	for (size_t sent = 0; sent < first_length; sent += room) {
		if (frame_reader_room(&reader, &at, &room))
			abort();
		if (room > first_length - sent)
			room = first_length - sent;
		memcpy(at, first + sent, room);
		frame_reader_received(&reader, room);
	}
	if (frame_reader_next(&reader, &again) != 1)
		abort();
	if (frame_encode(again, &second, &second_length) || first_length != second_length ||
	        memcmp(first, second, first_length) != 0)
		abort();
	frame_free(again);
	frame_reader_clear(&reader);
}

static void check_rows(const Tether__QpRows *qps, const Tether__EvidenceRows *evidence,
        const Tether__KeyRows *keys, const Tether__PathRows *paths, const Tether__GidRows *gids)
{
	uint8_t gid[GID_BYTES];
	size_t count;

	if (qps && !qp_rows_count(qps, &count) && count)
		(void)qp_rows_get(qps, count - 1);
	if (evidence && !evidence_rows_count(evidence, &count) && count)
		(void)evidence_rows_get(evidence, count - 1);
	if (keys && !key_rows_count(keys, &count) && count)
		(void)key_rows_get(keys, count - 1);
	if (paths && !path_rows_count(paths, &count) && count)
		(void)path_rows_get(paths, count - 1);
	if (gids && !gid_rows_count(gids, &count) && count &&
	        gid_rows_find(gids, gid_rows_get(gids, count - 1).name, gid) &&
	        !gid_name_fits(gid_rows_get(gids, count - 1).name, gid, sizeof(gid)))
		abort();
}

static void check_tables(const Tether__Frame *frame)
{
	if (frame->body_case == TETHER__FRAME__BODY_ANSWER)
		check_rows(frame->answer->qps, frame->answer->evidence, frame->answer->keys, NULL,
		        frame->answer->gids);
	else if (frame->body_case == TETHER__FRAME__BODY_INTEREST_ANSWER)
		check_rows(frame->interest_answer->qps, NULL, frame->interest_answer->keys, NULL,
		        frame->interest_answer->gids);
	else if (frame->body_case == TETHER__FRAME__BODY_EVENT)
		check_rows(frame->event->qps, frame->event->evidence, frame->event->keys,
		        frame->event->paths, frame->event->gids);
}

static int frames_take(struct frame_reader *reader)
{
	Tether__Frame *frame;
	int got;

	while ((got = frame_reader_next(reader, &frame)) == 1) {
		check_round_trip(frame);
		check_tables(frame);
		frame_free(frame);
	}
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_reader reader = {0};
	size_t piece = size ? data[0] + 1 : 1;

	for (size_t at = 1; at < size;) {
		size_t room, count = size - at < piece ? size - at : piece;
		uint8_t *into;

		if (frame_reader_room(&reader, &into, &room))
			break;
		if (count > room)
			count = room;
		memcpy(into, data + at, count);
		frame_reader_received(&reader, count);
		at += count;
		if (frames_take(&reader) < 0)
			break;
	}
	frame_reader_clear(&reader);
	return 0;
}
