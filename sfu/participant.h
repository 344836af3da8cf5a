/* One participant as the media plane sees it: its transport, what it publishes (tracks) and what it receives (slots),
 * and how an offer/answer changes them.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns it. */
#ifndef PL_SFU_PARTICIPANT_H
#define PL_SFU_PARTICIPANT_H

#include "media/bitrate.h"
#include "media/g711_silence.h"
#include "media/reception.h"
#include "media/rewrite.h"
#include "media/rng.h"
#include "media/rtp_template.h"
#include "sfu/handshakes.h"
#include "sfu/queue.h"
#include "sfu/slots.h"
#include "sfu/table.h"
#include "sfu/timers.h"
#include "sfu/types.h"

struct pl_room;

/* The most that a room's talkers were seen to send, all of them taken together, while somebody was there who takes no more than so
 * much; zero before. */
struct pl_talk {
	uint32_t bps;     /* of one stream, as an average (media/bitrate.h) */
	uint8_t frame_ms; /* of one packet */
};

/* Ticks of a mix in whose packets a new listener waits for one that can be decoded without those before it: longer than a mixer
 * lets anybody wait. */
enum { PL_SLOT_START_WAIT = 15 };

/* What one track's packets may be: 400 a second are the shortest frames that Opus has, 2.5 ms, and 100 at once are two seconds
 * of usual ones that a network held up.  A ring between threads has places for some of such bursts. */
enum { PL_TRACK_PACKETS_PER_S = 400, PL_TRACK_PACKETS_BURST = 100 };

/* A published stream.  It never moves in memory while it is used: the room's ranking points to its speaker. */
struct pl_track {
	struct pl_track_spec spec; /* spec.track is 0 in an unused place */
	uint32_t ssrc;             /* valid when is_latched */
	bool is_latched;           /* its SSRC is known: from the offer, or from a packet */
	bool is_muted;
	int64_t spent_us;               /* a token bucket told as a time: each packet moves it ahead (pl_track_may) */
	struct pl_bitrate bitrate;      /* of one that sends Opus */
	struct pl_g711_silence silence; /* of one that sends G.711 */
	struct pl_reception reception;
	struct pl_speaker speaker;
};

/* A received stream, owned by the server. */
struct pl_slot {
	struct pl_slot_spec spec;
	struct pl_rewrite rewrite;
	struct pl_rtp_template header;
	uint32_t packets, octets; /* sent, as a sender report counts them */
	uint8_t start_wait;       /* so many packets of a mix may pass until the one to begin with comes */
};

/* How long a listener's reports have told of loss, or of none.  INT64_MAX: the last one did not. */
struct pl_loss {
	int64_t bad_since_us, good_since_us;
	bool is_lossy;
};

/* What is left of a slot that has gone: another may get its SSRC, and goes on with its numbers.  Were one used twice under
 * the same keys, SRTP would give the key stream away; it refuses that, and the slot would be silent. */
struct pl_retired {
	uint32_t ssrc; /* 0: unused */
	uint32_t packets, octets;
	uint16_t seq_last;
};
_Static_assert(
	(int)PL_SLOT_SSRCS_MAX < (int)PL_SRTP_SSRCS_MAX, "SRTP has a place for each, and for a report without slots");

enum pl_participant_state {
	PL_PARTICIPANT_FREE,
	PL_PARTICIPANT_LIVE,
	PL_PARTICIPANT_CLOSING, /* has left; its transport says goodbye, nobody is told */
	PL_PARTICIPANT_GONE,    /* has no transport any more; waits for its GONE event to be taken */
};

struct pl_participant {
	/* What every packet to it needs lies together, from the second half of slots to the beginning of transport: these lines
	 * of memory are what forwarding to hundreds costs (pl_participant_prefetch). */
	struct pl_slots slots;                        /* slots.count of slot are used */
	struct pl_participant *room_next, *room_prev; /* members of the room */
	int64_t report_us; /* when the next RTCP report is due; INT64_MAX while no media flows */
	bool is_active;    /* media came or went since the last report */
	bool tell_heard, tell_connected, tell_slots;
	enum pl_participant_state state;
	uint32_t source; /* a mix asks each of its listeners */
	struct pl_transport transport;

	uint32_t room_id;
	struct pl_room *room; /* NULL unless LIVE */
	int64_t joined_us;    /* the JOIN */
	bool is_settled;      /* its transport is, and is not counted in the conference's associations */
	enum pl_close close;  /* of a GONE one */
	struct pl_rtp_ext_ids ext_ids;
	char cname[PL_CNAME_SIZE];

	struct pl_track track[PL_TRACKS_MAX];
	struct pl_slot slot[PL_SLOTS_MAX];
	struct pl_retired retired[PL_SLOT_SSRCS_MAX];
	uint8_t retired_next; /* the one that yields when all are used: the oldest */
	enum pl_audio_mode audio_mode;
	enum pl_mix_group mix_wish;
	bool can_mix;  /* there are codec workers */
	bool is_moved; /* as its room has it: PL_AUDIO_AUTO is the mix now */
	uint16_t
		ended; /* bit i: a talker flows into slot i no more, and no other does; whoever asks clears it before */
	/* What its audio slots take at most of Opus, so far as they say and a mix can keep to it; 0: anything. */
	uint32_t bitrate_max_bps;
	uint8_t frame_max_ms;
	struct pl_talk talk; /* of its room */
	struct pl_loss loss;

