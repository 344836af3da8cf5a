#include "media/voice.h"

#include <string.h>

#include "media/delay.h"
#include "media/dsp.h"
#include "media/jitter.h"
#include "media/splice.h"

enum {
	ALIGNMENT = 64,
	PCM_MAX = 8192, /* a tick, a splice, and the longest packet, with some to spare */

	FADE_IN = 240,        /* samples from silence to full loudness; */
	FADE_IN_NEW = 960,    /* with a new decoder, which may be too loud in the middle of a stream */
	FADE_OUT_FROM = 2880, /* concealed samples that are as loud as the decoder makes them, */
	FADE_OUT_TO = 5760,   /* and after so many it is silent */
	CUT_FADE = 480,       /* samples of the fade when what is heard is given up */
	SEAM = 120,           /* samples over which a step is evened out */

	BEHIND_US_MAX = 120000, /* a mixer that is later than that will leave out ticks */
	AWAY_MAX = 48000,       /* samples that a timestamp may be off by: 1 s */
	AWAY_TICKS = 25,       /* packets of so many ticks in a row are not late: their publisher's clock has changed */
	LONG_SILENCE = 480000, /* samples, 10 s: clocks may have drifted apart meanwhile */
	SEQ_NEAR = 500,        /* a number further away is of another beginning */
	SPAN_MAX = 28800,      /* samples that wait at most: 600 ms; of more the oldest are given up */
	START_LATE_MAX = 4800, /* a spurt begins with what is at most 100 ms late */
	DTX_SIZE_MAX = 2,      /* bytes of a packet that says nothing but "silence" */
	FEC_WISH_MAX = 8,
};

static const float overdue_importance = 3; /* in the measure of delay */

enum stage { SILENT, PLAYING };

struct pl_voice {
	_Alignas(ALIGNMENT) const struct pl_opus_templates *templates;
	struct pl_opus_decoder *decoder; /* behind this struct */
	uint32_t source, track;
	enum stage stage;

	/* Time.  The clock is the mixer's, in samples: that of the next tick.  Lateness is clock - timestamp - zero, so that of a packet or of
	 * what is heard is small whatever both clocks began with. */
	uint32_t clock, zero;
	int64_t tick_us; /* when the next tick is due */
	bool has_time, has_ticked;

	/* The stream that is listened to. */
	bool has_stream, has_played;     /* has_played: ts_next and seq_last have a meaning */
	bool is_decoder_old;             /* it knows another stream */
	uint32_t ssrc, ts_next;          /* ts_next: of what is to be decoded next */
	uint16_t seq_last, seq_fed;      /* of the packet decoded, and of the newest fed */
	uint32_t away_count, away_clock; /* ticks in a row with packets that are a second late, and the last of them */
	uint32_t heard_clock;            /* when something was last heard */
	uint32_t burst;                  /* samples that came since the last pull */
	struct pl_delay delay;

	/* The sound. */
	const struct pl_dsp *dsp; /* of this pull */
	bool is_cut;              /* what is heard fades at once, because the stream behind it is gone */
	uint32_t concealed_run;   /* samples concealed one after the other */
	uint32_t held;            /* of those the ones made while nothing at all was there: it may still come */
	float gain;
	float heard_last;   /* the last sample that left */
	uint16_t fade_in;   /* samples */
	uint32_t unspliced; /* pulls since a splice was wanted, or made */
	float fec_wish;     /* losses of the last seconds that waiting for one packet more would have mended */
	uint16_t fec_samples;
	struct pl_voice_gauges gauges;
	size_t pcm_count; /* decoded and not yet heard */
	float pcm[PCM_MAX];
	struct pl_jitter jitter;
};

size_t pl_voice_bytes(void)
{
	return sizeof(struct pl_voice) + pl_opus_decoder_bytes();
}

void pl_voice_start(struct pl_voice *v, const struct pl_opus_templates *t, uint32_t source, uint32_t track)
{
	memset(v, 0, offsetof(struct pl_voice, pcm)); /* the rest is written before it is read */
	v->templates = t;
	v->decoder = (struct pl_opus_decoder *)(v + 1);
	v->source = source;
	v->track = track;
	v->is_decoder_old = true;
	pl_delay_clear(&v->delay);
	pl_jitter_clear(&v->jitter);
}

