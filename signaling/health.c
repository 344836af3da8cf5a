#include "signaling/health.h"

#include "signaling/text.h"

enum { SURE = 2 /* looks */ };

void pl_health_init(struct pl_health *health, int64_t deaf_max_us)
{
	*health = (struct pl_health){ .deaf_max_us = deaf_max_us, .told_mode = PL_CANARY_NEW };
	health->canary.deaf_since_us = INT64_MAX;
}

static bool is_hung(const struct pl_health *health)
{
	return health->hangs >= SURE;
}

static enum pl_health_news news_of_canary(struct pl_health *health)
{
	const uint64_t mode = health->canary.mode, told = health->told_mode;
	if (mode == told || mode == PL_CANARY_OFF || mode == PL_CANARY_NEW)
		return PL_HEALTH_NO_NEWS;
	health->told_mode = mode;
	if (mode == PL_CANARY_DEAF)
		return PL_HEALTH_DEAF;
	if (mode == PL_CANARY_IMPAIRED)
		return PL_HEALTH_IMPAIRED;
	if (mode == PL_CANARY_STALLED)
		return PL_HEALTH_CANARY_STALLED;
	if (mode == PL_CANARY_UNABLE)
		return PL_HEALTH_UNABLE;
	if (mode == PL_CANARY_MISTRUSTED)
		return PL_HEALTH_MISTRUSTED;
	return told == PL_CANARY_NEW ? PL_HEALTH_NO_NEWS : PL_HEALTH_HEARS_AGAIN;
}

void pl_health_look(struct pl_health *health, const struct pl_sfu_stall *stall, const struct pl_canary_report *canary)
{
	if (stall == NULL)
		health->hangs = 0;
	else if (health->hangs < SURE)
		health->hangs++;
	if (stall != NULL)
		health->stall = *stall;
	health->canary = *canary;
	health->deaf_us = pl_canary_deaf_us(canary);
}

enum pl_health_news pl_health_next(struct pl_health *health)
{
	if (is_hung(health) != health->has_told_hang) {
		health->has_told_hang = is_hung(health);
		return health->has_told_hang ? PL_HEALTH_HANGS : PL_HEALTH_TURNS_AGAIN;
	}
	return news_of_canary(health);
}

void pl_health_name_thread(const struct pl_sfu_stall *stall, char text[static PL_HEALTH_TEXT_SIZE])
{
	struct pl_text w = pl_text_begin(text, PL_HEALTH_TEXT_SIZE);
	pl_text_put(&w, "%s %zu", stall->is_worker ? "codec worker" : "media thread", stall->index);
}

bool pl_health_write(const struct pl_health *health, char text[static PL_HEALTH_TEXT_SIZE])
{
	struct pl_text w = pl_text_begin(text, PL_HEALTH_TEXT_SIZE);
	const bool is_deaf = health->deaf_us >= health->deaf_max_us;
	if (is_hung(health)) {
		char name[PL_HEALTH_TEXT_SIZE];
		pl_health_name_thread(&health->stall, name);
		pl_text_put(&w, "%s hangs, for %lld s now\n", name, (long long)(health->stall.for_us / 1000000));
	}
	if (is_deaf)
		pl_text_put(&w, "the canary is deaf on media thread %u, for %lld s now: %s\n",
			(unsigned)health->canary.shard, (long long)(health->deaf_us / 1000000),
			pl_canary_fault_text((enum pl_canary_fault)health->canary.fault));
	if (w.used == 0)
		pl_text_put(&w, "ok\n");
	return !is_hung(health) && !is_deaf;
}
