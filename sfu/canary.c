#include "sfu/canary.h"

#include <string.h>

enum {
	FRAME_US = 20000,
	PAYLOAD_TYPE = 111,
	LEVEL = 17, /* in -dBov, of the signal */
	/* Samples by which coding delays the signal, not the way: CELT looks 120 ahead, and what its filters do to the tones' phases
	 * looks like 4 less. */
	CODER_DELAY = 116,
	FRAMES_IN_WINDOW = (int)PL_CANARY_WINDOW / (int)PL_OPUS_FRAME,
	ALL_COMMANDS = (1 << 2 * PL_CANARY_BIRDS) - 1,
	ALL_JOINS = ALL_COMMANDS / 3,
};

_Static_assert((int)PL_CANARY_BIRDS == (int)PL_CANARY_WAYS, "each listens one way");
_Static_assert((int)PL_CANARY_WINDOW >= (int)PL_TONE_BEAT && (int)PL_CANARY_WINDOW % (int)PL_OPUS_FRAME == 0,
	"it can be fitted");
_Static_assert(PL_CANARY_FRAMES *PL_OPUS_FRAME >= PL_CANARY_SKIP + PL_CANARY_WINDOW + 6 * PL_OPUS_FRAME,
	"all of the window is said, and so much may be late");

/* What is heard: half of it is too loud for silence and for the ringing of a decoder. */
static const float ONSET = PL_TONE_AMPLITUDE / 2;

static const struct pl_rtp_ext_ids EXT_IDS = { .id = { [PL_RTP_EXT_AUDIO_LEVEL] = 1 } };

const char *pl_canary_way_name(enum pl_canary_way way)
{
	static const char *const names[] = { [PL_CANARY_FORWARDED] = "forwarded", [PL_CANARY_MIXED] = "mixed" };
	PL_ASSERT(way < PL_CANARY_WAYS);
	return names[way];
}

const char *pl_canary_fault_name(enum pl_canary_fault fault)
{
	static const char *const names[] = {
#define X(name, label, text) label,
		PL_CANARY_FAULT_LIST(X)
#undef X
	};
	PL_ASSERT(fault < PL_CANARY_FAULTS);
	return names[fault];
}

const char *pl_canary_fault_text(enum pl_canary_fault fault)
{
	static const char *const texts[] = {
#define X(name, label, text) text,
		PL_CANARY_FAULT_LIST(X)
#undef X
	};
	PL_ASSERT(fault < PL_CANARY_FAULTS);
	return texts[fault];
}

bool pl_canary_is_deaf(enum pl_canary_fault fault)
{
	return fault == PL_CANARY_FAULT_COMMANDS || fault == PL_CANARY_FAULT_CHECKS ||
	       fault == PL_CANARY_FAULT_FORWARDED_SILENT || fault == PL_CANARY_FAULT_MIXED_SILENT;
}

/* ---- the signal ---- */

size_t pl_canary_bytes(void)
{
	return pl_whole_lines(sizeof(struct pl_canary)) + PL_CANARY_WAYS * pl_opus_decoder_bytes() +
	       pl_opus_encoder_bytes();
}

static void code_signal(struct pl_canary *c, struct pl_opus_encoder *encoder)
{
	float pcm[PL_OPUS_FRAME];
	pl_opus_encoder_start(encoder, c->config.templates, PL_OPUS_CELT);
	for (size_t i = 0; i < PL_CANARY_FRAMES; i++) {
		pl_tone_write(pcm, i * PL_OPUS_FRAME, PL_OPUS_FRAME);
		c->frame[i].size = (uint16_t)pl_opus_encode(
			encoder, pcm, i == 0, (struct pl_span){ c->frame[i].bytes, PL_CANARY_PACKET_MAX });
		PL_ASSERT(c->frame[i].size > 0);
	}
}

void pl_canary_init(struct pl_canary **canary, const struct pl_canary_config *config, struct pl_span memory)
{
	PL_ASSERT((uintptr_t)memory.data % 64 == 0 && memory.size >= pl_canary_bytes());
	struct pl_canary *c = (void *)memory.data;
	memset(c, 0, sizeof *c);
	c->config = *config;
	uint8_t *at = memory.data + pl_whole_lines(sizeof *c);
	for (int way = 0; way < PL_CANARY_WAYS; way++, at += pl_opus_decoder_bytes())
		c->ear[way].decoder = (void *)at;
	code_signal(c, (void *)at);
	*canary = c;
}