uint32_t pl_voice_source(const struct pl_voice *v)
{
	return v->source;
}

uint32_t pl_voice_track(const struct pl_voice *v)
{
	return v->track;
}

bool pl_voice_is_silent(const struct pl_voice *v)
{
	return v->stage == SILENT && pl_jitter_front(&v->jitter) == NULL;
}

/* ---- time ---- */

/* A packet comes.  When a tick is long overdue, what comes after it is not early: some will be left out, the next one says
 * how many. */
static void guess_time(struct pl_voice *v, int64_t now_us)
{
	if (!v->has_time) {
		v->has_time = true;
		v->tick_us = now_us;
	}
	const int64_t behind_us = now_us - v->tick_us;
	if (behind_us <= BEHIND_US_MAX)
		return;
	const int64_t ticks = behind_us / PL_VOICE_TICK_US;
	v->clock += (uint32_t)ticks * PL_VOICE_FRAME;
	v->tick_us += ticks * PL_VOICE_TICK_US;
}

static void begin_tick(struct pl_voice *v, uint32_t tick)
{
	const uint32_t clock = tick * PL_VOICE_FRAME, passed = clock - v->clock;
	if (!v->has_ticked) { /* what came before it was measured by a clock of our own */
		v->has_ticked = true;
		v->zero += passed;
		v->heard_clock += passed;
		v->away_clock += passed;
	}
	v->clock = clock;
}

static void end_tick(struct pl_voice *v, int64_t now_us)
{
	v->clock += PL_VOICE_FRAME;
	v->has_time = true;
	v->tick_us = now_us + PL_VOICE_TICK_US;
	v->burst = 0;
}

/* If this timestamp were heard at the beginning of the next pull, how late were it? */
static int32_t lateness_of(const struct pl_voice *v, uint32_t ts)
{
	return (int32_t)(v->clock - ts - v->zero);
}

/* How late what is heard is. */
static int32_t lateness(const struct pl_voice *v)
{
	return lateness_of(v, v->ts_next - (uint32_t)v->pcm_count);
}

/* How late it would best be.  While packets are lost that carry FEC one packet more is waited for. */
static int32_t target(const struct pl_voice *v)
{
	return pl_delay_target(&v->delay) + (v->fec_wish >= 2 ? v->fec_samples : 0);
}

/* ---- what comes ---- */

static void begin_anew(struct pl_voice *v, const struct pl_packet *packet)
{
	if (v->has_stream)
		v->gauges.restarted++;
	v->has_stream = true;
	v->has_played = false;
	v->is_decoder_old = true;
	v->is_cut = v->stage == PLAYING;
	v->ssrc = packet->ssrc;
	v->seq_fed = packet->seq;
	v->zero = v->clock - packet->ts;
	v->away_count = 0;
	v->fec_wish = 0;
	pl_delay_clear(&v->delay);
	pl_jitter_clear(&v->jitter);
}

/* A second too early is a clock that jumped, a second too late is one if the numbers jumped with it; else the network
 * stood still, unless it goes on like that. */
static bool is_new_beginning(struct pl_voice *v, const struct pl_packet *packet)
{
	if (!v->has_stream || packet->ssrc != v->ssrc)
		return true;
	const int32_t away =
		lateness_of(v, packet->ts) - (pl_delay_is_clear(&v->delay) ? 0 : pl_delay_floor(&v->delay));
	if (away >= -AWAY_MAX && away <= AWAY_MAX) {
		v->away_count = 0;
		return false;
	}
	const int16_t ahead = (int16_t)(packet->seq - v->seq_fed);
	if (v->away_count == 0 || v->away_clock != v->clock)
		v->away_count++;
	v->away_clock = v->clock;
	return away < 0 || ahead > SEQ_NEAR || ahead < -SEQ_NEAR || v->away_count >= AWAY_TICKS ||
	       (v->stage == SILENT && v->clock - v->heard_clock > LONG_SILENCE);
}

