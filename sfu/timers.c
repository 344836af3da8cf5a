#include "sfu/timers.h"

void pl_timers_init(struct pl_timers *timers, struct pl_timer **heap, size_t count_max)
{
	*timers = (struct pl_timers){ .heap = heap, .count_max = count_max };
}

static void put(struct pl_timers *timers, struct pl_timer *timer, size_t place)
{
	timers->heap[place] = timer;
	timer->place = place;
}

/* Finds the timer its place, from place upwards or downwards. */
static void sift(struct pl_timers *timers, struct pl_timer *timer, size_t place)
{
	for (; place > 1 && timers->heap[place / 2]->at_us > timer->at_us; place /= 2)
		put(timers, timers->heap[place / 2], place);
	for (size_t child = place * 2; child <= timers->count; child = place * 2) {
		if (child < timers->count && timers->heap[child + 1]->at_us < timers->heap[child]->at_us)
			child++;
		if (timers->heap[child]->at_us >= timer->at_us)
			break;
		put(timers, timers->heap[child], place);
		place = child;
	}
	put(timers, timer, place);
}

static void clear(struct pl_timers *timers, struct pl_timer *timer)
{
	if (timer->place == 0)
		return;
	struct pl_timer *last = timers->heap[timers->count--];
	if (last != timer)
		sift(timers, last, timer->place);
	timer->place = 0;
}

void pl_timers_set(struct pl_timers *timers, struct pl_timer *timer, int64_t at_us)
{
	if (at_us == INT64_MAX) {
		clear(timers, timer);
		return;
	}
	if (timer->place != 0 && timer->at_us == at_us)
		return;
	timer->at_us = at_us;
	if (timer->place == 0) {
		PL_ASSERT(timers->count < timers->count_max);
		timer->place = ++timers->count;
	}
	sift(timers, timer, timer->place);
}

int64_t pl_timers_deadline(const struct pl_timers *timers)
{
	return timers->count > 0 ? timers->heap[1]->at_us : INT64_MAX;
}

struct pl_timer *pl_timers_take(struct pl_timers *timers, int64_t now_us)
{
	if (pl_timers_deadline(timers) > now_us)
		return NULL;
	struct pl_timer *timer = timers->heap[1];
	clear(timers, timer);
	return timer;
}
