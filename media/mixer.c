#include "media/mixer.h"

#include <math.h>
#include <string.h>

#include "media/mixer_stream.h"
#include "media/voice.h"

enum { FRAME = PL_OPUS_FRAME, NARROW = PL_OPUS_FRAME / PL_DECIMATE_FACTOR, DRAINED = UINT8_MAX };
enum { SEATS = 5 };

static const float LOUDNESS_RISE = 0.5F, LOUDNESS_FALL = 0.05F; /* of the difference, each tick */
static const float SILENCE_DB = -127;
/* What is quiet enough to change streams in: no voice at all, or far below what was heard in the last second. */
static const float QUIET_DB = -50, QUIET_BELOW_DB = 20, MIX_FALL_DB = 0.4F;

/* Where talkers sit in stereo, from -1 (left) to 1: up to 8 dB between the ears, and nobody is heard with one alone. */
static const float seats[SEATS] = { 0, -0.35F, 0.35F, -0.6F, 0.6F };

/* A voice of the room.  The struct pl_voice follows in the same block. */
struct pl_mixer_talker {
	_Alignas(64) uint32_t source, track;
	uint8_t mix_group; /* as in struct pl_packet */
	uint8_t seat;
	bool is_ending;   /* is off air: fades, and goes */
	bool is_sounding; /* has a frame in this tick */
	bool is_mixed;    /* chosen */
	bool was_mixed;   /* in the tick before: its gain is 1 */
	uint16_t held_ticks, louder_ticks, silent_ticks;
	uint32_t measured_tick;
	float loudness_db;              /* smoothed; has a meaning only when measured in the last tick */
	uint8_t level;                  /* as its last packet said */
	float *pcm;                     /* its frame */
	struct pl_voice_gauges counted; /* what the counters have of them */
};

/* A frame that is in the mix. */
struct input {
	const float *pcm;
	uint32_t source;
	float side; /* where it sits in stereo */
};

struct pl_mixer_scratch {
	_Alignas(64) float voice[PL_MIXER_VOICES_MAX][FRAME];
	float total[FRAME], own[FRAME], narrow[NARROW], own_narrow[NARROW];
	float left[FRAME], right[FRAME], wide[2 * FRAME];
	struct input input[PL_MIXER_VOICES_MAX];
	uint8_t input_count;
	bool has_narrow; /* narrow is total at 8 kHz */
	uint8_t level;   /* of total */
	struct {
		const float *pcm;
		uint8_t level;
		bool is_start;
	} stream;                     /* of the tick's packets that are handed out now */
	const struct pl_mixer *owner; /* whose tick this is */
};

/* ---- memory ---- */

static size_t talker_bytes(void)
{
	return sizeof(struct pl_mixer_talker) + pl_voice_bytes();
}

static struct pl_voice *voice_of(const struct pl_mixer_talker *t)
{
	return (struct pl_voice *)(void *)((uint8_t *)(uintptr_t)t + sizeof *t);
}

size_t pl_mixer_pools_bytes(uint32_t voices, uint32_t encoders)
{
	return sizeof(struct pl_mixer_scratch) + pl_blocks_bytes(talker_bytes(), voices) +
	       pl_blocks_bytes(pl_mixer_stream_bytes(), encoders);
}

static struct pl_span cut(struct pl_span *memory, size_t size)
{
	PL_ASSERT(memory->size >= size);
	const struct pl_span part = { memory->data, size };
	*memory = (struct pl_span){ memory->data + size, memory->size - size };
	return part;
}

void pl_mixer_pools_init(struct pl_mixer_pools *pools, const struct pl_opus_templates *templates,
	const struct pl_dsp *dsp, struct pl_span memory, uint32_t voices, uint32_t encoders)
{
	PL_ASSERT((uintptr_t)memory.data % PL_BLOCKS_ALIGN == 0);
	*pools = (struct pl_mixer_pools){ .templates = templates, .dsp = dsp };
	pools->scratch = (void *)cut(&memory, sizeof *pools->scratch).data;
	pools->scratch->owner = NULL;
	pl_blocks_init(&pools->voices, cut(&memory, pl_blocks_bytes(talker_bytes(), voices)), talker_bytes(), voices);
	pl_blocks_init(&pools->encoders, cut(&memory, pl_blocks_bytes(pl_mixer_stream_bytes(), encoders)),
		pl_mixer_stream_bytes(), encoders);
}

