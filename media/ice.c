#include "media/ice.h"

#include <netinet/in.h>
#include <string.h>

#include <stun/stunagent.h>
#include <stun/usages/ice.h>

enum {
	/* RFC 8489 sections 5 and 14 */
	STUN_HEADER_SIZE = 20,
	STUN_ATTRIBUTE_HEADER_SIZE = 4,
	STUN_TYPE_METHOD_MASK = 0x3eef,
	STUN_TYPE_CLASS_MASK = 0x0110,
	STUN_TYPE_REQUEST = 0x0000,
	STUN_TYPE_INDICATION = 0x0010,
	STUN_INTEGRITY_SIZE = 20,
	STUN_FINGERPRINT_SIZE = 4,

	/* A browser checks each of a dozen candidate pairs every 50 ms or so while it connects. */
	ANSWERED_US = 10000, /* one reply per 10 ms ... */
	ANSWERED_BURST = 200,
	REFUSED_US = 200000,
	REFUSED_BURST = 10,
};

/* What libnice must understand; any other comprehension-required attribute gets 420.  0 ends the list. */
static const uint16_t known_attributes[] = {
	STUN_ATTRIBUTE_USERNAME,
	STUN_ATTRIBUTE_MESSAGE_INTEGRITY,
	STUN_ATTRIBUTE_PRIORITY,
	STUN_ATTRIBUTE_USE_CANDIDATE,
	0,
};

/* A well-formed STUN message, as far as it matters before libnice sees it. */
struct message {
	uint16_t type;
	struct pl_bytes user; /* USERNAME; data is NULL when there is none */
	bool has_integrity, has_fingerprint;
};

static uint16_t read_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Takes one attribute.  False when it breaks the order or size that RFC 8489 sections 14.5 and 14.7 demand:
 * libnice reads 20 bytes of MESSAGE-INTEGRITY whatever its length says. */
static bool scan_attribute(struct message *m, uint16_t type, struct pl_bytes value)
{
	if (m->has_fingerprint)
		return false;
	switch (type) {
	case STUN_ATTRIBUTE_USERNAME:
		if (m->user.data == NULL && !m->has_integrity)
			m->user = value;
		return true;
	case STUN_ATTRIBUTE_MESSAGE_INTEGRITY:
		if (m->has_integrity || value.size != STUN_INTEGRITY_SIZE)
			return false;
		m->has_integrity = true;
		return true;
	case STUN_ATTRIBUTE_FINGERPRINT:
		m->has_fingerprint = true;
		return value.size == STUN_FINGERPRINT_SIZE;
	default:
		return true;
	}
}

/*  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |0 0|     STUN Message Type     |         Message Length        |
 * |                         Magic Cookie                          |
 * |                     Transaction ID (96 bits)                  |
 * |        attribute type         |        attribute length       |
 * |            value, padded to 4 bytes ...                         RFC 8489 section 5 */
static bool scan(struct pl_bytes datagram, struct message *m)
{
	static const uint8_t cookie[4] = { 0x21, 0x12, 0xa4, 0x42 };

	*m = (struct message){ 0 };
	if (datagram.size < STUN_HEADER_SIZE || datagram.size % 4 != 0 || datagram.data[0] > 3 ||
		memcmp(datagram.data + 4, cookie, sizeof cookie) != 0 ||
		read_u16(datagram.data + 2) != datagram.size - STUN_HEADER_SIZE)
		return false;

	m->type = read_u16(datagram.data);
	struct pl_bytes rest = { datagram.data + STUN_HEADER_SIZE, datagram.size - STUN_HEADER_SIZE };
	while (rest.size > 0) {
		/* Sizes are multiples of 4, so a header always fits. */
		const uint16_t type = read_u16(rest.data);
		const size_t size = read_u16(rest.data + 2);
		const size_t padded = (size + 3) & ~(size_t)3;
		if (padded > rest.size - STUN_ATTRIBUTE_HEADER_SIZE)
			return false;
		if (!scan_attribute(m, type, (struct pl_bytes){ rest.data + STUN_ATTRIBUTE_HEADER_SIZE, size }))
			return false;
		rest.data += STUN_ATTRIBUTE_HEADER_SIZE + padded;
		rest.size -= STUN_ATTRIBUTE_HEADER_SIZE + padded;
	}
	return true;
}

