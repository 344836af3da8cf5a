/* The SSRCs of one direction of an SRTP session: how far the numbers of each are, and which of the late ones were seen.
 * Every SSRC has its newest index; the last PL_SRTP_WINDOWS that were active have a window for late packets, too.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the session. */
#ifndef PL_MEDIA_SRTP_STREAMS_H
#define PL_MEDIA_SRTP_STREAMS_H

#include "media/srtp.h"
#include "media/srtp_replay.h"

enum {
	/* pl_srtp_stream.window beyond the numbers of windows */
	PL_SRTP_WINDOW_NEW = PL_SRTP_WINDOWS, /* no RTP packet yet */
	PL_SRTP_WINDOW_LOST,                  /* its window went to another: packets in order only */
};

struct pl_srtp_stream {
	uint64_t last : PL_SRTP_INDEX_BITS; /* newest RTP index, 0 before the first packet */
	uint64_t window : 8;                /* number of its window, or one of the two above */
	uint32_t ssrc;
	uint32_t rtcp_last; /* newest SRTCP index, 0 before the first */
};

struct pl_srtp_streams {
	uint8_t count, windows_used;
	uint8_t found;                   /* the stream that was looked for last */
	uint32_t packets;                /* RTP packets noted, modulo 2^32: by it windows are old */
	uint32_t heard[PL_SRTP_WINDOWS]; /* packets when the window was used last */
	uint8_t owner[PL_SRTP_WINDOWS];  /* the stream that has it */
	struct pl_srtp_stream stream[PL_SRTP_SSRCS_MAX];
	uint64_t seen[PL_SRTP_WINDOWS][PL_SRTP_REPLAY_WINDOW / 64]; /* srtp_replay.h */
};

/* All zero is an empty one. */

/* NULL when it is not there. */
struct pl_srtp_stream *pl_srtp_streams_find(struct pl_srtp_streams *streams, uint32_t ssrc);

/* Adds an SSRC that is not there.  NULL when all places are taken. */
struct pl_srtp_stream *pl_srtp_streams_add(struct pl_srtp_streams *streams, uint32_t ssrc);

/* The index of the RTP packet seq of stream (NULL: of an SSRC that is not there).  False when it was noted before, is
 * too old to tell, or its number is beyond the last that these keys may protect (RFC 3711 section 9.2). */
PL_MUST_USE bool pl_srtp_streams_index(
	const struct pl_srtp_streams *streams, const struct pl_srtp_stream *stream, uint16_t seq, uint64_t *index);

/* Notes an index that pl_srtp_streams_index gave. */
void pl_srtp_streams_note(struct pl_srtp_streams *streams, struct pl_srtp_stream *stream, uint64_t index);

#endif