void pl_mixer_init(struct pl_mixer *m, const struct pl_mixer_config *config)
{
	PL_ASSERT(config->talkers_max <= PL_MIXER_TALKERS_MAX);
	*m = (struct pl_mixer){
		.pools = config->pools,
		.ssrc = config->ssrc,
		.talkers_max = config->talkers_max > 0 ? config->talkers_max : PL_MIX_TALKERS,
		.loudness_db = SILENCE_DB,
		.next = DRAINED,
	};
	pl_limiter_init(&m->limiter, PL_OPUS_CLOCK_HZ, 1);
	pl_limiter_init(&m->wide_limiter, PL_OPUS_CLOCK_HZ, 2);
	pl_decimate_init(&m->decimate);
}

/* ---- talkers ---- */

/* Adds what is new since the last time. */
static void count_voice(struct pl_mixer *m, struct pl_mixer_talker *t)
{
	struct pl_mixer_counters *counters = &m->pools->counters;
	struct pl_voice_gauges now, *before = &t->counted;
	pl_voice_measure(voice_of(t), &now);
	counters->late += now.late - before->late;
	counters->lost += now.lost - before->lost;
	counters->malformed += now.malformed - before->malformed;
	counters->recovered += now.recovered - before->recovered;
	counters->concealed += now.concealed - before->concealed;
	counters->stretched += now.shortened - before->shortened + now.lengthened - before->lengthened;
	*before = now;
}

static void remove_talker(struct pl_mixer *m, uint8_t i)
{
	m->pools->counters.exits += m->talker[i]->was_mixed;
	count_voice(m, m->talker[i]);
	pl_blocks_release(&m->pools->voices, m->talker[i]);
	m->talker[i] = m->talker[--m->talker_count];
}

static struct pl_mixer_talker *find_talker(const struct pl_mixer *m, uint32_t track)
{
	for (uint8_t i = 0; i < m->talker_count; i++) {
		if (m->talker[i]->track == track)
			return m->talker[i];
	}
	return NULL;
}

/* Frees a place for somebody new: of the voice that has been silent for longest, or else of one outside the mix that is
 * clearly quieter than the packet says that it is. */
static bool make_place(struct pl_mixer *m, const struct pl_packet *packet)
{
	uint8_t worst = 0;
	bool has_silent = false, has_quieter = false;
	for (uint8_t i = 0; i < m->talker_count; i++) {
		const struct pl_mixer_talker *t = m->talker[i], *w = m->talker[worst];
		if (t->was_mixed)
			continue;
		if (t->silent_ticks > 0 && (!has_silent || t->silent_ticks > w->silent_ticks)) {
			worst = i;
			has_silent = true;
		} else if (!has_silent && packet->has_level && t->held_ticks >= PL_MIXER_HOLD_TICKS &&
			   t->level > packet->level + PL_MIXER_MARGIN_DB && (!has_quieter || t->level > w->level)) {
			worst = i;
			has_quieter = true;
		}
	}
	if (!has_silent && !has_quieter)
		return false;
	remove_talker(m, worst);
	return true;
}

/* The same one as last time where it is free, so that a talker mostly stays where it is. */
static uint8_t find_seat(const struct pl_mixer *m, uint32_t track)
{
	uint8_t taken = 0;
	for (uint8_t i = 0; i < m->talker_count; i++)
		taken = (uint8_t)(taken | 1 << m->talker[i]->seat);
	for (uint8_t i = 0; i < SEATS; i++) {
		const uint8_t seat = (uint8_t)((track + i) % SEATS);
		if ((taken >> seat & 1) == 0)
			return seat;
	}
	return (uint8_t)(track % SEATS);
}

