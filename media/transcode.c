#include "media/transcode.h"

#include <math.h>
#include <string.h>

#include "media/conceal.h"
#include "media/g711.h"

enum {
	FRAME = PL_G711_FRAME,
	US_PER_SAMPLE = 1000000 / PL_G711_CLOCK_HZ,
	CLOCK_RATIO = PL_OPUS_CLOCK_HZ / PL_G711_CLOCK_HZ,
	HELD_MAX = 4, /* packets: as many as wait for a missing one, of 10 ms each */
	WAIT_SAMPLES = PL_TRANSCODE_WAIT_MS * PL_G711_CLOCK_HZ / 1000,
	/* Numbers that jump so far are of a publisher who began anew, RFC 3550 appendix A.1; and so are this many in a row
	 * that are all too old. */
	RESTART_DISTANCE = 3000,
	RESTART_LATE = 10,
	/* A gap longer than the time that passed by more than this is no pause, but a clock that was set. */
	GAP_AHEAD_US = 2000000,
	/* An eighth faster than sound, and what a network may hold back and deliver at once. */
	BUDGET_US_PER_SAMPLE = US_PER_SAMPLE * 8 / 9,
	BUDGET_MAX = PL_G711_CLOCK_HZ,
	/* A voice is this much above the noise, which is the lowest of late: it follows at once down, and 1 dB a second up. */
	VOICE_ABOVE_Q8 = 8 * 256,
	NOISE_RISE_Q8 = 5,
	NOISE_FIRST_Q8 = (127 - 70) * 256,
	VOICE_LEVEL_MAX = 55,
	VOICE_HANGOVER_FRAMES = 10,
};

struct held {
	bool is_used;
	uint8_t coding; /* enum pl_coding */
	uint16_t seq, size;
	uint32_t ts;
	int64_t at_us; /* when it came */
	uint8_t bytes[PL_TRANSCODE_PAYLOAD_MAX];
};

struct pl_transcode {
	int64_t now_us;
	struct pl_transcode_counters counters;
	uint64_t concealed; /* samples */
	int64_t budget;     /* samples that may still be encoded */
	int64_t budget_us;  /* when it was last filled */

	/* The publisher's stream, in its own numbers and its own clock. */
	bool is_started;
	bool is_placed;     /* ts_next has a meaning */
	uint16_t seq_next;  /* the first that was not taken yet */
	uint16_t late_seq;  /* of the last that was too old */
	uint8_t late_count; /* in a row */
	uint32_t ssrc_in;
	uint32_t ts_next; /* of the next sample that goes into the frame */
	int64_t taken_us; /* when the last packet came that was taken */
	struct held held[HELD_MAX];
	struct held *reading; /* NULL for none */
	uint16_t read;        /* bytes of it */
	uint32_t missing;     /* samples to make before it, or before nothing */
	uint32_t gap;         /* samples of silence after those; valid while is_jump */
	bool is_jump;

	struct pl_conceal conceal;
	float frame[FRAME];
	uint16_t filled;

	/* What goes out. */
	uint32_t source, track, ssrc, ts;
	uint16_t seq;
	uint8_t mix_group;
	bool is_marked;   /* the next frame begins a spurt */
	uint8_t voice;    /* frames that still count as voice */
	int32_t noise_q8; /* loudness: 127 - level */
	struct pl_opus_encoder *encoder;
};

static size_t head_bytes(void)
{
	return pl_whole_lines(sizeof(struct pl_transcode));
}

size_t pl_transcode_bytes(void)
{
	return head_bytes() + pl_opus_encoder_bytes();
}

void pl_transcode_start(struct pl_transcode *t, const struct pl_transcode_config *config)
{
	*t = (struct pl_transcode){
		.now_us = INT64_MIN,
		.budget = BUDGET_MAX,
		.budget_us = INT64_MIN,
		.taken_us = INT64_MIN,
		.ssrc = config->ssrc,
		.ts = config->ts_first,
		.seq = config->seq_first,
		.is_marked = true,
		.noise_q8 = NOISE_FIRST_Q8,
		.encoder = (struct pl_opus_encoder *)((uint8_t *)t + head_bytes()),
	};
	pl_conceal_init(&t->conceal);
	pl_opus_encoder_start(t->encoder, config->templates, PL_OPUS_CELT_8K);
}

void pl_transcode_tune(struct pl_transcode *t, const struct pl_opus_tuning *tuning)
{
	pl_opus_encoder_tune(t->encoder, tuning);
}

