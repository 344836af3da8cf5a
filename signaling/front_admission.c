#include "signaling/front_admission.h"

#include <string.h>

#include "signaling/front_state.h"

static const struct {
	const char *code, *reason;
	uint16_t status;
} refusals[PL_REFUSAL_COUNT] = {
#define X(name, code, status, reason) [PL_REFUSAL_##name] = { code, reason, status },
	PL_REFUSAL_LIST(X)
#undef X
};

const char *pl_refusal_code(enum pl_refusal why)
{
	PL_ASSERT(why > PL_REFUSAL_NONE && why < PL_REFUSAL_COUNT);
	return refusals[why].code;
}

const char *pl_refusal_reason(enum pl_refusal why)
{
	PL_ASSERT(why > PL_REFUSAL_NONE && why < PL_REFUSAL_COUNT);
	return refusals[why].reason;
}

uint16_t pl_refusal_status(enum pl_refusal why)
{
	PL_ASSERT(why > PL_REFUSAL_NONE && why < PL_REFUSAL_COUNT);
	return refusals[why].status;
}

/* ---- who asks how often ---- */

static bool is_loopback(const struct pl_addr *address)
{
	static const uint8_t one[16] = { [15] = 1 };
	if (pl_addr_is_ipv4(address))
		return address->ip[12] == 127;
	return memcmp(address->ip, one, sizeof one) == 0;
}

static uint64_t hash(const struct pl_front *front, struct pl_bytes key)
{
	return pl_front_table_hash(&front->sessions_by_id, key);
}

/* NULL: not limited.  Who is on this machine is its operator, or a proxy that does not say for whom it asks. */
static struct pl_front_rate *rate_of_address(struct pl_front *front, const struct pl_addr *address)
{
	static const struct pl_addr unknown;
	/* Whoever has one address of IPv6 has 2^64 of them (RFC 6177). */
	const size_t size = pl_addr_is_ipv4(address) ? sizeof address->ip : sizeof address->ip / 2;
	if (front->config.joins_per_address == 0 || pl_addr_equal(address, &unknown) || is_loopback(address))
		return NULL;
	return pl_front_rates_find(
		&front->rates_of_addresses, front->now_us, hash(front, (struct pl_bytes){ address->ip, size }));
}

static struct pl_front_rate *rate_of_token(struct pl_front *front, struct pl_bytes token)
{
	if (front->config.joins_per_token == 0 || token.size == 0)
		return NULL;
	return pl_front_rates_find(&front->rates_of_tokens, front->now_us, hash(front, token));
}

/* Takes from both, or from none. */
static bool is_too_often(struct pl_front *front, const struct pl_front_asker *asker, struct pl_front_refused *refused)
{
	const struct {
		struct pl_front_rate *rate;
		uint32_t per_minute;
	} asked[] = {
		{ rate_of_address(front, &asker->address), front->config.joins_per_address },
		{ rate_of_token(front, asker->token), front->config.joins_per_token },
	};
	int64_t wait_us = 0;
	for (size_t i = 0; i < PL_COUNT(asked); i++) {
		if (asked[i].rate == NULL)
			continue;
		const int64_t us = pl_front_rate_wait_us(asked[i].rate, front->now_us, asked[i].per_minute);
		if (us <= wait_us)
			continue;
		wait_us = us;
		refused->limit = asked[i].per_minute;
	}
	refused->retry_after_ms = (uint32_t)((wait_us + 999) / 1000);
	for (size_t i = 0; wait_us == 0 && i < PL_COUNT(asked); i++) {
		if (asked[i].rate != NULL)
			pl_front_rate_take(asked[i].rate, front->now_us, asked[i].per_minute);
	}
	front->counters.rates_displaced = front->rates_of_addresses.displaced + front->rates_of_tokens.displaced;
	return wait_us > 0;
}

/* ---- what there is ---- */

static bool is_pressed(struct pl_front *front, const struct pl_front_room *room, struct pl_front_refused *refused)
{
	refused->level = pl_reserve_level(&front->reserve, front->now_us);
	refused->score_permille = pl_reserve_score(&front->reserve, front->now_us);
	const struct pl_ladder *ladder = pl_pressure_ladder(refused->level);
	return ladder->refuses_joins || (room == NULL && ladder->refuses_rooms);
}

/* Who came to the shard longest ago and has sent nothing since, though there was time: a browser checks within a second.  NULL: there
 * is none. */
static struct pl_front_session *longest_unheard(const struct pl_front *front, uint8_t shard)
{
	struct pl_front_session *session = pl_front_list_first(&front->unheard[shard]);
	const bool is_old = session != NULL && front->now_us - session->came_us >= PL_FRONT_UNHEARD_MS * INT64_C(1000);
	return is_old ? session : NULL;
}