static enum pl_drop add_talker(struct pl_mixer *m, const struct pl_packet *packet, struct pl_mixer_talker **added)
{
	if (m->talker_count == m->talkers_max + PL_MIXER_SPARE && !make_place(m, packet))
		return PL_DROP_MIX_SURPLUS;
	struct pl_mixer_talker *t = pl_blocks_acquire(&m->pools->voices);
	if (t == NULL) {
		m->pools->counters.voices_full++;
		return PL_DROP_MIX_FULL;
	}
	*t = (struct pl_mixer_talker){
		.source = packet->source, .track = packet->track, .seat = find_seat(m, packet->track)
	};
	pl_voice_start(voice_of(t), m->pools->templates, packet->source, packet->track);
	m->talker[m->talker_count++] = t;
	*added = t;
	return PL_DROP_NONE;
}

enum pl_drop pl_mixer_hear(struct pl_mixer *m, int64_t now_us, const struct pl_packet *packet)
{
	PL_ASSERT(packet->mix_group <= PL_MIX_GROUPS);
	if (m->groups == 0)
		return PL_DROP_MIX_CLOSED;
	struct pl_mixer_talker *t = find_talker(m, packet->track);
	if (t == NULL) {
		const enum pl_drop drop = add_talker(m, packet, &t);
		if (drop != PL_DROP_NONE)
			return drop;
	}
	t->source = packet->source;
	t->mix_group = packet->mix_group;
	t->is_ending = false;
	t->level = packet->has_level ? packet->level : 0;
	return pl_voice_feed(voice_of(t), now_us, packet);
}

void pl_mixer_silence(struct pl_mixer *m, uint32_t track)
{
	for (uint8_t i = m->talker_count; i-- > 0;) {
		struct pl_mixer_talker *t = m->talker[i];
		if (track != 0 && t->track != track)
			continue;
		t->is_ending = true;
		if (!t->was_mixed)
			remove_talker(m, i);
	}
}

/* ---- who is in the mix ---- */

static void measure(const struct pl_mixer *m, struct pl_mixer_talker *t)
{
	const float rms = pl_dsp_measure(m->pools->dsp, t->pcm, FRAME).rms;
	const float db = rms > 1e-6F ? 20 * log10f(rms) : SILENCE_DB;
	if (t->measured_tick + 1 != m->tick)
		t->loudness_db = db;
	t->loudness_db += (db > t->loudness_db ? LOUDNESS_RISE : LOUDNESS_FALL) * (db - t->loudness_db);
	t->measured_tick = m->tick;
}

/* Once in a second, and not all rooms in the same tick. */
static void count_voices(struct pl_mixer *m)
{
	struct pl_mixer_counters *counters = &m->pools->counters;
	if ((m->tick + m->ssrc) % PL_MIXER_COUNT_TICKS != 0)
		return;
	for (uint8_t i = 0; i < m->talker_count; i++) {
		struct pl_mixer_talker *t = m->talker[i];
		count_voice(m, t);
		if (!t->is_sounding)
			continue;
		counters->delays++;
		counters->delay_us += t->counted.delay_us;
	}
}

/* Has every voice make its next frame. */
static void pull(struct pl_mixer *m, int64_t now_us)
{
	uint8_t sounding = 0;
	for (uint8_t i = 0; i < m->talker_count; i++) {
		struct pl_mixer_talker *t = m->talker[i];
		t->pcm = m->pools->scratch->voice[i];
		t->is_sounding = pl_voice_pull(voice_of(t), now_us, m->tick, m->pools->dsp, t->pcm);
		t->silent_ticks = (uint16_t)(t->is_sounding ? 0 : t->silent_ticks + 1);
		if (t->held_ticks < UINT16_MAX)
			t->held_ticks++;
		sounding += t->is_sounding;
	}
	count_voices(m);
	/* Nobody has to be louder than others when all have a place. */
	for (uint8_t i = 0; sounding > m->talkers_max && i < m->talker_count; i++) {
		if (m->talker[i]->is_sounding)
			measure(m, m->talker[i]);
	}
}