const struct pl_transcode_counters *pl_transcode_counters(const struct pl_transcode *t)
{
	return &t->counters;
}

/* ---- the packets that wait ---- */

static struct held *find_held(struct pl_transcode *t, uint16_t seq)
{
	for (size_t i = 0; i < HELD_MAX; i++) {
		if (t->held[i].is_used && t->held[i].seq == seq)
			return &t->held[i];
	}
	return NULL;
}

static struct held *find_free(struct pl_transcode *t)
{
	for (size_t i = 0; i < HELD_MAX; i++) {
		if (!t->held[i].is_used)
			return &t->held[i];
	}
	return NULL;
}

static struct held *first_held(struct pl_transcode *t)
{
	struct held *first = NULL;
	for (size_t i = 0; i < HELD_MAX; i++) {
		struct held *h = &t->held[i];
		if (h->is_used && (first == NULL || (int16_t)(h->seq - first->seq) < 0))
			first = h;
	}
	return first;
}

/* When the first of those that wait came; INT64_MAX for none. */
static int64_t waiting_since(const struct pl_transcode *t)
{
	int64_t since = INT64_MAX;
	for (size_t i = 0; i < HELD_MAX; i++) {
		if (t->held[i].is_used && t->held[i].at_us < since)
			since = t->held[i].at_us;
	}
	return since;
}

int64_t pl_transcode_deadline(const struct pl_transcode *t)
{
	const int64_t since = waiting_since(t);
	return since == INT64_MAX ? since : since + PL_TRANSCODE_WAIT_MS * 1000;
}

/* The one that is missing has had its chance. */
static bool is_given_up(const struct pl_transcode *t)
{
	size_t count = 0, samples = 0;
	for (size_t i = 0; i < HELD_MAX; i++) {
		if (!t->held[i].is_used)
			continue;
		count++;
		samples += t->held[i].coding == PL_CODING_COMFORT_NOISE ? 0 : t->held[i].size;
	}
	return count == HELD_MAX || samples >= WAIT_SAMPLES || t->now_us >= pl_transcode_deadline(t);
}

static bool is_drained(struct pl_transcode *t)
{
	return t->reading == NULL && t->missing == 0 && find_held(t, t->seq_next) == NULL && !is_given_up(t);
}

/* ---- taking packets ---- */

static void pass_time(struct pl_transcode *t, int64_t now_us)
{
	PL_ASSERT(now_us >= t->now_us);
	t->now_us = now_us;
	if (t->budget_us == INT64_MIN)
		t->budget_us = now_us;
	const int64_t samples = (now_us - t->budget_us) / BUDGET_US_PER_SAMPLE;
	t->budget_us += samples * BUDGET_US_PER_SAMPLE;
	t->budget = samples < BUDGET_MAX - t->budget ? t->budget + samples : BUDGET_MAX;
}

static enum pl_drop check(const struct pl_transcode *t, const struct pl_packet *packet)
{
	if (packet->coding == PL_CODING_COMFORT_NOISE)
		return PL_DROP_NONE;
	if (packet->coding != PL_CODING_PCMU && packet->coding != PL_CODING_PCMA)
		return PL_DROP_RTP_UNKNOWN_PAYLOAD;
	if (packet->payload.size == 0 || packet->payload.size > PL_TRANSCODE_PAYLOAD_MAX)
		return PL_DROP_RTP_MALFORMED;
	return t->budget > 0 ? PL_DROP_NONE : PL_DROP_TRANSCODE_RATE;
}

/* The numbers begin at this packet; where its timestamp stands beside the last stream's, nobody knows. */
static void begin_stream(struct pl_transcode *t, const struct pl_packet *packet)
{
	for (size_t i = 0; i < HELD_MAX; i++)
		t->held[i].is_used = false;
	t->is_started = true;
	t->is_placed = false;
	t->ssrc_in = packet->ssrc;
	t->seq_next = packet->seq;
	t->late_count = 0;
}

/* What came before is silence that was left out: none of it is waited for, and none is still to be heard. */
static void begin_spurt(struct pl_transcode *t, const struct pl_packet *packet)
{
	t->seq_next = (uint16_t)(packet->seq - (packet->spurt - 1));
	for (size_t i = 0; i < HELD_MAX; i++) {
		if ((int16_t)(t->held[i].seq - t->seq_next) < 0)
			t->held[i].is_used = false;
	}
}

