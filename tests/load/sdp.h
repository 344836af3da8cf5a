/* A client's offer, and what it needs of the answer.  One bundle: a sendonly m-line for what it publishes and a recvonly
 * one for each slot.
 * Pure: no allocation, no clock, no I/O.  Thread: main. */
#ifndef PL_TESTS_LOAD_SDP_H
#define PL_TESTS_LOAD_SDP_H

#include "signaling/sdp.h"

enum { LOAD_OFFER_SIZE_MAX = 65536, LOAD_OPUS_PAYLOAD_TYPE = 111 };

struct load_offer {
	uint64_t session_id; /* of the o= line */
	struct pl_ice_credentials ice;
	const struct pl_fingerprint *fingerprint;
	struct pl_addr candidate;
	bool is_sending;
	uint32_t ssrc; /* of what is sent */
	uint32_t slots;
};

struct load_answer {
	char ufrag[PL_ICE_UFRAG_MAX + 1], pwd[PL_ICE_PWD_MAX + 1];
	struct pl_fingerprint fingerprint;
	enum pl_dtls_role role; /* ours */
	struct pl_addr server;  /* where checks go */
	struct pl_rtp_ext_ids ext_ids;
	bool is_taken;                /* what we send */
	char mid[PL_RTP_MID_MAX + 1]; /* of what we send */
	uint8_t payload_type;
	uint32_t slots; /* granted */
};

/* Writes the offer as a NUL-terminated string and returns its length, or 0 when it does not fit. */
PL_MUST_USE size_t load_sdp_write_offer(const struct load_offer *offer, char *text, size_t text_size);

/* Reads the answer to that offer.  near: the address the signaling server has.  Of the candidates the one at that
 * address is chosen, else the first of its family: a client that is near one address of the server is not on the
 * loopback of another.  False: error has a sentence. */
PL_MUST_USE bool load_sdp_read_answer(struct pl_bytes text, const struct pl_addr *near, struct load_answer *answer,
	char error[static PL_SDP_ERROR_SIZE]);

#endif