static void set_mixed(struct pl_mixer *m, struct pl_mixer_talker *t, bool is_mixed)
{
	t->is_mixed = is_mixed;
	t->held_ticks = 0;
	t->louder_ticks = 0;
	m->pools->counters.entries += is_mixed;
}

/* The loudest one outside the mix; NULL for none. */
static struct pl_mixer_talker *loudest_outside(const struct pl_mixer *m)
{
	struct pl_mixer_talker *best = NULL;
	for (uint8_t i = 0; i < m->talker_count; i++) {
		struct pl_mixer_talker *t = m->talker[i];
		if (t->is_sounding && !t->is_ending && !t->is_mixed &&
			(best == NULL || t->loudness_db > best->loudness_db))
			best = t;
	}
	return best;
}

static struct pl_mixer_talker *quietest_inside(const struct pl_mixer *m)
{
	struct pl_mixer_talker *worst = NULL;
	for (uint8_t i = 0; i < m->talker_count; i++) {
		struct pl_mixer_talker *t = m->talker[i];
		if (t->is_mixed && (worst == NULL || t->loudness_db < worst->loudness_db))
			worst = t;
	}
	return worst;
}

/* A place that is taken changes hands only for a voice that is clearly louder, for a while. */
static void challenge(struct pl_mixer *m, struct pl_mixer_talker *challenger)
{
	for (uint8_t i = 0; i < m->talker_count; i++) {
		if (m->talker[i] != challenger)
			m->talker[i]->louder_ticks = 0;
	}
	struct pl_mixer_talker *weakest = quietest_inside(m);
	const bool is_louder = challenger->loudness_db > weakest->loudness_db + PL_MIXER_MARGIN_DB;
	challenger->louder_ticks = is_louder ? (uint16_t)(challenger->louder_ticks + 1) : 0;
	if (challenger->louder_ticks < PL_MIXER_LOUDER_TICKS || weakest->held_ticks < PL_MIXER_HOLD_TICKS)
		return;
	set_mixed(m, weakest, false);
	set_mixed(m, challenger, true);
	m->pools->counters.displaced++;
}

static void choose(struct pl_mixer *m)
{
	uint8_t mixed = 0;
	for (uint8_t i = 0; i < m->talker_count; i++) {
		struct pl_mixer_talker *t = m->talker[i];
		if (t->is_mixed && (!t->is_sounding || t->is_ending))
			set_mixed(m, t, false);
		mixed = (uint8_t)(mixed + t->is_mixed);
	}
	struct pl_mixer_talker *t;
	for (; (t = loudest_outside(m)) != NULL && mixed < m->talkers_max; mixed++)
		set_mixed(m, t, true);
	if (t != NULL)
		challenge(m, t);
}

/* Collects the frames of the mix, faded in and out. */
static void gather(struct pl_mixer *m)
{
	struct pl_mixer_scratch *s = m->pools->scratch;
	const struct pl_dsp *dsp = m->pools->dsp;
	s->input_count = 0;
	for (uint8_t i = 0; i < m->talker_count; i++) {
		struct pl_mixer_talker *t = m->talker[i];
		/* A voice that has fallen silent has faded by itself. */
		if (t->is_sounding && (t->is_mixed || t->was_mixed)) {
			if (!t->was_mixed)
				dsp->ramp(t->pcm, 0, 1, PL_MIXER_RAMP);
			else if (!t->is_mixed)
				dsp->ramp(t->pcm, 1, 0, FRAME);
			s->input[s->input_count++] = (struct input){ t->pcm, t->source, seats[t->seat] };
			m->pools->counters.voices_mixed++;
		}
		m->pools->counters.exits += t->was_mixed && !t->is_mixed;
		t->was_mixed = t->is_mixed;
	}
}

/* The sum of all but a source (0: of all).  Always added in the same order, so that a listener who begins to talk has, to the last
 * bit, what it would have had without talking. */