static bool is_restart(struct pl_transcode *t, uint16_t seq)
{
	const uint16_t ahead = (uint16_t)(seq - t->seq_next), behind = (uint16_t)(0 - ahead);
	if (ahead >= RESTART_DISTANCE && behind >= RESTART_DISTANCE)
		return true;
	if (behind == 0 || behind >= RESTART_DISTANCE) {
		t->late_count = 0;
		return false;
	}
	t->late_count = t->late_count > 0 && seq == (uint16_t)(t->late_seq + 1) ? (uint8_t)(t->late_count + 1) : 1;
	t->late_seq = seq;
	return t->late_count == RESTART_LATE;
}

static void hold(struct held *h, int64_t now_us, const struct pl_packet *packet)
{
	h->is_used = true;
	h->coding = packet->coding;
	h->seq = packet->seq;
	h->ts = packet->ts;
	h->at_us = now_us;
	h->size = packet->coding == PL_CODING_COMFORT_NOISE ? 0 : (uint16_t)packet->payload.size;
	if (h->size > 0)
		memcpy(h->bytes, packet->payload.data, h->size);
}

enum pl_drop pl_transcode_feed(struct pl_transcode *t, int64_t now_us, const struct pl_packet *packet)
{
	PL_ASSERT(is_drained(t));
	pass_time(t, now_us);
	const enum pl_drop drop = check(t, packet);
	if (drop != PL_DROP_NONE)
		return drop;
	if (!t->is_started || packet->ssrc != t->ssrc_in)
		begin_stream(t, packet);
	else if (packet->spurt > 0)
		begin_spurt(t, packet);
	else if (is_restart(t, packet->seq))
		begin_stream(t, packet);
	if ((int16_t)(packet->seq - t->seq_next) < 0 || find_held(t, packet->seq) != NULL)
		return PL_DROP_TRANSCODE_LATE;
	struct held *h = find_free(t);
	PL_ASSERT(h != NULL); /* four are given up, so three wait at most */
	hold(h, now_us, packet);
	t->source = packet->source;
	t->track = packet->track;
	t->mix_group = packet->mix_group;
	return packet->coding == PL_CODING_COMFORT_NOISE ? PL_DROP_COMFORT_NOISE : PL_DROP_NONE;
}

void pl_transcode_tick(struct pl_transcode *t, int64_t now_us)
{
	pass_time(t, now_us);
}

/* ---- where a packet's samples go ---- */

static uint32_t to_fill(const struct pl_transcode *t)
{
	return t->filled > 0 ? (uint32_t)(FRAME - t->filled) : 0;
}

/* How many samples of silence are before this packet, whose timestamp is not near the last one's. */
static uint32_t measure_gap(const struct pl_transcode *t, const struct held *h)
{
	if (t->taken_us == INT64_MIN)
		return 0;
	const int64_t passed_us = h->at_us - t->taken_us;
	const int32_t ahead = (int32_t)(h->ts - t->ts_next);
	if (t->is_placed && ahead > 0 && (int64_t)ahead * US_PER_SAMPLE <= passed_us + GAP_AHEAD_US)
		return (uint32_t)ahead;
	/* No clock to go by but ours.  A little more time than its own sound lasts is jitter. */
	const int64_t gap = passed_us / US_PER_SAMPLE - h->size;
	return gap > PL_CONCEAL_MAX ? (uint32_t)gap : 0;
}

static void place(struct pl_transcode *t, const struct held *h)
{
	const uint32_t ahead = h->ts - t->ts_next;
	if (t->is_placed && ahead <= PL_CONCEAL_MAX) {
		t->missing = ahead;
		return;
	}
	t->counters.jumps += t->taken_us != INT64_MIN;
	const uint32_t gap = measure_gap(t, h), rest = gap > 0 ? to_fill(t) : 0;
	t->is_jump = true;
	t->missing = rest;
	t->gap = gap > rest ? gap - rest : 0;
}

static bool begin_packet(struct pl_transcode *t)
{
	struct held *h = find_held(t, t->seq_next);
	if (h == NULL && is_given_up(t))
		h = first_held(t);
	if (h == NULL)
		return false;
	t->counters.missing += (uint16_t)(h->seq - t->seq_next);
	t->seq_next = (uint16_t)(h->seq + 1);
	if (h->coding == PL_CODING_COMFORT_NOISE) {
		h->is_used = false;
		t->missing = to_fill(t);
		return true;
	}
	place(t, h);
	t->reading = h;
	t->read = 0;
	t->taken_us = h->at_us;
	return true;
}

