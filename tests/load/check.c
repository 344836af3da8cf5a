#include "tests/load/check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stun/usages/ice.h>

enum { CANDIDATE_PRIORITY = 0x6effffff }; /* peer reflexive, as a check's PRIORITY has it: RFC 8445 section 7.1.1 */

struct load_check_open {
	StunAgent agent; /* remembers the transaction and its key */
	uint8_t bytes[LOAD_CHECK_SIZE_MAX];
	size_t size;
	int64_t rto_us;
};

static const uint16_t known_attributes[] = {
	STUN_ATTRIBUTE_USERNAME,
	STUN_ATTRIBUTE_MESSAGE_INTEGRITY,
	STUN_ATTRIBUTE_ERROR_CODE,
	STUN_ATTRIBUTE_UNKNOWN_ATTRIBUTES,
	STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS,
	STUN_ATTRIBUTE_PRIORITY,
	STUN_ATTRIBUTE_USE_CANDIDATE,
	STUN_ATTRIBUTE_ICE_CONTROLLED,
	STUN_ATTRIBUTE_ICE_CONTROLLING,
	0,
};

static void init_agent(StunAgent *agent)
{
	stun_agent_init(agent, known_attributes, STUN_COMPATIBILITY_RFC5389,
		STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS | STUN_AGENT_USAGE_USE_FINGERPRINT);
}

void load_check_init(struct load_check *check, int64_t now_us, const struct load_check_config *config)
{
	*check = (struct load_check){ .config = *config, .deadline_us = now_us, .answered_us = now_us };
}

void load_check_fini(struct load_check *check)
{
	free(check->open);
	check->open = NULL;
}

static struct pl_bytes begin(struct load_check *check, int64_t now_us)
{
	const struct load_check_config *config = &check->config;
	char user[PL_ICE_UFRAG_MAX + 1 + PL_ICE_LOCAL_UFRAG_SIZE];
	StunMessage request;
	struct load_check_open *open = malloc(sizeof *open);
	check->deadline_us = now_us + LOAD_CHECK_RTO_MS * INT64_C(1000);
	if (open == NULL)
		return (struct pl_bytes){ 0 };
	const int user_size = snprintf(user, sizeof user, "%s:%s", config->remote_ufrag, config->local->ufrag);
	init_agent(&open->agent);
	open->rto_us = LOAD_CHECK_RTO_MS * INT64_C(1000);
	open->size = stun_usage_ice_conncheck_create(&open->agent, &request, open->bytes, sizeof open->bytes,
		(const uint8_t *)user, (size_t)user_size, (const uint8_t *)config->remote_pwd,
		strlen(config->remote_pwd), !check->is_nominated, true, CANDIDATE_PRIORITY, config->tie_breaker, NULL,
		STUN_USAGE_ICE_COMPATIBILITY_RFC5245);
	check->open = open;
	return (struct pl_bytes){ open->bytes, open->size };
}

/* 4 to 6 s from now, so that thousands of clients that joined together do not check together. */
static int64_t consent_due(int64_t now_us, struct pl_rng *rng)
{
	const uint32_t spread_ms = LOAD_CHECK_CONSENT_MS * 2 / 5;
	return now_us + (LOAD_CHECK_CONSENT_MS * 4 / 5 + (int64_t)pl_rng_below(rng, spread_ms)) * 1000;
}

struct pl_bytes load_check_tick(struct load_check *check, int64_t now_us, struct pl_rng *rng)
{
	struct load_check_open *open = check->open;
	if (now_us < check->deadline_us)
		return (struct pl_bytes){ 0 };
	/* A consent check is not repeated: a new one takes its place, with a new transaction (RFC 7675 section 5.1). */
	if (open == NULL || check->is_nominated) {
		load_check_fini(check);
		const struct pl_bytes bytes = begin(check, now_us);
		if (check->is_nominated)
			check->deadline_us = consent_due(now_us, rng);
		return bytes;
	}
	if (open->rto_us < LOAD_CHECK_RTO_MS_MAX * INT64_C(1000))
		open->rto_us *= 2;
	check->deadline_us = now_us + open->rto_us;
	return (struct pl_bytes){ open->bytes, open->size };
}