/* ---- the beginning of a run ---- */

static void draw(struct pl_canary *c, void *bytes, size_t size)
{
	c->config.random(c->config.random_context, bytes, size);
}

static uint32_t draw_id(struct pl_canary *c)
{
	uint32_t id;
	draw(c, &id, sizeof id);
	return id | 1; /* not 0 */
}

static void draw_text(struct pl_canary *c, char *text, size_t size)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
	draw(c, text, size - 1);
	for (size_t i = 0; i + 1 < size; i++)
		text[i] = letters[(uint8_t)text[i] % 64];
	text[size - 1] = '\0';
}

static void describe(struct pl_canary *c, uint8_t bird, const char *ufrag)
{
	struct pl_description *d = &c->description[bird];
	*d = (struct pl_description){
		.dtls_role = PL_DTLS_PASSIVE,
		.fingerprint = *c->config.fingerprint,
		.ext_ids = EXT_IDS,
		.audio_mode = bird == PL_CANARY_MIXED && c->config.has_mix ? PL_AUDIO_MIXED : PL_AUDIO_FORWARD,
		.mix_wish = PL_MIX_FULL,
		.track_count = 1,
		.slot_count = 1,
		.track = { { .track = PL_ID_CANARY(c->shard, bird),
			.mid = "0",
			.ssrc = draw_id(c),
			.clock_hz = PL_OPUS_CLOCK_HZ,
			.payload_type = PAYLOAD_TYPE,
			.kind = PL_KIND_AUDIO,
			.coding = PL_CODING_OPUS } },
		.slot = { { .mid = "1",
			.ssrc = draw_id(c),
			.clock_hz = PL_OPUS_CLOCK_HZ,
			.payload_type = PAYLOAD_TYPE,
			.kind = PL_KIND_AUDIO,
			.coding = PL_CODING_OPUS } },
	};
	draw_text(c, d->local.ufrag, sizeof d->local.ufrag);
	draw_text(c, d->local.pwd, sizeof d->local.pwd);
	draw_text(c, d->cname, sizeof d->cname);
	memcpy(d->remote_ufrag, ufrag, PL_ICE_LOCAL_UFRAG_SIZE);
}

static enum pl_err hatch(struct pl_canary *c, int64_t now_us, uint8_t bird)
{
	struct pl_bird_config config = {
		.identity = c->config.identity,
		.srtp = c->config.srtp,
		.server_fingerprint = c->config.fingerprint,
	};
	draw_text(c, config.ufrag, sizeof config.ufrag);
	describe(c, bird, config.ufrag);
	config.server = c->description[bird].local;
	return pl_bird_init(&c->bird[bird], now_us, &config);
}

static void open_ear(struct pl_canary *c, uint8_t way)
{
	struct pl_canary_ear *ear = &c->ear[way];
	struct pl_opus_decoder *decoder = ear->decoder;
	*ear = (struct pl_canary_ear){ .decoder = decoder };
	pl_opus_decoder_start(decoder, c->config.templates);
	draw(c, &c->voice[way], sizeof c->voice[way]);
}

enum pl_err pl_canary_begin(struct pl_canary *c, int64_t now_us, uint8_t shard)
{
	PL_ASSERT(c->state == PL_CANARY_IDLE && shard < PL_SFU_SHARDS_MAX);
	c->shard = shard;
	for (uint8_t i = 0; i < PL_CANARY_BIRDS; i++) {
		const enum pl_err err = hatch(c, now_us, i);
		if (err != PL_ERR_NONE) {
			while (i > 0)
				pl_bird_fini(&c->bird[--i]);
			return err;
		}
		open_ear(c, i);
	}
	c->state = PL_CANARY_CONNECTING;
	c->begun_us = now_us;
	c->connected_us = 0;
	c->said = 0;
	c->bird_says = PL_CANARY_BIRDS;
	c->sent_lag_us = c->late_us_max = 0;
	c->commands = ALL_JOINS;
	c->has_verdict = false;
	c->verdict = (struct pl_canary_verdict){ .shard = shard };
	return PL_ERR_NONE;
}

/* ---- the end of a run ---- */