static void sum_without(const struct pl_mixer *m, uint32_t source, float *out)
{
	const struct pl_mixer_scratch *s = m->pools->scratch;
	const float *in[PL_DSP_INPUTS_MAX];
	size_t count = 0;
	for (uint8_t i = 0; i < s->input_count; i++) {
		if (s->input[i].source == source)
			continue;
		if (count == PL_COUNT(in)) {
			m->pools->dsp->sum(out, in, count, FRAME);
			in[0] = out;
			count = 1;
		}
		in[count++] = s->input[i].pcm;
	}
	m->pools->dsp->sum(out, in, count, FRAME);
}

/* The same in stereo.  A voice is as loud as in mono on the side where it sits, and softer on the other. */
static void sum_wide_without(const struct pl_mixer *m, uint32_t source, float *out)
{
	struct pl_mixer_scratch *s = m->pools->scratch;
	memset(s->left, 0, sizeof s->left);
	memset(s->right, 0, sizeof s->right);
	for (uint8_t i = 0; i < s->input_count; i++) {
		const struct input *in = &s->input[i];
		const float left = in->side > 0 ? 1 - in->side : 1, right = in->side < 0 ? 1 + in->side : 1;
		if (in->source == source)
			continue;
		m->pools->dsp->add_ramp(s->left, in->pcm, left, left, FRAME);
		m->pools->dsp->add_ramp(s->right, in->pcm, right, right, FRAME);
	}
	for (size_t i = 0; i < FRAME; i++) {
		out[2 * i] = s->left[i];
		out[2 * i + 1] = s->right[i];
	}
}

static bool has_voice_without(const struct pl_mixer *m, uint32_t source)
{
	const struct pl_mixer_scratch *s = m->pools->scratch;
	for (uint8_t i = 0; i < s->input_count; i++) {
		if (s->input[i].source != source)
			return true;
	}
	return false;
}

/* ---- streams ---- */

static bool has_group(const struct pl_mixer *m, uint8_t group)
{
	return (m->groups >> group & 1) != 0;
}

static struct pl_mixer_stream *acquire_stream(struct pl_mixer *m)
{
	struct pl_mixer_stream *s = pl_blocks_acquire(&m->pools->encoders);
	m->pools->counters.encoders_full += s == NULL;
	return s;
}

static void release_stream(struct pl_mixer *m, struct pl_mixer_stream **s)
{
	if (*s != NULL)
		pl_blocks_release(&m->pools->encoders, *s);
	*s = NULL;
}

/* Has the stream know whether there is something to send, and makes it when it is needed for the first time. */
static void run_stream(struct pl_mixer *m, struct pl_mixer_stream **s, enum pl_mix_group group, bool has_voice)
{
	if (*s == NULL && has_voice) {
		*s = acquire_stream(m);
		if (*s != NULL)
			pl_mixer_stream_start(*s, m->pools->templates, group, m->step);
	}
	if (*s == NULL)
		return;
	pl_mixer_stream_run(*s, has_voice);
	if ((*s)->pause_ticks >= PL_MIXER_LINGER_TICKS)
		release_stream(m, s);
}

static void remove_own(struct pl_mixer *m, uint8_t i)
{
	release_stream(m, &m->own[i].stream);
	m->own[i] = m->own[--m->own_count];
}

/* The listener hears the shared stream from this tick on; a frame without prediction spares it the step between the two. */
static void return_own(struct pl_mixer *m, uint8_t i, bool is_quiet)
{
	struct pl_mixer_stream *shared = m->shared[m->own[i].group];
	if (shared != NULL)
		shared->wants_start = true;
	m->pools->counters.returned++;
	m->pools->counters.returned_loud += !is_quiet;
	remove_own(m, i);
}

static struct pl_mixer_own *find_own(struct pl_mixer *m, uint32_t source)
{
	for (uint8_t i = 0; i < m->own_count; i++) {
		if (m->own[i].source == source)
			return &m->own[i];
	}
	return NULL;
}

