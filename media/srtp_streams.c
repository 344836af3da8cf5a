#include "media/srtp_streams.h"

#include <string.h>

_Static_assert(PL_SRTP_SSRCS_MAX <= UINT8_MAX && PL_SRTP_WINDOW_LOST <= UINT8_MAX, "both are kept in 8 bits");

struct pl_srtp_stream *pl_srtp_streams_find(struct pl_srtp_streams *streams, uint32_t ssrc)
{
	if (streams->found < streams->count && streams->stream[streams->found].ssrc == ssrc)
		return &streams->stream[streams->found];
	for (uint8_t i = 0; i < streams->count; i++) {
		if (streams->stream[i].ssrc != ssrc)
			continue;
		streams->found = i;
		return &streams->stream[i];
	}
	return NULL;
}

struct pl_srtp_stream *pl_srtp_streams_add(struct pl_srtp_streams *streams, uint32_t ssrc)
{
	if (streams->count == PL_SRTP_SSRCS_MAX)
		return NULL;
	struct pl_srtp_stream *stream = &streams->stream[streams->count++];
	*stream = (struct pl_srtp_stream){ .ssrc = ssrc, .window = PL_SRTP_WINDOW_NEW };
	return stream;
}

bool pl_srtp_streams_index(
	const struct pl_srtp_streams *streams, const struct pl_srtp_stream *stream, uint16_t seq, uint64_t *index)
{
	const uint64_t last = stream == NULL ? 0 : stream->last;
	*index = pl_srtp_index_of(last, seq);
	if (*index >> PL_SRTP_INDEX_BITS != 0)
		return false;
	if (stream == NULL || stream->window == PL_SRTP_WINDOW_NEW)
		return true;
	if (stream->window == PL_SRTP_WINDOW_LOST)
		return *index > last;
	return pl_srtp_replay_is_fresh(streams->seen[stream->window], PL_SRTP_REPLAY_WINDOW, last, *index);
}

static uint8_t quietest(const struct pl_srtp_streams *streams)
{
	uint8_t window = 0;
	for (uint8_t i = 1; i < PL_SRTP_WINDOWS; i++) {
		if (streams->packets - streams->heard[i] > streams->packets - streams->heard[window])
			window = i;
	}
	return window;
}

/* A new stream gets a window in any case.  One that lost its own waits until another's is out of use: were it taken at
 * once, nine busy streams would take them from each other with every packet. */
static void take_window(struct pl_srtp_streams *streams, struct pl_srtp_stream *stream)
{
	const bool is_new = stream->window == PL_SRTP_WINDOW_NEW;
	uint8_t window = streams->windows_used;
	if (window < PL_SRTP_WINDOWS) {
		streams->windows_used++;
	} else {
		window = quietest(streams);
		if (!is_new && streams->packets - streams->heard[window] < PL_SRTP_REPLAY_WINDOW)
			return;
		streams->stream[streams->owner[window]].window = PL_SRTP_WINDOW_LOST;
	}
	/* What it let pass without a window is unknown: all of it counts as seen. */
	memset(streams->seen[window], is_new ? 0 : 0xff, sizeof streams->seen[window]);
	streams->owner[window] = (uint8_t)(stream - streams->stream);
	stream->window = window;
}

void pl_srtp_streams_note(struct pl_srtp_streams *streams, struct pl_srtp_stream *stream, uint64_t index)
{
	streams->packets++;
	if (stream->window >= PL_SRTP_WINDOWS)
		take_window(streams, stream);
	uint64_t last = index;
	if (stream->window < PL_SRTP_WINDOWS) {
		streams->heard[stream->window] = streams->packets;
		last = pl_srtp_replay_add(streams->seen[stream->window], PL_SRTP_REPLAY_WINDOW, stream->last, index);
	}
	stream->last = last & ((UINT64_C(1) << PL_SRTP_INDEX_BITS) - 1);
}