	/* how it is found: sfu/directory.h */
	struct pl_table_node by_source;
	struct {
		struct pl_table_node node;
		char ufrag[PL_ICE_LOCAL_UFRAG_SIZE];
	} by_ufrag[2]; /* of now, and of before the last ICE restart */
	struct pl_directory_path {
		struct pl_table_node node;
		struct pl_path path;
		int64_t heard_us; /* last packet from there that proved to be its own */
	} by_path[PL_ICE_PATHS_MAX];

	struct pl_timer timer;
	struct pl_queue_node draining, reporting, telling, parting;
	struct pl_handshakes_of handshakes; /* its datagrams that wait for their turn */
};

/* A hint that packets are about to be sent to it.  It is not read. */
static inline void pl_participant_prefetch(const struct pl_participant *p)
{
	const uint8_t *begin = (const uint8_t *)&p->slots.count;
	pl_prefetch(begin, (size_t)((const uint8_t *)&p->transport - begin) + PL_TRANSPORT_HOT_SIZE);
}

/* Takes what an offer/answer settled.  Tracks and slots are kept by mid (a track: while its id is the same, too) with
 * their reception state and their numbering; others come and go, and a slot with the SSRC of one that has gone continues its numbering.  speakers: the room's; removed and muted tracks
 * free their place.  Credentials, fingerprint and role are the transport's matter, not this one's. */
void pl_participant_apply(struct pl_participant *p, const struct pl_description *description,
	struct pl_speakers *speakers, struct pl_rng *rng);

/* Whether what talkers send decides if it hears them. */
bool pl_participant_is_limited(const struct pl_participant *p);

/* What talkers may be measured to send at most, in bit/s, for it to hear them; UINT32_MAX: anything.  Encoders that keep to a bitrate
 * miss it by a little: a sixteenth more than its limit is none too many. */
uint32_t pl_participant_talk_max_bps(const struct pl_participant *p);

/* Chooses between talkers and the mix, and the mix's group, by what the participant wants, what its slots take, and how its
 * network is.  The slots are to be fitted after it. */
void pl_participant_choose_mix(struct pl_participant *p);

/* Why it hears otherwise than it asked for. */
enum pl_mode_refusal pl_participant_refusal(const struct pl_participant *p);

/* A report of a slot's receiver.  Returns true when the listener counts as lossy since, or no longer. */
bool pl_loss_note(struct pl_loss *loss, int64_t now_us, uint8_t fraction_lost);

/* NULL when it publishes no such track. */
struct pl_track *pl_participant_track(struct pl_participant *p, uint32_t track);

/* Finds the track that an RTP packet belongs to (RFC 8843 section 9.2): by the mid extension, or where it has none by
 * SSRC, or else the one audio track of this payload type whose SSRC nobody told.  A new SSRC is a restart of the
 * stream.  Returns PL_DROP_NONE with *track, or why there is none. */
PL_MUST_USE enum pl_drop pl_participant_match(
	struct pl_participant *p, const struct pl_rtp *rtp, const struct pl_rtp_ext *ext, struct pl_track **track);

/* How the payload of a packet of this type is coded, which match has found to be the track's. */
enum pl_coding pl_track_coding(const struct pl_track *track, uint8_t payload_type);

/* Counts a packet of the track.  False: there were too many lately, and it is to be dropped. */
PL_MUST_USE bool pl_track_may(struct pl_track *track, int64_t now_us);

/* NULL when no track has this SSRC. */
struct pl_track *pl_participant_track_by_ssrc(struct pl_participant *p, uint32_t ssrc);

/* The stream has ended (RTCP BYE): off air, and its SSRC is forgotten unless the offer told it. */
void pl_track_end(struct pl_track *track, struct pl_speakers *speakers);

void pl_track_mute(struct pl_track *track, bool is_muted, struct pl_speakers *speakers);

/* Fits its slots to the room's choice.  Returns true when the map changed. */
bool pl_participant_refit(struct pl_participant *p, const struct pl_speakers *speakers, int64_t now_us);

/* Takes the next of its slots in p->ended off it, and writes the frame of silence that its receiver's decoder fades out with: what
 * breaks off in the middle of a word is guessed on for a while, and sounds like it.  header: PL_RTP_TEMPLATE_SIZE_MAX bytes,
 * of which the size is returned; 0: there is none that anything was sent to lately.  *payload: of a constant. */
size_t pl_participant_part(struct pl_participant *p, int64_t now_us, uint8_t header[static PL_RTP_TEMPLATE_SIZE_MAX],
	struct pl_bytes *payload);

/* Frees its places on air, when it leaves. */
void pl_participant_fall_silent(struct pl_participant *p, struct pl_speakers *speakers);

#endif