static void judge_ear(struct pl_canary *c, enum pl_canary_way way)
{
	const struct pl_canary_ear *ear = &c->ear[way];
	struct pl_canary_heard *heard = &c->verdict.heard[way];
	struct pl_tone_fit fit;
	heard->permille = (uint16_t)(ear->in_window * 1000 / FRAMES_IN_WINDOW);
	if (!ear->has_onset || heard->permille < PL_CANARY_HEARD_PERMILLE_MIN)
		return;
	/* The stream's clock begins with the first packet, the signal's when its first frame was due: what lies between is known, and
	 * so the fitted delay, which is known up to a beat, is told by about when the sound began. */
	const int64_t begin_us =
		ear->lag_sum_us / ear->packets - c->talk_us - c->sent_lag_us / (c->said * PL_CANARY_BIRDS);
	const int64_t begin = begin_us * PL_OPUS_CLOCK_HZ / 1000000;
	pl_tone_fit(ear->pcm, (size_t)((ear->window + begin % PL_TONE_CLOCK_HZ + PL_TONE_CLOCK_HZ) % PL_TONE_CLOCK_HZ),
		PL_CANARY_WINDOW, &fit);
	const int64_t onset = ear->window - PL_CANARY_SKIP + begin;
	int64_t delay = fit.delay;
	while (delay + PL_TONE_BEAT / 2 < onset)
		delay += PL_TONE_BEAT;
	while (delay - PL_TONE_BEAT / 2 > onset)
		delay -= PL_TONE_BEAT;
	heard->snr_db = fit.snr_db;
	heard->delay_us = (int32_t)((delay - CODER_DELAY) * 1000000 / PL_OPUS_CLOCK_HZ);
}

static enum pl_canary_fault fault_of(
	const struct pl_canary_ear *ear, const struct pl_canary_heard *heard, enum pl_canary_fault silent)
{
	_Static_assert(PL_CANARY_FAULT_MIXED_NOISY == PL_CANARY_FAULT_MIXED_SILENT + 2, "in this order");
	if (!ear->has_onset)
		return silent;
	if (heard->permille < PL_CANARY_HEARD_PERMILLE_MIN)
		return silent + 1;
	return heard->snr_db < PL_CANARY_SNR_DB_MIN ? silent + 2 : PL_CANARY_FAULT_NONE;
}

static enum pl_canary_fault why_not_connected(const struct pl_canary *c)
{
	for (uint8_t i = 0; i < PL_CANARY_BIRDS; i++) {
		if (c->bird[i].state == PL_BIRD_CHECKING)
			return PL_CANARY_FAULT_CHECKS;
	}
	return PL_CANARY_FAULT_HANDSHAKE;
}

static void end(struct pl_canary *c)
{
	struct pl_canary_verdict *verdict = &c->verdict;
	if (c->state == PL_CANARY_CONNECTING && verdict->fault == PL_CANARY_FAULT_NONE)
		verdict->fault = why_not_connected(c);
	for (int way = 0; way < PL_CANARY_WAYS && c->state == PL_CANARY_TALKING; way++) {
		const bool is_mix = way == PL_CANARY_MIXED;
		const enum pl_canary_fault silent =
			is_mix ? PL_CANARY_FAULT_MIXED_SILENT : PL_CANARY_FAULT_FORWARDED_SILENT;
		verdict->heard[way].is_there = !is_mix || c->config.has_mix;
		if (!verdict->heard[way].is_there)
			continue;
		judge_ear(c, (enum pl_canary_way)way);
		if (verdict->fault == PL_CANARY_FAULT_NONE)
			verdict->fault = fault_of(&c->ear[way], &verdict->heard[way], silent);
	}
	const bool is_ill = verdict->fault != PL_CANARY_FAULT_NONE && c->state == PL_CANARY_TALKING &&
			    !pl_canary_is_deaf(verdict->fault);
	verdict->is_void = c->late_us_max > (is_ill ? PL_CANARY_LATE_SOUND_US : PL_CANARY_LATE_US);
	c->commands |= ALL_COMMANDS & ~ALL_JOINS;
	c->state = PL_CANARY_IDLE;
	c->has_verdict = true;
	for (uint8_t i = 0; i < PL_CANARY_BIRDS; i++)
		pl_bird_fini(&c->bird[i]);
}

