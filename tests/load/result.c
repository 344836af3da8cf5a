#include "tests/load/result.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Packets of one stream that may be on their way at either edge of the measurement. */
enum { EDGE_PACKETS = 2 };

enum {
	MIX_HZ = 50, /* packets of a mix in a second, while somebody talks */
	MIX_TAIL_PACKETS =
		50, /* at most so many come after the last voice: what a jitter buffer still has, and fading silence */
};

static const double silence_dbfs = -120;

static void count_reason(struct load_result *result, const char *text)
{
	uint32_t i = 0;
	while (i < result->reason_count && strcmp(result->reason[i].text, text) != 0)
		i++;
	if (i == LOAD_REASONS_MAX) {
		i--;
		snprintf(result->reason[i].text, LOAD_REASON_SIZE, "other reasons");
	} else if (i == result->reason_count) {
		snprintf(result->reason[i].text, LOAD_REASON_SIZE, "%s", text);
		result->reason_count++;
	}
	result->reason[i].count++;
}

static void gather_join(struct load_result *result, const struct load_options *options,
	const struct load_client *client, const struct load_session *session)
{
	const bool has_failed = client->state == LOAD_CLIENT_FAILED || session->state == LOAD_SESSION_FAILED;
	const bool is_allowed = session->is_turned_away && options->refusals == LOAD_REFUSALS_COUNT;
	result->joined += client->answered_us != 0;
	result->connected += client->connected_us != 0;
	result->retries += session->retries;
	result->turned_away += session->is_turned_away;
	result->failed += !is_allowed && (has_failed || client->connected_us == 0);
	if (client->state == LOAD_CLIENT_FAILED)
		count_reason(result, client->failure);
	else if (session->state == LOAD_SESSION_FAILED)
		count_reason(result, session->failure);
	else if (client->connected_us == 0)
		count_reason(result, "not done when the run ended");
	if (client->answered_us != 0)
		load_histogram_add(&result->answer_us, (uint64_t)(client->answered_us - client->asked_us));
	if (client->connected_us != 0)
		load_histogram_add(&result->connected_us, (uint64_t)(client->connected_us - client->asked_us));
	if (client->media_us != 0)
		load_histogram_add(&result->media_us, (uint64_t)(client->media_us - client->asked_us));
}

/* ---- media, room by room ---- */

struct room {
	uint32_t publishers; /* connected */
	uint64_t sent;
	uint32_t receivers, counted; /* connected; of those, not silenced */
	uint64_t delivered, lost;
};

static struct room look_at_room(const struct load_client *client, uint32_t count, bool drops_media)
{
	struct room room = { 0 };
	for (uint32_t i = 0; i < count; i++) {
		if (client[i].connected_us == 0)
			continue;
		room.publishers += client[i].is_publisher;
		room.sent += client[i].publication.sent;
		if (client[i].slots == 0)
			continue;
		room.receivers++;
		if (drops_media && !client[i].is_watched)
			continue;
		const struct load_tally tally = load_client_tally(&client[i]);
		room.counted++;
		room.delivered += tally.delivered;
		room.lost += tally.lost;
	}
	return room;
}

static uint32_t streams_wanted(
	const struct load_options *options, const struct load_client *client, const struct room *room)
{
	const uint32_t others = room->publishers - (client->is_publisher ? 1 : 0);
	if (load_options_is_mixed(options))
		return others > 0 ? 1 : 0;
	return others < client->slots ? others : client->slots;
}

/* A mix comes by its clock, whoever talks, as long as somebody does. */
static int64_t expected_of_mix(const struct load_result *result, const struct load_options *options,
	const struct load_client *client, uint32_t count, const struct room *room)
{
	int64_t expected = 0;
	for (uint32_t i = 0; i < count; i++)
		if (client[i].connected_us != 0 && client[i].slots > 0)
			expected += streams_wanted(options, &client[i], room) * (int64_t)(result->seconds * MIX_HZ);
	return options->has_spurts ? -1 : expected;
}

/* What all receivers of the room were to get.  Where there are more talkers than slots each of the chosen ones has sent
 * the mean, as long as all send all the time. */
static int64_t expected_in(
	const struct load_options *options, const struct load_client *client, uint32_t count, const struct room *room)
{
	uint64_t expected = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (client[i].connected_us == 0 || client[i].slots == 0)
			continue;
		const uint32_t wanted = streams_wanted(options, &client[i], room);
		const uint32_t others = room->publishers - (client[i].is_publisher ? 1 : 0);
		if (options->has_spurts && wanted < others)
			return -1;
		const uint64_t sent = room->sent - client[i].publication.sent;
		expected += others > 0 ? sent * wanted / others : 0;
	}
	return (int64_t)expected;
}