static void jump(struct pl_transcode *t)
{
	t->is_jump = false;
	t->is_placed = true;
	t->ts_next = t->reading->ts;
	if (t->gap == 0)
		return;
	PL_ASSERT(t->filled == 0);
	t->ts += t->gap * CLOCK_RATIO;
	t->is_marked = true;
	pl_conceal_init(&t->conceal);
}

static uint32_t room(const struct pl_transcode *t, uint32_t wanted)
{
	const uint32_t left = (uint32_t)(FRAME - t->filled);
	return wanted < left ? wanted : left;
}

static void add(struct pl_transcode *t, uint32_t count)
{
	t->filled = (uint16_t)(t->filled + count);
	t->ts_next += count;
}

static void make_missing(struct pl_transcode *t)
{
	const uint32_t count = room(t, t->missing);
	pl_conceal_make(&t->conceal, &t->frame[t->filled], count);
	t->missing -= count;
	t->concealed += count;
	t->counters.concealed_ms = t->concealed * 1000 / PL_G711_CLOCK_HZ;
	add(t, count);
}

static void read_packet(struct pl_transcode *t)
{
	struct held *h = t->reading;
	const uint32_t count = room(t, (uint32_t)(h->size - t->read));
	const enum pl_g711_law law = h->coding == PL_CODING_PCMU ? PL_G711_PCMU : PL_G711_PCMA;
	pl_g711_decode(law, &h->bytes[t->read], count, &t->frame[t->filled]);
	pl_conceal_heard(&t->conceal, &t->frame[t->filled], count);
	t->read = (uint16_t)(t->read + count);
	add(t, count);
	if (t->read < h->size)
		return;
	h->is_used = false;
	t->reading = NULL;
}

/* True when the frame is full. */
static bool fill(struct pl_transcode *t)
{
	while (t->filled < FRAME) {
		if (t->missing > 0)
			make_missing(t);
		else if (t->is_jump)
			jump(t);
		else if (t->reading != NULL)
			read_packet(t);
		else if (!begin_packet(t))
			return false;
	}
	return true;
}

/* ---- frames ---- */

/* RFC 6464 section 3: -dBov of the frame's root mean square. */
static uint8_t level_of(const float frame[static FRAME])
{
	float sum = 0;
	for (size_t i = 0; i < FRAME; i++)
		sum += frame[i] * frame[i];
	const float db = -10 * log10f(sum / FRAME + 1e-20f);
	return db < 127 ? (uint8_t)(db > 0 ? db + 0.5f : 0) : 127;
}

static bool is_voice(struct pl_transcode *t, uint8_t level)
{
	const int32_t loudness_q8 = (127 - level) * 256;
	if (loudness_q8 < t->noise_q8)
		t->noise_q8 -= (t->noise_q8 - loudness_q8) / 4;
	else
		t->noise_q8 += NOISE_RISE_Q8;
	if (level <= VOICE_LEVEL_MAX && loudness_q8 >= t->noise_q8 + VOICE_ABOVE_Q8)
		t->voice = VOICE_HANGOVER_FRAMES;
	else if (t->voice > 0)
		t->voice--;
	return t->voice > 0;
}

/* Encodes the frame.  False: it is not sent. */
static bool make_packet(struct pl_transcode *t, struct pl_packet *out)
{
	const uint8_t level = level_of(t->frame);
	const bool voice = is_voice(t, level);
	t->budget -= FRAME;
	const size_t size =
		pl_opus_encode(t->encoder, t->frame, false, (struct pl_span){ out->data, sizeof out->data });
	if (size == 0) {
		t->counters.refused++;
		return false;
	}
	out->source = t->source;
	out->track = t->track;
	out->mix_group = t->mix_group;
	out->ssrc = t->ssrc;
	out->ts = t->ts;
	out->seq = t->seq++;
	out->marker = t->is_marked;
	out->has_level = true;
	out->level = level;
	out->is_voice = voice;
	out->coding = PL_CODING_OPUS;
	out->bps = pl_opus_encoder_tuning(t->encoder).bitrate_bps;
	out->payload = (struct pl_bytes){ out->data, size };
	t->counters.frames++;
	return true;
}

bool pl_transcode_next(struct pl_transcode *t, struct pl_packet *out)
{
	while (fill(t)) {
		const bool is_sent = make_packet(t, out);
		t->is_marked = !is_sent;
		t->ts += PL_OPUS_FRAME;
		t->filled = 0;
		if (is_sent)
			return true;
	}
	return false;
}