void pl_canary_refused(struct pl_canary *c)
{
	if (c->state == PL_CANARY_IDLE)
		return;
	c->verdict.fault = PL_CANARY_FAULT_COMMANDS;
	end(c);
	c->commands = 0;
}

void pl_canary_abandon(struct pl_canary *c)
{
	for (uint8_t i = 0; i < PL_CANARY_BIRDS && c->state != PL_CANARY_IDLE; i++)
		pl_bird_fini(&c->bird[i]);
	c->state = PL_CANARY_IDLE;
	c->has_verdict = false;
	c->commands = 0;
}

/* ---- hearing ---- */

static void put_window(struct pl_canary_ear *ear, const float *pcm, int64_t at, int count)
{
	int64_t in_window = 0;
	for (int i = 0; i < count; i++) {
		const int64_t place = at + i - ear->window;
		if (place < 0 || place >= PL_CANARY_WINDOW)
			continue;
		ear->pcm[place] = pcm[i];
		in_window++;
	}
	ear->in_window += in_window * 2 >= count;
}

static void hear(struct pl_canary_ear *ear, int64_t now_us, const struct pl_rtp *rtp)
{
	float pcm[PL_OPUS_SAMPLES_MAX];
	if (!ear->has_first)
		ear->ts_first = rtp->ts;
	const int64_t at = (int32_t)(rtp->ts - ear->ts_first);
	if (at < ear->next) /* late, or twice: on this way nothing overtakes */
		return;
	const int count = pl_opus_decode(ear->decoder, rtp->payload, pcm, PL_COUNT(pcm));
	if (count <= 0)
		return;
	ear->has_first = true;
	ear->next = at + count;
	ear->packets++;
	ear->lag_sum_us += now_us - at * 1000000 / PL_OPUS_CLOCK_HZ;
	for (int i = 0; i < count && !ear->has_onset; i++) {
		if (pcm[i] < ONSET && pcm[i] > -ONSET)
			continue;
		ear->has_onset = true;
		ear->window = at + i + PL_CANARY_SKIP;
	}
	if (ear->has_onset)
		put_window(ear, pcm, at, count);
}

static bool has_heard_all(const struct pl_canary_ear *ear)
{
	return ear->has_onset && ear->next >= ear->window + PL_CANARY_WINDOW;
}

static bool have_heard_all(const struct pl_canary *c)
{
	return has_heard_all(&c->ear[PL_CANARY_FORWARDED]) &&
	       (!c->config.has_mix || has_heard_all(&c->ear[PL_CANARY_MIXED]));
}

static void look(struct pl_canary *c, int64_t now_us)
{
	bool are_connected = true;
	for (uint8_t i = 0; i < PL_CANARY_BIRDS; i++) {
		are_connected &= c->bird[i].state == PL_BIRD_CONNECTED;
		if (c->bird[i].state == PL_BIRD_FAILED) {
			end(c);
			return;
		}
	}
	if (c->state != PL_CANARY_CONNECTING || !are_connected)
		return;
	c->state = PL_CANARY_TALKING;
	c->connected_us = now_us;
	c->verdict.join_us = now_us - c->begun_us;
	c->talk_us = now_us + FRAME_US;
}

void pl_canary_feed(struct pl_canary *c, int64_t now_us, uint8_t bird, struct pl_bytes datagram)
{
	struct pl_rtp rtp;
	PL_ASSERT(bird < PL_CANARY_BIRDS);
	if (c->state == PL_CANARY_IDLE)
		return;
	if (pl_bird_feed(&c->bird[bird], now_us, datagram, (struct pl_span){ c->room, sizeof c->room }, &rtp) &&
		c->state == PL_CANARY_TALKING && rtp.ssrc == c->description[bird].slot[0].ssrc)
		hear(&c->ear[bird], now_us, &rtp);
	look(c, now_us);
}

/* ---- talking ---- */

static int64_t frame_due_us(const struct pl_canary *c)
{
	return c->talk_us + (int64_t)c->said * FRAME_US;
}

static int64_t end_us(const struct pl_canary *c)
{
	if (c->state == PL_CANARY_CONNECTING)
		return c->begun_us + PL_CANARY_CONNECT_US;
	return c->talk_us + PL_CANARY_FRAMES * FRAME_US + PL_CANARY_TAIL_US;
}