static void count_streams(struct load_result *result, const struct load_options *options,
	const struct load_client *client, const struct room *room)
{
	const struct load_tally tally = load_client_tally(client);
	const uint32_t streams = tally.streams;
	if (result->receivers == 0 || streams < result->streams_min)
		result->streams_min = streams;
	if (streams > result->streams_max)
		result->streams_max = streams;
	result->receivers++;
	result->restarts += tally.restarts;
	result->receivers_complete += streams >= streams_wanted(options, client, room);
}

/* What a mix sends when nobody talks any more is no part of the measurement. */
static uint64_t without_tail(uint64_t delivered, uint64_t lost, int64_t expected, uint64_t receivers)
{
	if (expected < 0 || delivered + lost <= (uint64_t)expected)
		return delivered;
	const uint64_t more = delivered + lost - (uint64_t)expected, tail_max = receivers * MIX_TAIL_PACKETS;
	const uint64_t tail = more < tail_max ? more : tail_max;
	return delivered > tail ? delivered - tail : 0;
}

static void gather_room(struct load_result *result, const struct load_options *options,
	const struct load_client *client, uint32_t count)
{
	const struct room room = look_at_room(client, count, options->drop_media);
	int64_t expected = -1;
	if (options->publishers > 0)
		expected = load_options_is_mixed(options) ? expected_of_mix(result, options, client, count, &room)
							  : expected_in(options, client, count, &room);
	const uint64_t receivers = room.receivers, counted = room.counted > 0 ? room.counted : 1;
	const uint64_t lost = room.lost * receivers / counted;
	uint64_t delivered = room.delivered * receivers / counted;
	if (load_options_is_mixed(options))
		delivered = without_tail(delivered, lost, expected, receivers);
	result->sent += room.sent;
	result->delivered += delivered;
	result->lost += lost;
	if (expected < 0 || result->expected < 0)
		result->expected = -1;
	else
		result->expected += expected;
	for (uint32_t i = 0; i < count; i++) {
		const bool is_counted = client[i].is_watched || !options->drop_media;
		if (client[i].connected_us == 0 || client[i].slots == 0)
			continue;
		if (is_counted)
			count_streams(result, options, &client[i], &room);
		result->kernel_drops += load_socket_drops(client[i].fd) - client[i].kernel_drops_before;
	}
}

/* Gaps do not show what never came again: that shows in what was expected. */
static void find_missing(struct load_result *result, const struct load_options *options)
{
	const uint64_t edges = (uint64_t)result->receivers * options->slots * EDGE_PACKETS;
	const uint64_t found = result->delivered + result->lost + edges;
	if (result->expected > 0 && (uint64_t)result->expected > found)
		result->missing = (uint64_t)result->expected - found;
}

void load_result_gather(struct load_result *result, const struct load_gathering *from)
{
	const struct load_options *options = from->options;
	const uint32_t per_room = options->publishers + options->receivers;
	uint64_t samples = 0;
	double energy = 0;
	result->clients = from->client_count;
	result->is_estimated = options->drop_media;
	for (uint32_t i = 0; i < from->client_count; i++)
		gather_join(result, options, &from->clients[i], &from->sessions[i]);
	load_histogram_merge(&result->refusal_us, &from->signaling->refusal_us);
	result->refusals_untimed = from->signaling->refusals_untimed;
	for (uint32_t i = 0; i < options->threads; i++) {
		const struct load_worker *worker = from->workers[i];
		load_histogram_merge(&result->latency_ns, &worker->context.latency_ns);
		load_histogram_merge(&result->mix_late_ns, &worker->context.mix_late_ns);
		load_histogram_merge(&result->mouth_to_ear_ns, &worker->context.mouth_to_ear_ns);
		load_histogram_merge(&result->late_ns, &worker->late_ns);
		result->mix_ticks_late += worker->context.mix_ticks_late;
		result->mix_ticks_missing += worker->context.mix_ticks_missing;
		result->decoded += worker->context.decoded;
		result->malformed += worker->context.malformed;
		samples += worker->context.samples;
		energy += worker->context.energy;
		result->refused += worker->context.refused;
		result->unexpected += worker->context.unexpected;
	}
	result->level_dbfs = energy > 0 ? 10 * log10(energy / (double)samples) : silence_dbfs;
	for (uint32_t room = 0; result->seconds > 0 && room < options->rooms; room++)
		gather_room(result, options, from->clients + (size_t)room * per_room, per_room);
	find_missing(result, options);
}

double load_result_loss_percent(const struct load_result *result)
{
	const uint64_t lost = result->lost + result->missing;
	const uint64_t all = result->delivered + lost;
	return all > 0 ? 100.0 * (double)lost / (double)all : 0;
}

bool load_result_is_good(const struct load_result *result, const struct load_options *options)
{
	const uint32_t allowed = options->refusals == LOAD_REFUSALS_COUNT ? result->turned_away : 0;
	return result->failed == 0 && result->connected + allowed == result->clients && !result->is_interrupted &&
	       !result->is_deserted && !result->has_server_ended &&
	       load_result_loss_percent(result) <= options->max_loss_percent;
}