/* More waits than is ever wanted: the network had stood still, or its packets come from another time. */
static void limit_span(struct pl_voice *v)
{
	const uint32_t end = pl_jitter_end(&v->jitter);
	if ((int32_t)(end - pl_jitter_front(&v->jitter)->ts) <= SPAN_MAX)
		return;
	while (v->jitter.count > 1 && (int32_t)(end - pl_jitter_front(&v->jitter)->ts) > START_LATE_MAX) {
		pl_jitter_pop(&v->jitter);
		v->gauges.late++;
	}
	v->is_cut = v->stage == PLAYING;
	v->has_played = false;
}

static enum pl_drop keep(struct pl_voice *v, const struct pl_packet *packet, uint16_t samples)
{
	const enum pl_drop drop = pl_jitter_put(&v->jitter, packet->seq, packet->ts, samples, packet->payload);
	if (drop == PL_DROP_VOICE_DUPLICATE)
		v->gauges.duplicate++;
	else if (drop == PL_DROP_VOICE_FULL)
		v->gauges.full++;
	else
		limit_span(v);
	return drop;
}

/* What comes together, beyond a tick's worth, is one delay of the network and not many: it weighs little. */
static float importance_of(struct pl_voice *v, uint32_t samples, bool is_overdue)
{
	const uint32_t before = v->burst;
	const float share = before < PL_VOICE_FRAME ? 1 : (float)PL_VOICE_FRAME / (float)(before + PL_VOICE_FRAME);
	v->burst += samples;
	return is_overdue && before == 0 ? overdue_importance * share * share : share * share;
}

enum pl_drop pl_voice_feed(struct pl_voice *v, int64_t now_us, const struct pl_packet *packet)
{
	const int samples = pl_opus_packet_samples(packet->payload);
	if (samples < 0) {
		v->gauges.malformed++;
		return PL_DROP_VOICE_MALFORMED;
	}
	guess_time(v, now_us);
	if (is_new_beginning(v, packet))
		begin_anew(v, packet);
	if ((int16_t)(packet->seq - v->seq_fed) > 0)
		v->seq_fed = packet->seq;
	if (v->away_count > 0) {
		v->gauges.late++;
		return PL_DROP_VOICE_LATE;
	}

	const int32_t here = lateness_of(v, packet->ts);
	const bool is_overdue = v->stage == PLAYING && v->has_played && here > lateness(v) - (int32_t)v->held;
	const float importance = importance_of(v, (uint32_t)samples, is_overdue);
	pl_delay_add(&v->delay, here, (uint16_t)samples, importance);

	/* Heard already, made up, or given up. */
	const bool is_late = v->has_played && (int32_t)(packet->ts + (uint32_t)samples - v->ts_next) <= 0;
	if (is_late) {
		v->gauges.late++;
		return PL_DROP_VOICE_LATE;
	}
	return keep(v, packet, (uint16_t)samples);
}

/* ---- sound ---- */

/* What a decoder makes of garbage may be anything: samples of 16 bits would end it, floats do not. */
static void bound(const struct pl_voice *v, float *x, size_t count)
{
	const float most = PL_VOICE_PEAK_MAX;
	if (v->dsp->peak(x, count) <= most)
		return;
	for (size_t i = 0; i < count; i++) {
		const float bounded = x[i] > most ? most : x[i];
		x[i] = bounded >= -most ? bounded : bounded < -most ? -most : 0; /* NaN */
	}
}

/* Sound that was said: from silence, or from a fade, it comes back at once. */
static void append_said(struct pl_voice *v, size_t count)
{
	float *x = &v->pcm[v->pcm_count];
	bound(v, x, count);
	v->pcm_count += count;
	v->concealed_run = 0;
	if (v->gain >= 1)
		return;
	const size_t left = (size_t)((1 - v->gain) * v->fade_in) + 1, length = left < count ? left : count;
	const float gain = left <= count ? 1 : v->gain + (float)count / (float)v->fade_in;
	v->dsp->ramp(x, v->gain, gain, length);
	v->gain = gain;
	if (gain >= 1)
		v->fade_in = FADE_IN;
}