/* A stream of its own for a listener who enters the mix. */
static struct pl_mixer_own *add_own(struct pl_mixer *m, uint32_t source, uint8_t group)
{
	if (m->own_count == PL_MIXER_OWN_MAX) {
		uint8_t oldest = 0;
		for (uint8_t i = 1; i < m->own_count; i++) {
			if (m->own[i].out_ticks > m->own[oldest].out_ticks)
				oldest = i;
		}
		return_own(m, oldest, false);
	}
	struct pl_mixer_own *own = &m->own[m->own_count++];
	*own = (struct pl_mixer_own){ .source = source, .group = group };
	const struct pl_mixer_stream *shared = m->shared[group];
	if (shared != NULL && shared->is_running)
		own->stream = acquire_stream(m);
	if (own->stream != NULL) {
		pl_mixer_stream_copy(
			own->stream, shared, group == PL_MIX_STEREO ? &m->wide_limiter : &m->limiter, &m->decimate);
		m->pools->counters.copied++;
	}
	return own;
}

/* A listener in the mix has a stream of its own, in the group that it hears. */
static void tend_talker(struct pl_mixer *m, const struct pl_mixer_talker *t)
{
	struct pl_mixer_own *own = find_own(m, t->source);
	const uint8_t group = (uint8_t)(t->mix_group - 1);
	const bool is_listener = t->mix_group > 0 && has_group(m, group);
	if (own != NULL && (!is_listener || own->group != group)) {
		remove_own(m, (uint8_t)(own - m->own));
		own = NULL;
	}
	if (own == NULL && is_listener)
		own = add_own(m, t->source, group);
	if (own != NULL)
		own->out_ticks = 0;
}

/* Before anything is encoded: the shared streams are as their listeners know them. */
static void tend_own(struct pl_mixer *m)
{
	for (uint8_t i = 0; i < m->own_count; i++) {
		if (m->own[i].out_ticks < UINT16_MAX)
			m->own[i].out_ticks++;
	}
	for (uint8_t i = 0; i < m->talker_count; i++) {
		if (m->talker[i]->is_mixed)
			tend_talker(m, m->talker[i]);
	}
}

/* The total, and what is known of it. */
static bool mix(struct pl_mixer *m)
{
	struct pl_mixer_scratch *s = m->pools->scratch;
	sum_without(m, 0, s->total);
	pl_limiter_apply(&m->limiter, m->pools->dsp, s->total, FRAME);
	const struct pl_dsp_level level = pl_dsp_measure(m->pools->dsp, s->total, FRAME);
	s->level = level.level;
	s->has_narrow = false;
	const float db = level.rms > 1e-6F ? 20 * log10f(level.rms) : SILENCE_DB;
	m->loudness_db = db > m->loudness_db ? db : m->loudness_db - MIX_FALL_DB;
	return db < QUIET_DB || db < m->loudness_db - QUIET_BELOW_DB;
}

/* Who has been out of the mix long enough hears the shared stream again. */
static void return_listeners(struct pl_mixer *m, bool is_quiet)
{
	for (uint8_t i = m->own_count; i-- > 0;) {
		const struct pl_mixer_own *own = &m->own[i];
		const bool is_good = is_quiet || own->stream == NULL || !own->stream->is_running;
		if (own->out_ticks >= (is_good ? PL_MIXER_RETURN_TICKS : PL_MIXER_RETURN_TICKS_MAX))
			return_own(m, i, is_good);
	}
}

void pl_mixer_groups(struct pl_mixer *m, uint8_t groups, uint8_t fresh)
{
	m->groups = groups;
	for (uint8_t i = 0; i < PL_MIX_GROUPS; i++) {
		if (!has_group(m, i))
			release_stream(m, &m->shared[i]);
		else if ((fresh >> i & 1) != 0 && m->shared[i] != NULL)
			m->shared[i]->wants_start = true;
	}
	for (uint8_t i = m->own_count; i-- > 0;) {
		if (!has_group(m, m->own[i].group))
			remove_own(m, i);
		else if ((fresh >> m->own[i].group & 1) != 0 && m->own[i].stream != NULL)
			m->own[i].stream->wants_start = true; /* a talker may be the one who joined */
	}
	while (m->groups == 0 && m->talker_count > 0)
		remove_talker(m, 0);
}

