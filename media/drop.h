/* Why a packet went no further.  A peer's bytes are never an assert and never a log line per packet:
 * they are one of these, counted per shard and shown in /metrics under the same name.
 * One line gives the enum, the name and the help text. */
#ifndef PL_MEDIA_DROP_H
#define PL_MEDIA_DROP_H

#include <stdint.h>

#define PL_DROP_LIST(X)                                                                                   \
	X(NONE, "none", "not dropped")                                                                    \
	X(EMPTY, "empty", "datagram of no bytes")                                                         \
	X(TOO_LARGE, "too_large", "datagram longer than 1500 bytes")                                      \
	X(UNKNOWN_PROTOCOL, "unknown_protocol", "first byte belongs to no protocol of RFC 7983")          \
	X(UNKNOWN_ADDRESS, "unknown_address", "no session has this source address")                       \
	X(STUN_MALFORMED, "stun_malformed", "not a well-formed STUN message")                             \
	X(STUN_UNKNOWN_USER, "stun_unknown_user", "no session has this STUN user name")                   \
	X(STUN_UNAUTHORIZED, "stun_unauthorized", "STUN message integrity is missing or wrong")           \
	X(STUN_NOT_BINDING, "stun_not_binding", "STUN message that is not a binding request")             \
	X(STUN_RATE, "stun_rate", "more STUN checks than a session may send")                             \
	X(DTLS_MALFORMED, "dtls_malformed", "not a DTLS record, or the handshake failed on it")           \
	X(DTLS_EARLY, "dtls_early", "DTLS before a connectivity check passed")                            \
	X(DTLS_CLOSED, "dtls_closed", "DTLS after the association was closed")                            \
	X(DTLS_SETTLED, "dtls_settled", "DTLS record that has no use after the handshake")                \
	X(DTLS_AUTH, "dtls_auth", "DTLS alert whose authentication tag is wrong")                         \
	X(DTLS_REPLAY, "dtls_replay", "DTLS alert seen before or too old")                                \
	X(DTLS_BUSY, "dtls_busy", "more handshakes wait for their turn than may")                         \
	X(DTLS_AGAIN, "dtls_again", "sent again while the first still waits for its turn")                \
	X(SRTP_EARLY, "srtp_early", "RTP or RTCP before the keys were known")                             \
	X(SRTP_AUTH, "srtp_auth", "RTP or RTCP authentication tag is wrong")                              \
	X(SRTP_REPLAY, "srtp_replay", "RTP or RTCP packet seen before or too old")                        \
	X(SRTP_MALFORMED, "srtp_malformed", "too short or badly formed for SRTP")                         \
	X(SRTP_SSRC_LIMIT, "srtp_ssrc_limit", "session sent more SSRCs than it may")                      \
	X(RTP_MALFORMED, "rtp_malformed", "not a well-formed RTP packet")                                 \
	X(RTP_UNKNOWN_TRACK, "rtp_unknown_track", "RTP that matches no negotiated track")                 \
	X(RTP_UNKNOWN_PAYLOAD, "rtp_unknown_payload", "RTP payload type was not negotiated")              \
	X(RTP_MUTED, "rtp_muted", "RTP of a track that is muted")                                         \
	X(RTP_RATE, "rtp_rate", "RTP of a track that sends more than 400 packets a second")               \
	X(RTP_OFF_AIR, "rtp_off_air", "RTP of a talker who is not among those that are heard")            \
	X(RTP_REPLACED, "rtp_replaced", "RTP whose talker lost the place on air in its turn")             \
	X(RTP_UNHEARD, "rtp_unheard", "RTP that nobody of the room on this shard could receive")          \
	X(RTCP_MALFORMED, "rtcp_malformed", "not a well-formed RTCP packet")                              \
	X(SRTP_SPENT, "srtp_spent", "not sent: the keys have no number or no SSRC left for it")           \
	X(BEFORE_SWITCH, "before_switch", "older than the first forwarded packet of its talker")          \
	X(COMFORT_NOISE, "comfort_noise", "comfort noise of a G.711 publisher: nothing to play")          \
	X(G711_SILENT, "g711_silent", "G.711 of a publisher who has been silent for a second")            \
	X(TRANSCODE_LATE, "transcode_late", "G.711 that came twice, or after its place was filled")       \
	X(TRANSCODE_RATE, "transcode_rate", "G.711 that came faster than it can be played")               \
	X(POOL_LOW, "pool_low", "fewer than 5 % of the packet buffers are free")                          \
	X(CROSS_FULL, "cross_full", "the way to the shard of another part of the room is full")           \
	X(CROSS_REFUSED, "cross_refused", "from another shard, for a room or track without a place here") \
	X(CROSS_LEFT, "cross_left", "from another shard, for members who have left meanwhile")            \
	X(MIX_NO_WORKER, "mix_no_worker", "G.711 of a publisher, and there is no codec worker")           \
	X(MIX_START, "mix_start", "of a mix, before the frame that a new listener begins with")           \
	X(VOICE_MALFORMED, "voice_malformed", "not a well-formed Opus packet, for the mix")               \
	X(VOICE_DUPLICATE, "voice_duplicate", "packet of a talker that waits to be mixed already")        \
	X(VOICE_LATE, "voice_late", "packet that came after its time in the mix")                         \
	X(VOICE_FULL, "voice_full", "more of one talker waits to be mixed than may")                      \
	X(MIX_CLOSED, "mix_closed", "for the mix of a room in which nobody hears one")                    \
	X(MIX_SURPLUS, "mix_surplus", "of a talker where louder ones have all places in the mix")         \
	X(MIX_FULL, "mix_full", "of a talker for whom the codec worker has no place")                     \
	X(EGRESS_FULL, "egress_full", "the socket took no more")

enum pl_drop {
#define X(name, text, help) PL_DROP_##name,
	PL_DROP_LIST(X)
#undef X
		PL_DROP_COUNT
};

/* Returns the metric label of a reason, for example "srtp_replay".  Static storage. */
const char *pl_drop_name(enum pl_drop drop);

/* Returns the sentence that explains it.  Static storage. */
const char *pl_drop_help(enum pl_drop drop);

/* Counts it in the array of its thread; reason is not NONE. */
void pl_drop_count(uint64_t drop[static PL_DROP_COUNT], enum pl_drop reason);

#endif