int64_t pl_canary_deadline(const struct pl_canary *c)
{
	if (c->state == PL_CANARY_IDLE)
		return INT64_MAX;
	int64_t at_us = end_us(c);
	if (c->state == PL_CANARY_TALKING && c->said < PL_CANARY_FRAMES && frame_due_us(c) < at_us)
		at_us = frame_due_us(c);
	for (uint8_t i = 0; i < PL_CANARY_BIRDS; i++) {
		const int64_t bird_us = pl_bird_deadline(&c->bird[i]);
		at_us = bird_us < at_us ? bird_us : at_us;
	}
	return at_us;
}

void pl_canary_tick(struct pl_canary *c, int64_t now_us)
{
	if (c->state == PL_CANARY_IDLE)
		return;
	const int64_t late_us = now_us - pl_canary_deadline(c);
	if (late_us > c->late_us_max)
		c->late_us_max = late_us;
	for (uint8_t i = 0; i < PL_CANARY_BIRDS; i++)
		pl_bird_tick(&c->bird[i], now_us);
	look(c, now_us);
	if (c->state == PL_CANARY_IDLE)
		return;
	if (now_us >= end_us(c) || (c->state == PL_CANARY_TALKING && have_heard_all(c)))
		end(c);
	else if (c->state == PL_CANARY_TALKING && c->said < PL_CANARY_FRAMES && now_us >= frame_due_us(c))
		c->bird_says = 0;
}

static bool say(struct pl_canary *c, int64_t now_us, struct pl_canary_output *output)
{
	if (c->state != PL_CANARY_TALKING || c->bird_says == PL_CANARY_BIRDS)
		return false;
	const uint8_t bird = c->bird_says++;
	const struct pl_rtp rtp = {
		.ssrc = c->description[bird].track[0].ssrc,
		.seq = (uint16_t)(c->voice[bird].seq + c->said),
		.ts = c->voice[bird].ts + c->said * PL_OPUS_FRAME,
		.payload_type = PAYLOAD_TYPE,
		.marker = c->said == 0,
		.payload = { c->frame[c->said].bytes, c->frame[c->said].size },
	};
	const struct pl_rtp_ext ext = {
		.has = { [PL_RTP_EXT_AUDIO_LEVEL] = true }, .audio_level = LEVEL, .is_voice = true
	};
	const size_t size =
		pl_bird_write(&c->bird[bird], &rtp, &ext, &EXT_IDS, (struct pl_span){ c->room, sizeof c->room });
	c->sent_lag_us += now_us - frame_due_us(c);
	c->said += c->bird_says == PL_CANARY_BIRDS;
	output->kind = PL_CANARY_SEND;
	output->bird = bird;
	output->datagram = (struct pl_bytes){ c->room, size };
	return size > 0;
}

/* All JOINs before all LEAVEs, so that a caller knows what it must have room for before the first. */
static bool command(struct pl_canary *c, struct pl_canary_output *output)
{
	for (uint8_t is_leave = 0; is_leave < 2; is_leave++) {
		for (uint8_t bird = 0; bird < PL_CANARY_BIRDS; bird++) {
			const unsigned bit = 1u << (2 * bird + is_leave);
			if ((c->commands & bit) == 0)
				continue;
			c->commands &= (uint8_t)~bit;
			output->kind = PL_CANARY_COMMAND;
			output->command = (struct pl_command){
				.kind = is_leave ? PL_COMMAND_LEAVE : PL_COMMAND_JOIN,
				.shard = c->shard,
				.home = c->shard,
				.room = PL_ID_CANARY(c->shard, 0),
				.source = PL_ID_CANARY(c->shard, bird),
				.description = is_leave ? NULL : &c->description[bird],
			};
			return true;
		}
	}
	return false;
}

bool pl_canary_next(struct pl_canary *c, int64_t now_us, struct pl_canary_output *output)
{
	*output = (struct pl_canary_output){ .kind = PL_CANARY_SEND };
	if (command(c, output))
		return true;
	for (uint8_t i = 0; i < PL_CANARY_BIRDS && c->state != PL_CANARY_IDLE; i++) {
		output->bird = i;
		if (pl_bird_next(&c->bird[i], &output->datagram))
			return true;
	}
	if (say(c, now_us, output))
		return true;
	if (!c->has_verdict)
		return false;
	c->has_verdict = false;
	output->kind = PL_CANARY_VERDICT;
	output->verdict = c->verdict;
	return true;
}
