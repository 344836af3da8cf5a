#include "sfu/strain.h"

/* The worst counts. */
static void offer(struct pl_pressure_sample *sample, enum pl_pressure_input input, struct pl_pressure_reading reading)
{
	struct pl_pressure_reading *worst = &sample->input[input];
	const uint8_t number = (uint8_t)input;
	if (worst->whole == 0 ||
		pl_pressure_reading_permille(number, &reading) > pl_pressure_reading_permille(number, worst))
		*worst = reading;
}

static void offer_permille(
	struct pl_pressure_sample *sample, enum pl_pressure_input input, uint64_t permille, bool is_shared)
{
	offer(sample, input, (struct pl_pressure_reading){ .part = permille, .whole = 1000, .is_shared = is_shared });
}

/* It has been in one turn, or has not been let run, for two windows. */
static bool hangs(const struct pl_load *load)
{
	return load->turns == 0 && load->busy_permille == 1000;
}

/* So long that it was not only kept from a processor. */
static bool stands_still(const struct pl_load *load)
{
	return hangs(load) && load->late_p99_us >= PL_STRAIN_HANG_US;
}

/* What it is late with, or busy with, is its own work, and less of that would help. */
static bool is_own(const struct pl_strain *strain, const struct pl_load *load)
{
	return hangs(load) ? stands_still(load) : strain->own.is_own;
}

/* A thread at rest tells seldom, and what it told once is not the load of now.  True: this window was not looked at before. */
static bool take_window(struct pl_strain *strain, int64_t now_us, const struct pl_load *load)
{
	const int64_t before_us = strain->told_us;
	strain->told_us = now_us - (int64_t)load->age_us;
	const bool is_new = strain->told_us != before_us || hangs(load);
	if (is_new)
		pl_own_work_feed(&strain->own, load);
	return is_new;
}

/* A window may be there for two looks, and is still one: then as busy as it and the one before it were. */
static uint64_t busy_of(struct pl_strain *strain, uint64_t work_permille, bool is_new_window)
{
	if (is_new_window) {
		strain->before_permille = strain->work_permille;
		strain->work_permille = work_permille;
		return work_permille;
	}
	return work_permille < strain->before_permille ? work_permille : strain->before_permille;
}

static void offer_fill(struct pl_pressure_sample *sample, const struct pl_load *load, bool is_new_window)
{
	offer_permille(sample, PL_PRESSURE_POOL, is_new_window ? load->pool_permille : 0, false);
	offer_permille(sample, PL_PRESSURE_RING, is_new_window ? load->ring_permille : 0, false);
}

/* Of a few turns one that was late says nothing. */
static uint64_t late_us_of(const struct pl_load *load, bool is_new_window)
{
	const bool is_counted = load->turns >= PL_STRAIN_LATE_TURNS_MIN || hangs(load);
	return is_counted && is_new_window ? load->late_p99_us : 0;
}

void pl_strain_add_shard(struct pl_pressure_sample *sample, struct pl_strain *strain, int64_t now_us,
	const struct pl_load *load, uint64_t came, uint64_t dropped)
{
	const bool is_new_window = take_window(strain, now_us, load);
	const uint64_t work_permille = pl_load_work_permille(load);
	sample->has_stall |= stands_still(load);
	offer_permille(
		sample, PL_PRESSURE_SHARD_BUSY, busy_of(strain, work_permille, is_new_window), !is_own(strain, load));
	offer(sample, PL_PRESSURE_SHARD_LATE,
		(struct pl_pressure_reading){
			.part = late_us_of(load, is_new_window),
			.whole = PL_STRAIN_LATE_US,
			.is_shared = work_permille < PL_STRAIN_OWN_PERMILLE || !is_own(strain, load),
		});
	offer_permille(
		sample, PL_PRESSURE_RECEIVE_QUEUE, pl_rate_feed(&strain->rate, 1, dropped, came + dropped), false);
	offer_fill(sample, load, is_new_window);
}

void pl_strain_add_worker(struct pl_pressure_sample *sample, struct pl_strain *strain, int64_t now_us,
	const struct pl_load *load, uint64_t steps, uint64_t late)
{
	const bool is_new_window = take_window(strain, now_us, load);
	const uint32_t late_permille = pl_rate_feed(&strain->rate, 1, late, steps);
	sample->has_stall |= stands_still(load);
	/* One that hangs counts none of the ticks that it misses. */
	offer_permille(sample, PL_PRESSURE_CODEC_LATE, hangs(load) ? 1000 : late_permille,
		load->busy_permille < PL_STRAIN_OWN_PERMILLE || !is_own(strain, load));
	offer_fill(sample, load, is_new_window);
}

void pl_strain_add_others(
	struct pl_pressure_sample *sample, struct pl_rate *rate, uint8_t periods, uint64_t came, uint64_t dropped)
{
	if (came + dropped > 0)
		offer_permille(
			sample, PL_PRESSURE_RECEIVE_QUEUE, pl_rate_feed(rate, periods, dropped, came + dropped), true);
}
