/* What the parts of the SDP parser share: lines, words and numbers within bounds, what was read so far, and errors.
 * Pure: no allocation, no clock, no I/O.  Thread: signaling. */
#ifndef PL_SIGNALING_SDP_READ_H
#define PL_SIGNALING_SDP_READ_H

#include "signaling/sdp.h"

/* What may stand at session level, for all m-lines, or in an m-line, for itself.  Views into the text. */
struct pl_sdp_transport {
	struct pl_bytes ufrag, pwd;        /* data NULL: not there */
	struct pl_fingerprint fingerprint; /* size 0: none of a known hash */
	uint16_t fingerprint_line;         /* 0: no a=fingerprint at all */
	char unknown_hash[24];             /* of fingerprint_line, when size is 0 */
	bool has_setup;
	enum pl_sdp_setup setup;
};

/* What an m-line says of one of its payload types.  A view into the text. */
enum { PL_SDP_FORMATS = 128 };
enum pl_sdp_format_kind { PL_SDP_FORMAT_UNNAMED, PL_SDP_FORMAT_OURS, PL_SDP_FORMAT_OTHER };
struct pl_sdp_format {
	enum pl_sdp_format_kind kind;
	enum pl_coding coding; /* of OURS */
	struct pl_bytes parameters;
};

struct pl_sdp_reader {
	struct pl_sdp_options options;
	const uint8_t *at, *end;
	unsigned line; /* of what is being read, 1 is the first */
	struct pl_sdp_offer *offer;
	char *error; /* of PL_SDP_ERROR_SIZE */

	struct pl_sdp_media *media;         /* NULL at session level */
	struct pl_sdp_transport *transport; /* of the session or of the m-line */
	struct pl_bytes formats;            /* the m-line's, best first */
	struct pl_sdp_format format[PL_SDP_FORMATS];
	bool is_bundle_only, has_port;
	enum pl_sdp_direction session_direction;
	struct pl_bytes group; /* mids of a=group:BUNDLE */
	unsigned group_line;   /* 0: none */
	struct pl_sdp_transport session;
	struct pl_sdp_transport of_media[PL_SDP_MEDIA_MAX];
};

/* Writes the sentence after "line N: ", and returns false.  What it quotes becomes ASCII. */
PL_PRINTF(2, 3) bool pl_sdp_fail(struct pl_sdp_reader *r, const char *format, ...);

/* Takes the next line without its end (CRLF or LF).  False at the end. */
bool pl_sdp_next_line(struct pl_sdp_reader *r, struct pl_bytes *line);

/* Takes the text up to the next space; empty at the end. */
struct pl_bytes pl_sdp_next_word(struct pl_bytes *text);

/* Takes the text before the first separator, or all. */
struct pl_bytes pl_sdp_cut(struct pl_bytes *text, char separator);

bool pl_sdp_equal(struct pl_bytes bytes, const char *text);
bool pl_sdp_equal_nocase(struct pl_bytes bytes, const char *text);

/* RFC 8866 section 9: one or more of letters, digits and !#$%&'*+-.^_`{|}~ */
bool pl_sdp_is_token(struct pl_bytes bytes);

/* Decimal digits only.  False: not a number, or larger than max. */
PL_MUST_USE bool pl_sdp_number(struct pl_bytes bytes, uint32_t max, uint32_t *number);

/* Copies into a string of size bytes.  False when it does not fit. */
PL_MUST_USE bool pl_sdp_copy(struct pl_bytes bytes, char *text, size_t size);

/* "%.*s" of at most 32 bytes. */
#define PL_SDP_QUOTE(bytes) (int)((bytes).size < 32 ? (bytes).size : 32), (const char *)(bytes).data

/* a=rtpmap:111 opus/48000/2, a=fmtp:111 useinbandfec=1, a=ptime:20 and a=maxptime:60. */
PL_MUST_USE bool pl_sdp_read_rtpmap(struct pl_sdp_reader *r, struct pl_bytes value);
PL_MUST_USE bool pl_sdp_read_fmtp(struct pl_sdp_reader *r, struct pl_bytes value);
PL_MUST_USE bool pl_sdp_read_ptime(struct pl_sdp_reader *r, struct pl_bytes value);
PL_MUST_USE bool pl_sdp_read_maxptime(struct pl_sdp_reader *r, struct pl_bytes value);

/* When all of an m-line is read: its codec, and what the offerer says of it. */
void pl_sdp_choose_codec(struct pl_sdp_reader *r);

/* One a= line, without "a=".  False: r->error is written. */
PL_MUST_USE bool pl_sdp_read_attribute(struct pl_sdp_reader *r, struct pl_bytes attribute);

#endif