/* Sound that was made up: the longer it goes on, the less of it. */
static void append_concealed(struct pl_voice *v, size_t count)
{
	float *x = &v->pcm[v->pcm_count];
	bound(v, x, count);
	v->pcm_count += count;
	v->concealed_run += (uint32_t)count;
	v->gauges.concealed += count;
	float gain = 1 - ((float)v->concealed_run - FADE_OUT_FROM) / (FADE_OUT_TO - FADE_OUT_FROM);
	gain = gain < 0 ? 0 : gain < v->gain ? gain : v->gain;
	if (v->gain < 1 || gain < 1)
		v->dsp->ramp(x, v->gain, gain, count);
	v->gain = gain;
}

static void conceal(struct pl_voice *v, size_t count)
{
	if (pl_opus_conceal(v->decoder, &v->pcm[v->pcm_count], count) != (int)count)
		memset(&v->pcm[v->pcm_count], 0, count * sizeof *v->pcm);
	append_concealed(v, count);
}

/* The next whole units that hold count samples. */
static size_t whole_units(size_t count)
{
	return (count + PL_OPUS_UNIT - 1) / PL_OPUS_UNIT * PL_OPUS_UNIT;
}

static void count_lost(struct pl_voice *v, const struct pl_jitter_packet *front)
{
	const uint16_t missing = (uint16_t)(front->seq - v->seq_last - 1);
	if (missing < SEQ_NEAR)
		v->gauges.lost += missing;
}

/* Decodes the front.  Its first skipped samples have been heard otherwise (concealed, or in a packet that overlaps it). */
static void decode_front(struct pl_voice *v, const struct pl_jitter_packet *front, size_t skipped)
{
	float *x = &v->pcm[v->pcm_count];
	const int made = pl_opus_decode(v->decoder, pl_jitter_payload(&v->jitter, front), x, PCM_MAX - v->pcm_count);
	const size_t count = front->samples - skipped;
	count_lost(v, front);
	v->ts_next = front->ts + front->samples;
	v->seq_last = front->seq;
	const uint16_t samples = front->samples;
	pl_jitter_pop(&v->jitter);
	if (made != samples) {
		v->gauges.malformed++;
		conceal(v, whole_units(count));
		v->ts_next += (uint32_t)(whole_units(count) - count);
		return;
	}
	v->gauges.decoded++;
	if (skipped > 0) {
		memmove(x, x + skipped, count * sizeof *x);
		const float step = (v->pcm_count > 0 ? x[-1] : v->heard_last) - x[0];
		for (size_t i = 0; i < SEAM && i < count; i++)
			x[i] += step * (float)(SEAM - i) / SEAM;
	}
	append_said(v, count);
}

/* Nothing is there.  What should be may be late or lost: the next packet will tell. */
static void hold(struct pl_voice *v, size_t count)
{
	conceal(v, whole_units(count));
	v->held += (uint32_t)whole_units(count);
}

static void wish_for_fec(struct pl_voice *v, const struct pl_jitter_packet *front)
{
	if (v->fec_wish < FEC_WISH_MAX)
		v->fec_wish++;
	v->fec_samples = front->samples <= PL_OPUS_FRAME ? front->samples : PL_OPUS_FRAME;
}

/* The next packet has come after a hold of so many samples: a gap before it was in them, and it is by the rest that
 * the hold was too long that everything is heard later from now on. */
static int32_t settle_hold(struct pl_voice *v, const struct pl_jitter_packet *front, int32_t gap)
{
	const int32_t passed = gap < 0 ? 0 : gap < (int32_t)v->held ? gap : (int32_t)v->held;
	v->gauges.lengthened += v->held - (uint32_t)passed;
	v->ts_next += (uint32_t)passed;
	v->held = 0;
	if (passed > 0 && (uint16_t)(front->seq - v->seq_last) > 1 &&
		pl_opus_packet_has_fec(pl_jitter_payload(&v->jitter, front)))
		wish_for_fec(v, front);
	return gap - passed;
}

