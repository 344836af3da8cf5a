/* The admin API, the half that reaches the media plane: what it is asked and answered is signaling/front_admin.h's. */
#include <stdio.h>

#include "media/opus.h"
#include "signaling/log.h"
#include "signaling/server_internal.h"

static void show(const struct pl_server *server, struct pl_front_admin_answer *answer)
{
	struct pl_front_admin_worker worker[PL_WORKERS_MAX];
	const struct pl_front_admin_media media = {
		.simd = server->simd,
		.opus = pl_opus_version(),
		.pressure_level = pl_sfu_forced_level(server->sfu),
		.worker_count = pl_sfu_worker_count(server->sfu),
		.worker = worker,
	};
	for (size_t i = 0; i < media.worker_count; i++) {
		struct pl_sfu_worker_counters now;
		pl_sfu_worker_counters(server->sfu, i, &now);
		worker[i] = (struct pl_front_admin_worker){
			.rooms = now.codec.rooms,
			.voices = now.codec.voices,
			.encoders = now.codec.encoders,
			.load = (uint32_t)now.load,
			.load_step = pl_sfu_load_step(server->sfu, i),
			.steps = now.codec.steps,
			.late = now.codec.late,
		};
	}
	pl_front_admin_show(&media, answer);
}

/* pl_front_admin_read has asked whether this machine has it. */
static void set_simd(struct pl_server *server, enum pl_simd simd)
{
	const bool is_set = pl_sfu_set_simd(server->sfu, simd);
	PL_ASSERT(is_set);
	server->simd = pl_dsp_get(simd)->level;
	pl_log(PL_LOG_WARNING, "the admin API has changed the instructions that mix",
		PL_LOG_TEXT("simd", pl_simd_text(server->simd)));
}

/* pl_front_admin_read has asked whether there is such a worker and step. */
static void set_load_step(struct pl_server *server, size_t worker, uint8_t step)
{
	const bool is_set = pl_sfu_set_load_step(server->sfu, worker, step);
	PL_ASSERT(is_set);
	char whose[24] = "all";
	if (worker != PL_SFU_ALL_WORKERS)
		snprintf(whose, sizeof whose, "%zu", worker);
	pl_log(PL_LOG_WARNING, "the admin API has changed how hard encoders work", PL_LOG_TEXT("worker", whose),
		PL_LOG_NUMBER("load_step", step));
}

static void force_level(struct pl_server *server, uint8_t level)
{
	pl_sfu_force_level(server->sfu, level);
	pl_log(PL_LOG_WARNING, "the admin API has changed how much is taken away under load",
		PL_LOG_TEXT("pressure_level", level < PL_PRESSURE_LEVELS ? pl_pressure_level_name(level) : "auto"));
}

void pl_admin_answer(
	struct pl_server *server, const struct pl_front_http_request *http, struct pl_front_admin_answer *answer)
{
	struct pl_front_admin_wish wish;
	if (!pl_front_admin_read(server->front, pl_server_now_us(), http, &wish, answer))
		return;
	if (wish.has_drain)
		pl_server_drain(server,
			wish.drain_s == PL_ADMIN_DRAIN_DEFAULT ? server->config->drain_deadline_s : wish.drain_s);
	if (wish.is_about_drain) {
		const int64_t left_us = server->drained_us - pl_server_now_us();
		pl_front_admin_show_drain(server->front, server->is_draining, left_us > 0 ? left_us / 1000 : 0, answer);
		return;
	}
	if (wish.has_simd)
		set_simd(server, wish.simd);
	if (wish.has_load_step)
		set_load_step(server, wish.worker, wish.load_step);
	if (wish.has_pressure_level)
		force_level(server, wish.pressure_level);
	show(server, answer);
}
