/* A whole call in virtual time: a conference, any number of peers, and the network between them.  Each peer
 * sends a sine of its own through a real Opus encoder; what a listener's slots play is decoded by real Opus
 * decoders, so that a test can ask who hears whom, when, and how it sounds.
 *
 *	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 1 });
 *	struct pl_sim_peer *ann = pl_sim_join(sim, &(struct pl_sim_join){ .room = 1, .hz = 440, .slots = 3 });
 *	struct pl_sim_peer *bob = pl_sim_join(sim, &(struct pl_sim_join){ .room = 1, .hz = 620, .slots = 3 });
 *	pl_sim_run(sim, 1000);
 *	pl_sim_talk(ann, true);
 *	pl_sim_run(sim, 2000);
 *	assert_true(pl_sim_share(bob, ann, 2000, 3000) == 1);
 *
 * The same seed and the same calls give the same call.  Thread: one. */
#ifndef PL_TESTS_SIM_CONFERENCE_SIM_H
#define PL_TESTS_SIM_CONFERENCE_SIM_H

#include "media/rtcp.h"
#include "sfu/codec.h"
#include "sfu/conference.h"
#include "tests/sim/network.h"
#include "tests/sim/peer.h"

struct OpusEncoder;

enum {
	PL_SIM_PEERS_MAX = 256,
	PL_SIM_SHARDS_MAX = 4,
	PL_SIM_WORKERS_MAX = 2,
	PL_SIM_PCMU = 0, /* payload types */
	PL_SIM_PCMA = 8,
	PL_SIM_EVENTS_MAX = 4096,
	PL_SIM_FRAME_MS = 20,
	PL_SIM_PAYLOAD_TYPE = 111,
	PL_SIM_PAYLOAD_SIZE_MAX = 600,
	PL_SIM_RATE_HZ = 16000, /* of what listeners decode to */
	PL_SIM_LINK_DELAY_MS = 15,
};

struct pl_sim_config {
	uint64_t seed;
	uint32_t participants_max, rooms_max; /* 0: plenty */
	uint32_t packets;                     /* of the pool; 0: as many as a shard has */
	uint8_t shards;                       /* 0: one */
	uint8_t node[PL_SIM_SHARDS_MAX];      /* the NUMA node of each */
	uint8_t workers;                      /* that mix and transcode; 0: none */
	uint32_t worker_rooms;                /* that each can mix; 0: plenty */
	uint8_t mix_talkers;                  /* 0: as a server without configuration */
	bool without_levels;                  /* peers do not send RFC 6464 levels */
	bool without_mids;                    /* nor mids: tracks are found by a=ssrc, or by there being one only */
};

struct pl_sim_join {
	uint32_t room;
	uint32_t hz; /* of its sine */
	uint8_t slots;
	uint8_t shard, home; /* where its media is, and where its room's speakers are chosen */
	uint32_t source;     /* 0: the next unused one */
	bool is_muted, is_talking;
	bool hides_ssrc; /* the offer has no a=ssrc */
	enum pl_audio_mode mode;
	enum pl_mix_group wish;
	enum pl_coding coding; /* of its voice, and of what it hears */
};

/* What came to a slot, in the order of arrival. */
struct pl_sim_packet {
	int64_t at_us;
	uint32_t ts, csrc;
	uint16_t seq, size;
	uint32_t csrcs[PL_RTP_CSRC_MAX]; /* csrc is the first */
	uint8_t csrc_count, payload_type;
	bool has_level, is_voice, marker; /* is_voice and level: RFC 6464, when has_level */
	uint8_t level;
	uint8_t payload[PL_SIM_PAYLOAD_SIZE_MAX];
};

struct pl_sim_slot {
	struct pl_sim_packet *packet;
	size_t count, room;
};

struct pl_sim_peer {
	struct pl_sim *sim;
	struct pl_peer peer;
	struct pl_network_link link; /* both ways; may be changed at any time */
	struct pl_description description;
	uint32_t room, source, track, ssrc, hz;
	uint8_t shard, home;
	bool is_here; /* false: it was killed, or has left */
	bool is_talking;
	enum pl_audio_mode mode;
	enum pl_mix_group wish;
	enum pl_coding coding;
	bool hears_mixes; /* now, or before */
	double amplitude; /* of full scale */
	struct OpusEncoder *encoder;
	uint8_t frames;   /* of PL_SIM_FRAME_MS in each packet of Opus: 1, 2 or 3; may be changed at any time */
	uint64_t samples; /* encoded so far */
	int64_t frame_us; /* when the next frame is due */
	uint16_t seq;
	uint32_t ts;
	uint32_t packets_sent;
	struct pl_sim_slot slot[PL_SLOTS_MAX];
	uint32_t foreign_packets; /* RTP that is of none of its slots, or has another mid */
	/* told by events */
	uint32_t connected_events, gone_events, refused_events;
	enum pl_close close;
	struct pl_event slots_event; /* the last */
	/* told by RTCP */
	uint32_t reports, sender_reports;
	struct pl_rtcp_sender sender[PL_SLOTS_MAX]; /* the last for each slot; ssrc 0 before */
	int64_t sender_us[PL_SLOTS_MAX];
	struct pl_rtcp_block block; /* the last for its track; ssrc 0 before */
	uint32_t blocks;            /* for its track, in the last compound packet */
	uint32_t blocks_max;        /* ... and the most of all of them */
	bool has_cname;
};

struct pl_sim_event {
	int64_t at_us;
	struct pl_event event;
};