/* Sound for a gap before the front: of its FEC when that reaches so far, else made up. */
static void bridge(struct pl_voice *v, const struct pl_jitter_packet *front, uint32_t gap)
{
	count_lost(v, front);
	v->seq_last = (uint16_t)(front->seq - 1);
	if (gap < PL_OPUS_UNIT) {
		v->ts_next += gap;
		return;
	}
	const struct pl_bytes payload = pl_jitter_payload(&v->jitter, front);
	const bool has_fec = pl_opus_packet_has_fec(payload);
	size_t count = gap / PL_OPUS_UNIT * PL_OPUS_UNIT;
	if (has_fec && gap <= front->samples) {
		if (pl_opus_recover(v->decoder, payload, &v->pcm[v->pcm_count], count) == (int)count) {
			v->gauges.recovered += count;
			append_said(v, count);
			wish_for_fec(v, front);
		} else {
			conceal(v, count);
		}
	} else {
		if (has_fec)
			count = (gap - front->samples + PL_OPUS_UNIT - 1) / PL_OPUS_UNIT * PL_OPUS_UNIT;
		if (count > PL_OPUS_FRAME)
			count = PL_OPUS_FRAME;
		conceal(v, count);
	}
	v->ts_next += (uint32_t)count;
}

/* Has at least so many samples ready.  is_needed: makes them up where they are not there; else it does what it can. */
static void fill(struct pl_voice *v, size_t count, bool is_needed)
{
	while (v->pcm_count < count) {
		const struct pl_jitter_packet *front = pl_jitter_front(&v->jitter);
		if (front == NULL) {
			if (!is_needed)
				return;
			hold(v, count - v->pcm_count);
			continue;
		}
		int32_t gap = (int32_t)(front->ts - v->ts_next);
		if (gap + front->samples <= 0) {
			v->gauges.late++;
			pl_jitter_pop(&v->jitter);
			continue;
		}
		if (v->held > 0)
			gap = settle_hold(v, front, gap);
		if (gap <= 0)
			decode_front(v, front, (size_t)-gap);
		else if (is_needed)
			bridge(v, front, (uint32_t)gap);
		else
			return;
	}
}

/* Brings the delay nearer to its target by a pitch period.  Where the sound is like itself that is inaudible; the longer none
 * is found, the less like it has to be. */
static void splice(struct pl_voice *v)
{
	const int32_t excess = lateness(v) - target(v);
	const float patience = (float)v->unspliced;
	float likeness;
	if (v->concealed_run > 0 || v->gain < 1 || (excess >= 0 && excess < PL_DELAY_STEP + PL_SPLICE_LAG_MIN)) {
		v->unspliced = 0;
		return;
	}
	if (excess < 0) {
		/* Packets come too late: to hear them matters more than how this sounds. */
		const size_t lag = pl_splice_find(v->pcm, PL_SPLICE_LAG_MAX, &likeness);
		v->unspliced++;
		if (likeness < 0.6f - 0.2f * patience)
			return;
		pl_splice_lengthen(v->pcm, v->pcm_count, lag);
		v->pcm_count += lag;
		v->gauges.lengthened += lag;
		v->unspliced = 0;
		return;
	}
	/* Every fourth tick is enough, but for a delay that is felt. */
	if (++v->unspliced < 4 && excess < PL_OPUS_FRAME * 4)
		return;
	fill(v, PL_OPUS_FRAME + PL_SPLICE_LAG_MAX, false);
	size_t lag_max = v->pcm_count - PL_OPUS_FRAME;
	if (lag_max > (size_t)excess - PL_DELAY_STEP)
		lag_max = (size_t)excess - PL_DELAY_STEP;
	if (lag_max > PL_SPLICE_LAG_MAX)
		lag_max = PL_SPLICE_LAG_MAX;
	if (lag_max < PL_SPLICE_LAG_MIN)
		return;
	const size_t lag = pl_splice_find(v->pcm, lag_max, &likeness);
	if (likeness < 0.9f - 0.02f * patience)
		return;
	pl_splice_shorten(v->pcm, v->pcm_count, lag);
	v->pcm_count -= lag;
	v->gauges.shortened += lag;
	v->unspliced = 0;
}

/* ---- spurts ---- */