/* Splits "local:remote".  A fragment has no colon in it (RFC 8839 section 5.4), so the first one divides. */
static bool split_user(struct pl_bytes user, struct pl_bytes *local, struct pl_bytes *remote)
{
	const uint8_t *colon = user.size > 0 ? memchr(user.data, ':', user.size) : NULL;
	if (colon == NULL || colon == user.data)
		return false;
	*local = (struct pl_bytes){ user.data, (size_t)(colon - user.data) };
	*remote = (struct pl_bytes){ colon + 1, user.size - local->size - 1 };
	return true;
}

static bool bytes_equal_text(struct pl_bytes bytes, const char *text)
{
	return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

enum pl_drop pl_ice_peek_ufrag(struct pl_bytes datagram, struct pl_bytes *ufrag)
{
	struct message m;
	struct pl_bytes remote;

	if (!scan(datagram, &m))
		return PL_DROP_STUN_MALFORMED;
	return split_user(m.user, ufrag, &remote) ? PL_DROP_NONE : PL_DROP_STUN_UNKNOWN_USER;
}

static void set_credentials(struct pl_ice *ice, const struct pl_ice_credentials *local, const char *remote_ufrag)
{
	const size_t remote_size = strlen(remote_ufrag);
	PL_ASSERT(remote_size <= PL_ICE_UFRAG_MAX);
	PL_ASSERT(local->ufrag[0] != '\0' && local->pwd[0] != '\0');
	ice->local = *local;
	memcpy(ice->remote_ufrag, remote_ufrag, remote_size + 1);
}

void pl_ice_init(struct pl_ice *ice, int64_t now_us, const struct pl_ice_credentials *local, const char *remote_ufrag)
{
	*ice = (struct pl_ice){
		.selected = -1,
		.consent_us = now_us,
		.answered_us = INT64_MIN,
		.refused_us = INT64_MIN,
	};
	set_credentials(ice, local, remote_ufrag);
}

void pl_ice_restart(struct pl_ice *ice, const struct pl_ice_credentials *local, const char *remote_ufrag)
{
	ice->local_previous = ice->local;
	memcpy(ice->remote_previous, ice->remote_ufrag, sizeof ice->remote_previous);
	set_credentials(ice, local, remote_ufrag);
}

/* What USERNAME says of a request. */
struct login {
	const struct pl_ice_credentials *credentials; /* NULL: not ours */
	bool is_previous;
};

static struct login find_login(const struct pl_ice *ice, struct pl_bytes user)
{
	struct pl_bytes local, remote;

	if (!split_user(user, &local, &remote))
		return (struct login){ 0 };
	if (bytes_equal_text(local, ice->local.ufrag) &&
		(ice->remote_ufrag[0] == '\0' || bytes_equal_text(remote, ice->remote_ufrag)))
		return (struct login){ &ice->local, false };
	/* Old belongs to old.  A peer that has begun to restart and has no answer yet checks old addresses under its new name; answered,
	 * Chromium stays on such a pair, and so on the old credentials, for good. */
	if (ice->local_previous.ufrag[0] != '\0' && bytes_equal_text(local, ice->local_previous.ufrag) &&
		(ice->remote_previous[0] == '\0' || bytes_equal_text(remote, ice->remote_previous)))
		return (struct login){ &ice->local_previous, true };
	return (struct login){ 0 };
}

/* libnice's StunMessageIntegrityValidate: gives the password to check MESSAGE-INTEGRITY with. */
static bool give_password(StunAgent *agent, StunMessage *request, uint8_t *user, uint16_t user_size, uint8_t **password,
	size_t *password_size, void *data)
{
	(void)agent, (void)request, (void)user, (void)user_size;
	const struct login *login = data;
	if (login->credentials == NULL)
		return false;
	/* The callback's type is not const-correct; libnice only reads it. */
	*password = (uint8_t *)(uintptr_t)login->credentials->pwd;
	*password_size = strlen(login->credentials->pwd);
	return true;
}

/* Takes one reply's price from a bucket.  False when it is empty. */
static bool take(int64_t *bucket_us, int64_t now_us, int64_t price_us, int64_t burst)
{
	const int64_t full_us = now_us - price_us * burst;
	if (*bucket_us < full_us)
		*bucket_us = full_us;
	if (*bucket_us + price_us > now_us)
		return false;
	*bucket_us += price_us;
	return true;
}

static size_t write_error(StunAgent *agent, const StunMessage *request, StunError code, uint8_t *reply)
{
	StunMessage response;
	if (!stun_agent_init_error(agent, &response, reply, PL_ICE_REPLY_SIZE_MAX, request, code))
		return 0;
	return stun_agent_finish_message(agent, &response, NULL, 0);
}

/* XOR-MAPPED-ADDRESS must have the family that the peer's socket has, so an IPv4-mapped address turns back. */
static struct sockaddr_storage to_sockaddr(const struct pl_addr *addr, socklen_t *size)
{
	union {
		struct sockaddr_storage storage;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to = { 0 };
	if (pl_addr_is_ipv4(addr)) {
		to.v4.sin_family = AF_INET;
		to.v4.sin_port = htons(addr->port);
		memcpy(&to.v4.sin_addr, addr->ip + 12, 4);
		*size = sizeof to.v4;
	} else {
		to.v6.sin6_family = AF_INET6;
		to.v6.sin6_port = htons(addr->port);
		memcpy(&to.v6.sin6_addr, addr->ip, 16);
		*size = sizeof to.v6;
	}
	return to.storage;
}

static size_t write_success(StunAgent *agent, const StunMessage *request, const struct pl_addr *mapped, uint8_t *reply)
{
	StunMessage response;
	socklen_t size;
	const struct sockaddr_storage addr = to_sockaddr(mapped, &size);

	/* Not stun_usage_ice_conncheck_create_reply: it copies USERNAME into the reply, up to 513 bytes of it. */
	if (!stun_agent_init_response(agent, &response, reply, PL_ICE_REPLY_SIZE_MAX, request) ||
		stun_message_append_xor_addr(&response, STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS, &addr, size) !=
			STUN_MESSAGE_RETURN_SUCCESS)
		return 0;
	return stun_agent_finish_message(agent, &response, NULL, 0);
}

/* Returns the index of the path in the table, where it takes the place of the one that was silent longest. */
static uint8_t touch_path(struct pl_ice *ice, int64_t now_us, const struct pl_path *path)
{
	uint8_t oldest = 0;
	for (uint8_t i = 0; i < ice->known_count; i++) {
		if (pl_path_equal(&ice->known[i].path, path)) {
			ice->known[i].checked_us = now_us;
			return i;
		}
		const bool is_older = ice->known[i].checked_us < ice->known[oldest].checked_us;
		if (i != ice->selected && (is_older || oldest == ice->selected))
			oldest = i;
	}
	const uint8_t at = ice->known_count < PL_ICE_PATHS_MAX ? ice->known_count++ : oldest;
	ice->known[at].path = *path;
	ice->known[at].checked_us = now_us;
	return at;
}

/* Takes a request that is authentic and understood, in the role we have.  is_previous: with the credentials from
 * before an ICE restart, which are done with when a path is nominated by the new ones. */
static void accept_check(struct pl_ice *ice, int64_t now_us, const struct pl_path *path, bool is_nominated,
	bool is_previous, struct pl_ice_result *result)
{
	const uint8_t index = touch_path(ice, now_us, path);
	ice->consent_us = now_us;
	if (!is_nominated)
		return;
	result->is_selected_new = index != ice->selected;
	ice->selected = (int8_t)index;
	if (!is_previous)
		explicit_bzero(&ice->local_previous, sizeof ice->local_previous);
}

static enum pl_drop take_request(struct pl_ice *ice, int64_t now_us, const struct pl_path *path,
	struct pl_bytes datagram, const struct message *m, uint8_t *reply, struct pl_ice_result *result)
{
	/* Made anew for each request: it remembers only what we would send ourselves, so nothing.  That FINGERPRINT is
	 * there and right is its to check (RFC 8445 section 7.1). */
	StunAgent agent;
	StunMessage request;
	struct login login = find_login(ice, m->user);

	stun_agent_init(&agent, known_attributes, STUN_COMPATIBILITY_RFC5389,
		STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS | STUN_AGENT_USAGE_USE_FINGERPRINT);
	const StunValidationStatus status =
		stun_agent_validate(&agent, &request, datagram.data, datagram.size, give_password, &login);

	if (status == STUN_VALIDATION_UNAUTHORIZED || status == STUN_VALIDATION_UNAUTHORIZED_BAD_REQUEST) {
		const bool is_incomplete = status == STUN_VALIDATION_UNAUTHORIZED_BAD_REQUEST;
		if (take(&ice->refused_us, now_us, REFUSED_US, REFUSED_BURST))
			result->reply_size = write_error(&agent, &request,
				is_incomplete ? STUN_ERROR_BAD_REQUEST : STUN_ERROR_UNAUTHORIZED, reply);
		const bool is_ours = is_incomplete || login.credentials != NULL;
		return is_ours ? PL_DROP_STUN_UNAUTHORIZED : PL_DROP_STUN_UNKNOWN_USER;
	}
	if (status != STUN_VALIDATION_SUCCESS && status != STUN_VALIDATION_UNKNOWN_REQUEST_ATTRIBUTE)
		return PL_DROP_STUN_MALFORMED;

	if (!take(&ice->answered_us, now_us, ANSWERED_US, ANSWERED_BURST))
		return PL_DROP_STUN_RATE;
	if (status == STUN_VALIDATION_UNKNOWN_REQUEST_ATTRIBUTE) {
		StunMessage response;
		result->reply_size = stun_agent_build_unknown_attributes_error(
			&agent, &response, reply, PL_ICE_REPLY_SIZE_MAX, &request);
		return PL_DROP_STUN_MALFORMED;
	}
	uint64_t unused;
	if (stun_message_find64(&request, STUN_ATTRIBUTE_ICE_CONTROLLED, &unused) == STUN_MESSAGE_RETURN_SUCCESS) {
		result->reply_size = write_error(&agent, &request, STUN_ERROR_ROLE_CONFLICT, reply);
		return PL_DROP_NONE;
	}
	accept_check(ice, now_us, path, stun_usage_ice_conncheck_use_candidate(&request), login.is_previous, result);
	result->reply_size = write_success(&agent, &request, &path->remote, reply);
	return PL_DROP_NONE;
}

enum pl_drop pl_ice_feed(struct pl_ice *ice, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram,
	uint8_t reply[static PL_ICE_REPLY_SIZE_MAX], struct pl_ice_result *result)
{
	struct message m;

	*result = (struct pl_ice_result){ 0 };
	if (!scan(datagram, &m))
		return PL_DROP_STUN_MALFORMED;
	if ((m.type & STUN_TYPE_METHOD_MASK) != STUN_BINDING)
		return PL_DROP_STUN_NOT_BINDING;
	/* A keepalive (RFC 8445 section 11): not authenticated, so it may not prolong consent. */
	if ((m.type & STUN_TYPE_CLASS_MASK) == STUN_TYPE_INDICATION)
		return PL_DROP_NONE;
	if ((m.type & STUN_TYPE_CLASS_MASK) != STUN_TYPE_REQUEST)
		return PL_DROP_STUN_NOT_BINDING;
	return take_request(ice, now_us, path, datagram, &m, reply, result);
}

const struct pl_path *pl_ice_selected(const struct pl_ice *ice)
{
	return ice->selected >= 0 ? &ice->known[ice->selected].path : NULL;
}

bool pl_ice_knows(const struct pl_ice *ice, const struct pl_path *path)
{
	for (uint8_t i = 0; i < ice->known_count; i++)
		if (pl_addr_equal(&ice->known[i].path.remote, &path->remote))
			return true;
	return false;
}

int64_t pl_ice_consent_deadline(const struct pl_ice *ice)
{
	return ice->consent_us + PL_ICE_CONSENT_MS * INT64_C(1000);
}
