#include "signaling/front_rates.h"

enum { MINUTE_US = 60000000 };

struct pl_front_rate *pl_front_rates_find(struct pl_front_rates *rates, int64_t now_us, uint64_t who)
{
	struct pl_front_rate *set = rates->rate[who % PL_FRONT_RATE_SETS];
	struct pl_front_rate *fullest = &set[0];
	for (size_t i = 0; i < PL_FRONT_RATE_WAYS; i++) {
		if (set[i].who == who)
			return &set[i];
		if (set[i].full_us < fullest->full_us)
			fullest = &set[i];
	}
	rates->displaced += fullest->full_us > now_us;
	*fullest = (struct pl_front_rate){ .who = who };
	return fullest;
}

int64_t pl_front_rate_wait_us(const struct pl_front_rate *rate, int64_t now_us, uint32_t per_minute)
{
	PL_ASSERT(per_minute > 0);
	const int64_t price_us = MINUTE_US / per_minute;
	const int64_t owed_us = rate->full_us > now_us ? rate->full_us - now_us : 0;
	const int64_t allowed_us = price_us * (per_minute - 1);
	return owed_us > allowed_us ? owed_us - allowed_us : 0;
}

void pl_front_rate_take(struct pl_front_rate *rate, int64_t now_us, uint32_t per_minute)
{
	PL_ASSERT(per_minute > 0);
	if (rate->full_us < now_us)
		rate->full_us = now_us;
	rate->full_us += MINUTE_US / per_minute;
}