/* ---- a tick ---- */

static void forget_silent(struct pl_mixer *m)
{
	for (uint8_t i = m->talker_count; i-- > 0;) {
		if (m->talker[i]->is_ending || m->talker[i]->silent_ticks >= PL_MIXER_LINGER_TICKS)
			remove_talker(m, i);
	}
}

void pl_mixer_tick(struct pl_mixer *m, int64_t now_us, uint32_t tick, const struct pl_mixer_load *load)
{
	struct pl_mixer_scratch *s = m->pools->scratch;
	PL_ASSERT(s->owner == NULL && load->step < PL_MIXER_LOAD_STEPS);
	m->tick = tick;
	m->step = load->step;
	m->pools->counters.ticks++;

	pull(m, now_us);
	choose(m);
	gather(m);
	tend_own(m);
	const bool is_quiet = mix(m);
	return_listeners(m, is_quiet);
	for (uint8_t i = 0; i < PL_MIX_GROUPS; i++) {
		if (has_group(m, i))
			run_stream(m, &m->shared[i], i, s->input_count > 0);
	}
	for (uint8_t i = 0; i < m->own_count; i++)
		run_stream(m, &m->own[i].stream, m->own[i].group, has_voice_without(m, m->own[i].source));
	forget_silent(m);
	m->next = 0;
	s->owner = m;
}

/* ---- packets ---- */

/* The samples of a shared stream. */
static const float *shared_samples(struct pl_mixer *m, const struct pl_mixer_stream *stream)
{
	struct pl_mixer_scratch *s = m->pools->scratch;
	if (stream->group == PL_MIX_STEREO) {
		if (stream->is_first)
			pl_limiter_init(&m->wide_limiter, PL_OPUS_CLOCK_HZ, 2);
		sum_wide_without(m, 0, s->wide);
		pl_limiter_apply(&m->wide_limiter, m->pools->dsp, s->wide, 2 * FRAME);
		return s->wide;
	}
	if (!pl_mixer_stream_is_narrow(stream->group))
		return s->total;
	if (!s->has_narrow) {
		if (m->narrow_tick + 1 != m->tick)
			pl_decimate_init(&m->decimate);
		pl_decimate(&m->decimate, s->total, FRAME, s->narrow);
		m->narrow_tick = m->tick;
		s->has_narrow = true;
	}
	return s->narrow;
}

/* Those of a talker's own, and how loud they are. */
static const float *own_samples(struct pl_mixer *m, const struct pl_mixer_own *own, uint8_t *level)
{
	struct pl_mixer_scratch *s = m->pools->scratch;
	const struct pl_dsp *dsp = m->pools->dsp;
	const bool is_wide = own->group == PL_MIX_STEREO;
	float *samples = is_wide ? s->wide : s->own;
	const size_t count = is_wide ? 2 * FRAME : FRAME;
	if (own->stream->is_first)
		pl_limiter_init(&own->stream->limiter, PL_OPUS_CLOCK_HZ, is_wide ? 2 : 1);
	if (is_wide)
		sum_wide_without(m, own->source, samples);
	else
		sum_without(m, own->source, samples);
	pl_limiter_apply(&own->stream->limiter, dsp, samples, count);
	*level = pl_dsp_measure(dsp, samples, count).level;
	if (!pl_mixer_stream_is_narrow(own->group))
		return samples;
	pl_decimate(&own->stream->decimate, samples, FRAME, s->own_narrow);
	return s->own_narrow;
}