/* True when the first packet's time has come; what is hopelessly late is given up. */
static bool is_to_start(struct pl_voice *v, size_t *offset)
{
	for (const struct pl_jitter_packet *front; (front = pl_jitter_front(&v->jitter)) != NULL;) {
		const int32_t over = lateness_of(v, front->ts) - target(v);
		const bool is_late = over > START_LATE_MAX && v->jitter.count > 1;
		if (over <= -PL_VOICE_FRAME)
			return false;
		if (!is_late && front->size > DTX_SIZE_MAX) {
			*offset = over < 0 ? (size_t)-over : 0;
			/* Short packets that do not fill a tick yet begin at its end. */
			const uint32_t span = pl_jitter_end(&v->jitter) - front->ts;
			if (span < PL_VOICE_FRAME - *offset)
				*offset = PL_VOICE_FRAME - span;
			return true;
		}
		v->gauges.late += is_late;
		pl_jitter_pop(&v->jitter);
	}
	return false;
}

static void start(struct pl_voice *v, size_t offset)
{
	const struct pl_jitter_packet *front = pl_jitter_front(&v->jitter);
	v->fade_in = v->is_decoder_old ? FADE_IN_NEW : FADE_IN;
	if (v->is_decoder_old)
		pl_opus_decoder_start(v->decoder, v->templates);
	v->is_decoder_old = false;
	v->stage = PLAYING;
	v->has_played = true;
	v->ts_next = front->ts;
	v->seq_last = (uint16_t)(front->seq - 1);
	v->concealed_run = v->held = v->unspliced = 0;
	v->gain = 0;
	v->heard_last = 0;
	memset(v->pcm, 0, offset * sizeof *v->pcm);
	v->pcm_count = offset;
}

/* The last tick of a stream that is gone: what is left of it fades. */
static void fade_away(struct pl_voice *v, float *pcm)
{
	if (v->pcm_count < CUT_FADE)
		conceal(v, whole_units(CUT_FADE - v->pcm_count));
	v->dsp->ramp(v->pcm, 1, 0, CUT_FADE);
	memcpy(pcm, v->pcm, CUT_FADE * sizeof *pcm);
	memset(pcm + CUT_FADE, 0, (PL_VOICE_FRAME - CUT_FADE) * sizeof *pcm);
	v->is_cut = false;
	v->stage = SILENT;
	v->pcm_count = 0;
}

static void play(struct pl_voice *v, float *pcm)
{
	fill(v, PL_VOICE_FRAME, true);
	splice(v);
	memcpy(pcm, v->pcm, PL_VOICE_FRAME * sizeof *pcm);
	v->heard_last = v->pcm[PL_VOICE_FRAME - 1];
	v->pcm_count -= PL_VOICE_FRAME;
	memmove(v->pcm, v->pcm + PL_VOICE_FRAME, v->pcm_count * sizeof *v->pcm);
	v->fec_wish *= 0.998f; /* a half after 7 s */
	v->heard_clock = v->clock;
	if (v->concealed_run >= FADE_OUT_TO) {
		v->stage = SILENT;
		v->pcm_count = 0;
	}
}

bool pl_voice_pull(
	struct pl_voice *v, int64_t now_us, uint32_t tick, const struct pl_dsp *dsp, float pcm[static PL_VOICE_FRAME])
{
	size_t offset;
	v->dsp = dsp;
	begin_tick(v, tick);
	bool is_heard = true;
	if (v->is_cut) {
		fade_away(v, pcm);
	} else {
		if (v->stage == SILENT && is_to_start(v, &offset))
			start(v, offset);
		is_heard = v->stage == PLAYING;
		if (is_heard)
			play(v, pcm);
	}
	end_tick(v, now_us);
	return is_heard;
}

void pl_voice_measure(const struct pl_voice *v, struct pl_voice_gauges *gauges)
{
	enum { SAMPLES_PER_MS = PL_OPUS_CLOCK_HZ / 1000 };
	*gauges = v->gauges;
	if (pl_delay_is_clear(&v->delay))
		return;
	const int32_t floor = pl_delay_floor(&v->delay), wanted = target(v) - floor;
	const int32_t present = v->stage == PLAYING && v->has_played ? lateness(v) - floor : 0;
	gauges->target_us = (uint32_t)wanted * 1000 / SAMPLES_PER_MS;
	gauges->delay_us = present > 0 ? (uint32_t)present * 1000 / SAMPLES_PER_MS : 0;
}