/* Half-open joins that will never connect would keep everybody else out, for as long as they are waited for. */
static void displace(struct pl_front *front, struct pl_front_session *session)
{
	front->counters.joins_displaced++;
	pl_front_end_without_media(
		front, session, "no connectivity check came, and another who joins was given the place", "lost");
}

static enum pl_refusal look(struct pl_front *front, const struct pl_front_room *room,
	const struct pl_front_asker *asker, struct pl_front_refused *refused)
{
	const struct pl_front_config *config = &front->config;
	if (front->is_shut_down)
		return PL_REFUSAL_SHUTDOWN;
	if (front->is_draining)
		return PL_REFUSAL_DRAINING;
	if (front->counters.sessions >= config->participants_max) {
		refused->limit = config->participants_max;
		return PL_REFUSAL_SERVER_FULL;
	}
	if (room == NULL && front->counters.rooms >= config->rooms_max) {
		refused->limit = config->rooms_max;
		return PL_REFUSAL_ROOMS_FULL;
	}
	if (room != NULL && room->member_count >= config->room_participants_max) {
		refused->limit = config->room_participants_max;
		return PL_REFUSAL_ROOM_FULL;
	}
	if (!pl_front_room_has_place(front, room)) {
		refused->limit = front->placement.shard_participants_max;
		return PL_REFUSAL_SERVER_FULL;
	}
	if (is_pressed(front, room, refused))
		return PL_REFUSAL_PRESSURE;
	const uint8_t shard = pl_front_room_shard(front, room);
	const bool may_connect = pl_placement_may_connect(&front->placement, shard);
	struct pl_front_session *unheard = may_connect ? NULL : longest_unheard(front, shard);
	if (!may_connect && unheard == NULL) {
		refused->limit = front->placement.shard_connecting_max;
		return PL_REFUSAL_JOINS_FULL;
	}
	if (is_too_often(front, asker, refused))
		return PL_REFUSAL_RATE;
	if (unheard != NULL)
		displace(front, unheard);
	return PL_REFUSAL_NONE;
}

const char *pl_front_unready(const struct pl_front *front)
{
	if (front->is_shut_down)
		return pl_refusal_code(PL_REFUSAL_SHUTDOWN);
	if (front->is_draining)
		return pl_refusal_code(PL_REFUSAL_DRAINING);
	const bool is_pressed = pl_pressure_ladder(front->pressure.level)->refuses_joins;
	return is_pressed ? pl_refusal_code(PL_REFUSAL_PRESSURE) : NULL;
}

/* ---- when to come back ---- */

static uint32_t draw(struct pl_front *front, uint32_t min, uint32_t max)
{
	return min + pl_front_random_id(front) % (max - min);
}

uint32_t pl_front_draw_retry_ms(struct pl_front *front)
{
	return draw(front, PL_FRONT_RETRY_MS_MIN, PL_FRONT_RETRY_MS_MAX);
}

static uint32_t retry_ms(struct pl_front *front, const struct pl_front_refused *refused)
{
	switch (refused->why) {
	case PL_REFUSAL_PRESSURE:
		return draw(front, PL_FRONT_PRESSED_RETRY_MS_MIN, PL_FRONT_PRESSED_RETRY_MS_MAX);
	case PL_REFUSAL_RATE:
		return refused->retry_after_ms + draw(front, 0, PL_FRONT_RETRY_MS_MIN);
	default:
		return pl_front_draw_retry_ms(front);
	}
}

bool pl_front_admit(struct pl_front *front, const struct pl_front_room *room, const struct pl_front_asker *asker,
	struct pl_front_refused *refused)
{
	*refused = (struct pl_front_refused){ .why = PL_REFUSAL_NONE };
	refused->why = look(front, room, asker, refused);
	if (refused->why == PL_REFUSAL_NONE)
		return true;
	refused->retry_after_ms = retry_ms(front, refused);
	front->counters.refusals++;
	front->counters.refused[refused->why]++;
	return false;
}

void pl_front_write_refused(
	const struct pl_front *front, struct pl_front_writer *w, const struct pl_front_refused *refused)
{
	const bool is_pressure = refused->why == PL_REFUSAL_PRESSURE;
	pl_front_write_int(w, "retry_after_ms", refused->retry_after_ms);
	if (refused->limit > 0)
		pl_front_write_int(w, "limit", refused->limit);
	if (is_pressure) {
		pl_front_write_int(w, "level", refused->level);
		/* Without one it is those who have just been let in. */
		const bool has_cause = front->pressure.cause < PL_PRESSURE_INPUTS;
		pl_front_write_string(w, "cause", has_cause ? pl_pressure_input_name(front->pressure.cause) : NULL);
		pl_front_write_int(w, "score_permille", refused->score_permille);
	}
	if ((is_pressure || refused->why == PL_REFUSAL_DRAINING) && front->config.move_to != NULL &&
		front->config.move_to[0] != '\0')
		pl_front_write_string(w, "url", front->config.move_to);
}
