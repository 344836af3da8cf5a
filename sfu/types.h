/* The shapes that signaling and the media plane exchange: what one offer/answer settled, the commands
 * that go to a shard, and the events that come back.  Plain data of fixed size: no pointer into either
 * side's memory crosses, but for the description of a join, whose ownership moves with its command.
 * Pure. */
#ifndef PL_SFU_TYPES_H
#define PL_SFU_TYPES_H

#include "media/dtls.h"
#include "media/ice.h"
#include "media/mix.h"
#include "media/rtp.h"
#include "media/transport.h"
#include "sfu/pressure.h"

enum {
	PL_SFU_SHARDS_MAX = 64, /* media threads of one process */
	PL_TRACKS_MAX = 8,      /* that one participant publishes */
	PL_SLOTS_MAX = 16,      /* that one participant receives, all kinds */
	/* SSRCs that its slots may have had under the keys of one connection.  Twice as many as slots: so there is always one
	 * that neither the slots of now nor those of the next offer have, however they change. */
	PL_SLOT_SSRCS_MAX = 2 * PL_SLOTS_MAX,
	PL_TOP_MAX = 8, /* talkers that a room's speaker list names */
	PL_CNAME_SIZE = 17,
};

/* Ids from here on are the server's own, and signaling gives none of them: of its canaries' rooms, participants and tracks, then
 * of the tracks of mixes (PL_MIX_TRACK). */
#define PL_ID_OWN                 UINT32_C(0xfffffe00)
#define PL_ID_CANARY(shard, bird) (PL_ID_OWN + 2 * (uint32_t)(shard) + (bird))
enum { PL_CANARY_BIRDS = 2 }; /* at a time on a shard, in one room */
_Static_assert(PL_CANARY_BIRDS *PL_SFU_SHARDS_MAX <= 0x100, "below those of mixes");

static inline bool pl_id_is_canary(uint32_t id)
{
	return id >= PL_ID_OWN && id < PL_ID_CANARY(PL_SFU_SHARDS_MAX, 0);
}

enum pl_kind { PL_KIND_AUDIO, PL_KIND_VIDEO };

/* An m-line the participant sends on. */
struct pl_track_spec {
	uint32_t track; /* id, unique in the node, not 0 */
	char mid[PL_RTP_MID_MAX + 1];
	uint32_t ssrc; /* from a=ssrc; 0 when the offer has none (then the mid extension tells) */
	uint32_t clock_hz;
	uint8_t payload_type;
	enum pl_kind kind;
	enum pl_coding coding; /* of audio; G.711 becomes Opus on its way, by a codec worker */
	bool is_muted;
};

/* An m-line the participant receives on. */
struct pl_slot_spec {
	char mid[PL_RTP_MID_MAX + 1];
	uint32_t ssrc; /* ours, stable for the life of the slot, not 0 */
	uint32_t clock_hz;
	uint8_t payload_type;
	enum pl_kind kind;
	enum pl_coding coding;    /* of audio; one that takes G.711 is always mixed */
	uint32_t bitrate_max_bps; /* that the receiver wants at most (fmtp maxaveragebitrate); 0: it has not said */
	uint16_t ptime_ms, ptime_max_ms; /* a packet's length that it wants, and takes at most; 0: it has not said */
	bool is_stereo, has_fec;         /* it wants Opus in stereo, with in-band FEC (RFC 7587 section 6.1) */
};

/* How a participant's audio slots are filled. */
enum pl_audio_mode {
	PL_AUDIO_FORWARD, /* a talker in each */
	PL_AUDIO_MIXED,   /* all talkers in the first, the others are empty */
	PL_AUDIO_AUTO,    /* forward with two audio slots or more, mixed with one: the only way to hear more than one */
};

/* Why it is not as it was asked for. */
enum pl_mode_refusal {
	PL_MODE_GRANTED,
	PL_MODE_NO_WORKER, /* the media plane has no codec workers: mixed is forwarded, and G.711 hears nothing */
};

/* All that one offer/answer settled.  An m-line may be both a track and a slot. */
struct pl_description {
	struct pl_ice_credentials local;
	char remote_ufrag[PL_ICE_UFRAG_MAX + 1];
	enum pl_dtls_role dtls_role; /* ours */
	struct pl_fingerprint fingerprint;
	struct pl_rtp_ext_ids ext_ids; /* one numbering for the bundle, RFC 8843 section 9.2 */
	char cname[PL_CNAME_SIZE];     /* of the streams we send */
	enum pl_audio_mode audio_mode;
	enum pl_mix_group mix_wish; /* of one that is mixed: FULL, ROBUST or STEREO */
	uint8_t track_count, slot_count;
	struct pl_track_spec track[PL_TRACKS_MAX];
	struct pl_slot_spec slot[PL_SLOTS_MAX]; /* the order is the slot number */
};

enum pl_command_kind {
	PL_COMMAND_JOIN,   /* room, source, description.  A source that is there already is replaced: its transport and
	                    * tracks are dropped first (a resume with a new peer connection) */
	PL_COMMAND_UPDATE, /* source, description: tracks and slots added, removed or kept by mid; ICE restart when the
	                    * local ufrag is new.  The DTLS association stays */
	PL_COMMAND_MUTE,   /* source, track, is_on */
	PL_COMMAND_MODE,   /* source, audio_mode, mix_wish: replaces those of the description; a SLOTS event follows */
	PL_COMMAND_LEAVE,  /* source: closed with close_notify; no event follows */
};

struct pl_command {
	enum pl_command_kind kind;
	uint8_t shard;   /* whom it is for, below the number of shards */
	uint8_t home;    /* JOIN: for rooms over several shards, the one that decides who speaks; now always shard */
	uint32_t room;   /* id, not 0; lives from its first JOIN to its last participant */
	uint32_t source; /* the participant's numeric id, its CSRC; unique in the node, not 0 */
	uint32_t track;
	bool is_on;
	enum pl_audio_mode audio_mode;
	enum pl_mix_group mix_wish;
	struct pl_description *description; /* heap; the receiver frees it with free() */
};

enum pl_event_kind {
	PL_EVENT_HEARD, /* source: its first connectivity check; left out when it is connected before that is told */
	PL_EVENT_CONNECTED, /* source: media may flow */
	PL_EVENT_SLOTS,     /* source: its whole slot map */
	PL_EVENT_SPEAKERS,  /* room: who is talking, at most five a second */
	PL_EVENT_GONE,      /* source: its transport closed (close), the participant has left the shard */
	PL_EVENT_REFUSED,   /* source: a JOIN found no room in the shard's tables */
	PL_EVENT_PRESSURE, /* of no shard: how hard the server is pressed, whenever level or cause change, when the score moves by
	                     * a twentieth, and each second above nominal; a newer one replaces an older */
};

struct pl_event {
	enum pl_event_kind kind;
	uint32_t room, source;
	union {
		struct {
			uint8_t count;
			bool is_mixed; /* the first audio slot has the mix: source 0, track PL_MIX_TRACK(group) */
			enum pl_mix_group group;
			enum pl_mode_refusal refusal;
			struct {
				uint32_t source, track; /* both 0 when empty */
			} slot[PL_SLOTS_MAX];
		} slots;
		struct {
			uint8_t count; /* loudest first, only those whose voice is heard now */
			uint32_t top[PL_TOP_MAX];
			uint32_t
				dominant; /* the one a view would show large; stays over short pauses; 0 before the first word */
		} speakers;
		enum pl_close close;
		struct pl_pressure pressure;
	};
};

#endif