static bool feed_response(struct load_check *check, int64_t now_us, struct pl_bytes datagram, struct pl_rng *rng)
{
	StunMessage response;
	struct sockaddr_storage mapped;
	socklen_t mapped_size = sizeof mapped;
	if (check->open == NULL || stun_agent_validate(&check->open->agent, &response, datagram.data, datagram.size,
					   NULL, NULL) != STUN_VALIDATION_SUCCESS)
		return false;
	if (stun_usage_ice_conncheck_process(&response, &mapped, &mapped_size, STUN_USAGE_ICE_COMPATIBILITY_RFC5245) !=
		STUN_USAGE_ICE_RETURN_SUCCESS)
		return false;
	load_check_fini(check);
	check->is_nominated = true;
	check->answered_us = now_us;
	check->deadline_us = consent_due(now_us, rng);
	return true;
}

static struct sockaddr_storage to_sockaddr(const struct pl_addr *addr, socklen_t *size)
{
	struct sockaddr_storage storage = { 0 };
	if (pl_addr_is_ipv4(addr)) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(addr->port) };
		memcpy(&in.sin_addr, addr->ip + 12, sizeof in.sin_addr);
		memcpy(&storage, &in, sizeof in);
		*size = sizeof in;
	} else {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(addr->port) };
		memcpy(&in6.sin6_addr, addr->ip, sizeof in6.sin6_addr);
		memcpy(&storage, &in6, sizeof in6);
		*size = sizeof in6;
	}
	return storage;
}

static size_t answer_request(const struct load_check *check, const struct pl_addr *from, struct pl_bytes datagram,
	uint8_t reply[static PL_ICE_REPLY_SIZE_MAX])
{
	StunAgent agent;
	StunMessage request, response;
	char user[PL_ICE_LOCAL_UFRAG_SIZE + 1 + PL_ICE_UFRAG_MAX];
	char pwd[PL_ICE_LOCAL_PWD_SIZE];
	const int user_size =
		snprintf(user, sizeof user, "%s:%s", check->config.local->ufrag, check->config.remote_ufrag);
	memcpy(pwd, check->config.local->pwd, sizeof pwd);
	StunDefaultValidaterData valid[] = {
		{ (uint8_t *)user, (size_t)user_size, (uint8_t *)pwd, strlen(pwd) },
		{ NULL, 0, NULL, 0 },
	};
	init_agent(&agent);
	if (stun_agent_validate(&agent, &request, datagram.data, datagram.size, stun_agent_default_validater, valid) !=
		STUN_VALIDATION_SUCCESS)
		return 0;
	socklen_t source_size;
	const struct sockaddr_storage source = to_sockaddr(from, &source_size);
	size_t size = PL_ICE_REPLY_SIZE_MAX;
	bool is_controlling = true;
	/* A conflict of roles is answered with 487 where our draw is the larger (RFC 8445 section 7.3.1.1). */
	stun_usage_ice_conncheck_create_reply(&agent, &request, &response, reply, &size, &source, source_size,
		&is_controlling, check->config.tie_breaker, STUN_USAGE_ICE_COMPATIBILITY_RFC5245);
	return size;
}

bool load_check_feed(struct load_check *check, int64_t now_us, const struct pl_addr *from, struct pl_bytes datagram,
	struct pl_rng *rng, uint8_t reply[static PL_ICE_REPLY_SIZE_MAX], size_t *reply_size)
{
	*reply_size = 0;
	/* The class is two bits of the type; a binding request has neither (RFC 8489 section 5). */
	if (datagram.size < 2 || datagram.data[0] != 0x00 || datagram.data[1] != 0x01)
		return feed_response(check, now_us, datagram, rng);
	*reply_size = answer_request(check, from, datagram, reply);
	return false;
}