/* One of the server's media threads. */
struct pl_sim_shard {
	struct pl_sim *sim;
	struct pl_conference *conference;
	struct pl_sim_link *to[PL_SIM_SHARDS_MAX], *to_worker[PL_SIM_WORKERS_MAX];
	bool is_stuck; /* takes nothing from the others; set by tests */
};

/* One of its codec workers. */
struct pl_sim_worker {
	struct pl_codec *codec;
	void *memory;
	struct pl_sim_link *to[PL_SIM_SHARDS_MAX];
	uint32_t chosen; /* for so many rooms */
	bool is_stuck;   /* takes nothing and mixes nothing; set by tests */
};

struct pl_sim {
	struct pl_sim_config config;
	int64_t now_us;
	int64_t batch_us; /* the server looks at its work so seldom; 0 at first: at once */
	int64_t drained_us;
	int64_t handshake_us; /* a step of a handshake keeps the server so long; 0 at first */
	int64_t busy_us;      /* until then it does one, and what comes waits in the inbox */
	struct pl_network *inbox;
	bool with_events; /* the server's caller has a place for events; true at first */
	struct pl_rng rng;
	struct pl_dtls_identity *server_identity, *peer_identity;
	struct pl_srtp_engine *server_srtp, *peer_srtp; /* ours, and the reference */
	struct pl_conference *conference;               /* of the first shard */
	struct pl_sim_shard shard[PL_SIM_SHARDS_MAX];
	uint8_t shard_count;
	struct pl_sim_worker worker[PL_SIM_WORKERS_MAX];
	struct pl_egress *egress; /* of all shards */
	struct pl_network *network;
	struct pl_sim_peer *peer[PL_SIM_PEERS_MAX];
	size_t peer_count;
	uint16_t next_port;
	struct pl_sim_event event[PL_SIM_EVENTS_MAX];
	size_t event_count;
};

/* What a group of tests begins and ends with (cmocka_run_group_tests): SRTP. */
int pl_sim_setup(void **state);
int pl_sim_teardown(void **state);

/* Aborts when out of memory.  After pl_sim_setup. */
struct pl_sim *pl_sim_create(const struct pl_sim_config *config);
void pl_sim_destroy(struct pl_sim **sim);

int64_t pl_sim_now_ms(const struct pl_sim *sim);

/* The peer belongs to the sim, for its whole life. */
struct pl_sim_peer *pl_sim_join(struct pl_sim *sim, const struct pl_sim_join *join);

/* Joins again with the same source by a new peer connection; the old one is dead from now on. */
void pl_sim_rejoin(struct pl_sim_peer *p);

/* Renegotiates to another number of slots. */
void pl_sim_set_slots(struct pl_sim_peer *p, uint8_t slots);
/* The same with slots of the test's choice. */
void pl_sim_take_slots(struct pl_sim_peer *p, const struct pl_slot_spec *slot, uint8_t slots);
void pl_sim_restart_ice(struct pl_sim_peer *p);
void pl_sim_mute(struct pl_sim_peer *p, bool is_on);
void pl_sim_leave(struct pl_sim_peer *p); /* the command; the peer stops, too */
void pl_sim_kill(struct pl_sim_peer *p);  /* not a word more */
void pl_sim_close(struct pl_sim_peer *p); /* DTLS close_notify */
void pl_sim_move(struct pl_sim_peer *p);  /* to another address */
void pl_sim_talk(struct pl_sim_peer *p, bool is_on);
void pl_sim_set_mode(struct pl_sim_peer *p, enum pl_audio_mode mode, enum pl_mix_group wish);

/* Sends what a hostile client might: protected with the session's keys. */
void pl_sim_send_rtp(struct pl_sim_peer *p, const struct pl_rtp *rtp, const struct pl_rtp_ext *ext);
void pl_sim_send_rtcp(struct pl_sim_peer *p, struct pl_bytes packet);
/* Bare bytes from any address to the server, right away. */
void pl_sim_inject(struct pl_sim *sim, const struct pl_addr *from, struct pl_bytes datagram);

/* The ladder takes this from all shards' listeners from now on. */
void pl_sim_relieve(struct pl_sim *sim, const struct pl_relief *relief);

/* Lets so much time pass. */
void pl_sim_run(struct pl_sim *sim, int64_t ms);

/* Which slot a talker was in by the last event, or -1. */
int pl_sim_slot_of(const struct pl_sim_peer *listener, const struct pl_sim_peer *talker);

/* Decodes what one slot played: in the order of sequence numbers, lost ones concealed, each at its
 * timestamp.  pcm: samples of PL_SIM_RATE_HZ from from_ms to to_ms of the sim's time, to be freed; silence where nothing
 * played. */
int16_t *pl_sim_listen(const struct pl_sim_peer *p, uint8_t slot, int64_t from_ms, int64_t to_ms);

/* The sharpest bend in what one slot played (tests/support/sound.h). */
double pl_sim_click(const struct pl_sim_peer *p, uint8_t slot, int64_t from_ms, int64_t to_ms);

/* The share, 0 to 1, of this time in which the talker's sine is in what the listener played, in steps of 100 ms. */
double pl_sim_share(
	const struct pl_sim_peer *listener, const struct pl_sim_peer *talker, int64_t from_ms, int64_t to_ms);

/* What is wrong with the numbering of a slot, for an assert: NULL when every number is there but for lost ones (as many
 * as lost_max), timestamps rise with the numbers, and each packet has one CSRC, which is not the listener's; one who hears
 * mixes, now or before, may have any number of them. */
const char *pl_sim_flaw(const struct pl_sim_peer *p, uint8_t slot, uint32_t lost_max);

#endif