static void list_sources(const struct pl_mixer *m, struct pl_mix *mix)
{
	const struct pl_mixer_scratch *s = m->pools->scratch;
	mix->csrc_count = 0;
	for (uint8_t i = 0; i < s->input_count && mix->csrc_count < PL_MIX_CSRC_MAX; i++) {
		bool is_new = s->input[i].source != mix->only;
		for (uint8_t k = 0; k < mix->csrc_count; k++)
			is_new = is_new && mix->csrc[k] != s->input[i].source;
		if (is_new)
			mix->csrc[mix->csrc_count++] = s->input[i].source;
	}
}

static void list_excepted(const struct pl_mixer *m, uint8_t group, struct pl_mix *mix)
{
	mix->except_count = 0;
	for (uint8_t i = 0; i < m->own_count; i++) {
		if (m->own[i].group == group)
			mix->except[mix->except_count++] = m->own[i].source;
	}
}

/* What its packets of this tick are made of. */
static void begin_stream(struct pl_mixer *m, struct pl_mixer_stream *stream, const struct pl_mixer_own *own)
{
	struct pl_mixer_scratch *s = m->pools->scratch;
	s->stream.level = s->level;
	s->stream.pcm = own != NULL ? own_samples(m, own, &s->stream.level) : shared_samples(m, stream);
	s->stream.is_start = pl_mixer_stream_takes_start(stream, m->tick);
	m->pools->counters.starts += s->stream.is_start && !pl_mixer_stream_is_narrow(stream->group);
}

static void write_packet(
	struct pl_mixer *m, struct pl_mixer_stream *stream, const struct pl_mixer_own *own, struct pl_packet *out)
{
	struct pl_mixer_counters *counters = &m->pools->counters;
	const struct pl_mixer_scratch *s = m->pools->scratch;
	const uint32_t clock = pl_mixer_stream_clock(stream->group),
		       at = m->packet * pl_mixer_stream_samples(stream->group);
	out->mix.only = own != NULL ? own->source : 0;
	out->mix.is_start = s->stream.is_start && m->packet == 0;
	list_sources(m, &out->mix);
	if (own == NULL)
		list_excepted(m, stream->group, &out->mix);
	else
		out->mix.except_count = 0;
	out->source = 0;
	out->track = PL_MIX_TRACK(stream->group);
	out->ssrc = m->ssrc;
	out->ts = m->tick * clock + at;
	out->seq = 0;
	out->marker = stream->is_first && m->packet == 0;
	out->has_level = true;
	out->level = s->stream.level;
	out->is_voice = out->mix.csrc_count > 0;
	out->payload = (struct pl_bytes){ out->data,
		pl_mixer_stream_encode(stream, m->step, s->stream.pcm + at, out->mix.is_start,
			(struct pl_span){ out->data, sizeof out->data }) };
	counters->encoded_shared += own == NULL;
	counters->encoded_own += own != NULL;
}

bool pl_mixer_next(struct pl_mixer *m, struct pl_packet *out)
{
	if (m->next == DRAINED)
		return false;
	PL_ASSERT(m->pools->scratch->owner == m);
	while (m->next < PL_MIX_GROUPS + m->own_count) {
		const uint8_t i = m->next;
		const struct pl_mixer_own *own = i >= PL_MIX_GROUPS ? &m->own[i - PL_MIX_GROUPS] : NULL;
		struct pl_mixer_stream *stream = own != NULL ? own->stream : m->shared[i];
		if (stream == NULL || !stream->is_running) {
			m->next++;
			continue;
		}
		if (m->packet == 0)
			begin_stream(m, stream, own);
		write_packet(m, stream, own, out);
		if (++m->packet == pl_mix_packets(stream->group)) {
			m->packet = 0;
			m->next++;
		}
		return true;
	}
	m->next = DRAINED;
	m->pools->scratch->owner = NULL;
	return false;
}

bool pl_mixer_is_idle(const struct pl_mixer *m)
{
	if (m->talker_count > 0 || m->own_count > 0)
		return false;
	for (uint8_t i = 0; i < PL_MIX_GROUPS; i++) {
		if (m->shared[i] != NULL)
			return false;
	}
	return true;
}
