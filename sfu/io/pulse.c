#include "sfu/io/pulse.h"

#include <time.h>

#include "sfu/io/clock.h"

static uint64_t thread_cpu_us(void)
{
	struct timespec cpu;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	return (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000;
}

void pl_pulse_init(struct pl_pulse *pulse)
{
	memset(pulse, 0, sizeof *pulse);
	atomic_init(&pulse->due_us, INT64_MAX);
}

void pl_pulse_start(struct pl_pulse *pulse, int64_t now_us)
{
	pulse->began_us = pulse->turn_us = now_us;
	pulse->cpu_began_us = thread_cpu_us();
	atomic_store_explicit(&pulse->told_us, now_us, memory_order_relaxed);
	atomic_store_explicit(&pulse->due_us, now_us, memory_order_relaxed);
}

static uint64_t permille_of(uint64_t part, uint64_t whole)
{
	return part >= whole ? 1000 : part * 1000 / whole;
}

uint64_t pl_pulse_tell(struct pl_pulse *pulse, int64_t now_us, uint64_t pool_permille)
{
	const uint64_t window_us = now_us > pulse->began_us ? (uint64_t)(now_us - pulse->began_us) : 1;
	const uint64_t asleep_us = (uint64_t)pulse->asleep_us;
	const uint64_t busy_us = asleep_us < window_us ? window_us - asleep_us : 0;
	const uint64_t cpu_us = thread_cpu_us(), p99_us = pl_histogram_quantile_us(&pulse->late, 990);
	const uint64_t late_max_us = (uint64_t)pulse->late_max_us;
	const uint64_t deferred_us = pulse->deferred_us < busy_us ? pulse->deferred_us : busy_us;
	pulse->busy_us += busy_us;
	pulse->deferred_ever_us += deferred_us;
	pl_histogram_add(&pulse->late_ever, &pulse->late);
	const struct pl_load load = {
		.window_us = window_us,
		.turns = pulse->turns,
		.busy_permille = permille_of(busy_us, window_us),
		.deferred_permille = permille_of(deferred_us, window_us),
		.cpu_permille = permille_of(cpu_us - pulse->cpu_began_us, window_us),
		.late_p99_us = p99_us < late_max_us ? p99_us : late_max_us,
		.late_max_us = late_max_us,
		.ring_permille = pulse->ring_permille,
		.pool_permille = pool_permille,
		.busy_us = pulse->busy_us,
		.deferred_us = pulse->deferred_ever_us,
		.cpu_us = cpu_us,
	};
	pl_published_write(pulse->told, &load, sizeof load);
	atomic_store_explicit(&pulse->told_us, now_us, memory_order_relaxed);
	pulse->began_us = now_us;
	pulse->asleep_us = pulse->late_max_us = 0;
	pulse->turns = pulse->ring_permille = pulse->deferred_us = 0;
	pulse->cpu_began_us = cpu_us;
	pulse->late = (struct pl_histogram){ 0 };
	return load.busy_permille - load.deferred_permille;
}

void pl_pulse_read(const struct pl_pulse *pulse, int64_t now_us, struct pl_load *load)
{
	pl_pulse_read_due(pulse, now_us, pl_pulse_due_us(pulse), load);
}

void pl_pulse_read_due(const struct pl_pulse *pulse, int64_t now_us, int64_t due_us, struct pl_load *load)
{
	const int64_t told_us = atomic_load_explicit(&pulse->told_us, memory_order_relaxed);
	pl_published_read(pulse->told, load, sizeof *load);
	load->age_us = now_us > told_us ? (uint64_t)(now_us - told_us) : 0;
	if (load->age_us < 2 * PL_LOAD_PERIOD_US)
		return;
	const bool hangs = due_us < now_us - PL_LOAD_PERIOD_US;
	const uint64_t late_us = hangs ? (uint64_t)(now_us - due_us) : 0;
	load->window_us = load->age_us;
	load->turns = 0;
	load->busy_permille = hangs ? 1000 : 0;
	load->cpu_permille = load->deferred_permille = 0;
	load->late_p99_us = load->late_max_us = late_us;
	if (!hangs)
		load->ring_permille = 0;
}
