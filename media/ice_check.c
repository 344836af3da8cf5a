#include "media/ice_check.h"

#include <stdio.h>
#include <string.h>

#include <stun/stunagent.h>
#include <stun/usages/ice.h>

enum {
	PRIORITY = 0x7e0000ff, /* of a host candidate, RFC 8445 section 5.1.2.1 */
	SUCCESS = 0x0101,      /* of a binding, RFC 8489 section 5 */
	ID_AT = 8,
	ID_SIZE = 12,
	HEADER_SIZE = 20,
};

void pl_ice_check_write(struct pl_ice_check *check, const struct pl_ice_credentials *server, const char *ufrag)
{
	static const uint16_t known[] = { STUN_ATTRIBUTE_USERNAME, STUN_ATTRIBUTE_MESSAGE_INTEGRITY, 0 };
	/* The server is lite, so there is no conflict of roles that a real draw would have to settle. */
	static const uint64_t tie_breaker = 1;
	char user[2 * PL_ICE_LOCAL_UFRAG_SIZE + PL_ICE_UFRAG_MAX];
	const int size = snprintf(user, sizeof user, "%s:%s", server->ufrag, ufrag);
	StunAgent agent;
	StunMessage request;
	PL_ASSERT(size > 0 && (size_t)size < sizeof user);
	stun_agent_init(&agent, known, STUN_COMPATIBILITY_RFC5389,
		STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS | STUN_AGENT_USAGE_USE_FINGERPRINT);
	check->size = stun_usage_ice_conncheck_create(&agent, &request, check->bytes, sizeof check->bytes,
		(const uint8_t *)user, (size_t)size, (const uint8_t *)server->pwd, strlen(server->pwd), true, true,
		PRIORITY, tie_breaker, NULL, STUN_USAGE_ICE_COMPATIBILITY_RFC5245);
	PL_ASSERT(check->size > HEADER_SIZE);
}

bool pl_ice_check_is_answered(const struct pl_ice_check *check, struct pl_bytes datagram)
{
	return datagram.size >= HEADER_SIZE && (datagram.data[0] << 8 | datagram.data[1]) == SUCCESS &&
	       memcmp(datagram.data + ID_AT, check->bytes + ID_AT, ID_SIZE) == 0;
}
