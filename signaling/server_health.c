/* Once a second: does the media plane live (signaling/health.h)?  Its news go to the log, the answer waits for /live. */
#include "signaling/log.h"
#include "signaling/server_internal.h"

static void tell(const struct pl_health *health, enum pl_health_news news)
{
	char thread[PL_HEALTH_TEXT_SIZE];
	const char *why = pl_canary_fault_text((enum pl_canary_fault)health->canary.fault);
	pl_health_name_thread(&health->stall, thread);
	switch (news) {
	case PL_HEALTH_NO_NEWS:
		break;
	case PL_HEALTH_HANGS:
		pl_log(PL_LOG_ERROR, "a thread hangs", PL_LOG_TEXT("thread", thread),
			PL_LOG_NUMBER("for_s", health->stall.for_us / 1000000));
		break;
	case PL_HEALTH_TURNS_AGAIN:
		pl_log(PL_LOG_INFO, "a thread hangs no longer", PL_LOG_TEXT("thread", thread));
		break;
	case PL_HEALTH_DEAF:
		pl_log(PL_LOG_WARNING, "the canary is deaf", PL_LOG_NUMBER("shard", health->canary.shard),
			PL_LOG_TEXT("why", why));
		break;
	case PL_HEALTH_IMPAIRED:
		pl_log(PL_LOG_WARNING, "the canary hears badly", PL_LOG_NUMBER("shard", health->canary.shard),
			PL_LOG_TEXT("why", why));
		break;
	case PL_HEALTH_HEARS_AGAIN:
		pl_log(PL_LOG_INFO, "the canary hears itself", PL_LOG_NUMBER("shard", health->canary.shard));
		break;
	case PL_HEALTH_UNABLE:
		pl_log(PL_LOG_WARNING, "the canary has no sockets or no memory, and tries on");
		break;
	case PL_HEALTH_CANARY_STALLED:
		pl_log(PL_LOG_WARNING, "the canary's thread stands still, and nobody listens");
		break;
	case PL_HEALTH_MISTRUSTED:
		pl_log(PL_LOG_WARNING,
			"the canary has never heard itself and is off; does a firewall keep UDP off the loopback "
			"interface?",
			PL_LOG_TEXT("why", why));
		break;
	}
}

static void look(struct pl_server *server)
{
	struct pl_canary_report canary;
	struct pl_sfu_stall stall;
	enum pl_health_news news;
	const bool hangs = pl_sfu_stalled(server->sfu, PL_HEALTH_HUNG_US, &stall);
	pl_sfu_canary(server->sfu, &canary);
	pl_health_look(&server->health, hangs ? &stall : NULL, &canary);
	while ((news = pl_health_next(&server->health)) != PL_HEALTH_NO_NEWS)
		tell(&server->health, news);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_server *server = timer->data;
	look(server);
	pl_loop_set_timer(server, &server->health_timer, pl_server_now_us() + PL_HEALTH_LOOK_US);
}

void pl_server_health_init(struct pl_server *server)
{
	pl_health_init(&server->health, server->config->canary_deaf_s * INT64_C(1000000));
	pl_loop_init_timer(server, &server->health_timer, on_timer);
	pl_loop_set_timer(server, &server->health_timer, pl_server_now_us() + PL_HEALTH_LOOK_US);
}
