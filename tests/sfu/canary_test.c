/* sfu/canary: it hears itself where people would, and says what is wrong where they would not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/canary.h"
#include "tests/sim/conference_sim_state.h"

enum { PORT = 5000, SECOND_US = 1000000 };

static struct {
	struct pl_sim *sim;
	struct pl_network *air; /* from the server to the canary */
	struct pl_network_link out, back;
	struct pl_canary *canary;
	void *memory, *templates_memory;
	struct pl_opus_templates *templates;
	bool is_frozen; /* the shard does nothing */
	bool has_room;  /* for commands */
	uint32_t joins, leaves;
	int64_t pause_us; /* the canary's thread gets no CPU for so long, once */
	struct pl_canary_verdict verdict;
	bool has_verdict;
	int64_t verdict_us;
} w;

static void draw(void *context, void *bytes, size_t size)
{
	struct pl_sim *sim = context;
	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)pl_rng_next(&sim->rng);
}

static void *aligned_memory(size_t size)
{
	void *memory = aligned_alloc(64, pl_whole_lines(size));
	assert_non_null(memory);
	return memory;
}

static void begin(const struct pl_sim_config *config)
{
	memset(&w, 0, sizeof w);
	w.has_room = true;
	w.out.delay_us = w.back.delay_us = 5000;
	w.sim = pl_sim_create(config);
	w.air = pl_network_create(config->seed, 4096);
	w.templates_memory = aligned_memory(pl_opus_templates_bytes());
	assert_int_equal(
		pl_opus_templates_init(&w.templates, (struct pl_span){ w.templates_memory, pl_opus_templates_bytes() }),
		PL_ERR_NONE);
	w.memory = aligned_memory(pl_canary_bytes());
	const struct pl_canary_config canary = {
		.identity = w.sim->server_identity,
		.fingerprint = pl_dtls_identity_fingerprint(w.sim->server_identity),
		.srtp = w.sim->server_srtp,
		.templates = w.templates,
		.has_mix = config->workers > 0,
		.random = draw,
		.random_context = w.sim,
	};
	pl_canary_init(&w.canary, &canary, (struct pl_span){ w.memory, pl_canary_bytes() });
}

static void end(void)
{
	pl_canary_abandon(w.canary);
	pl_network_destroy(&w.air);
	pl_sim_destroy(&w.sim);
	free(w.memory);
	free(w.templates_memory);
}

static struct pl_addr perch(uint8_t bird)
{
	return pl_addr_ipv4(0xc6336401, (uint16_t)(PORT + bird));
}

static void obey(const struct pl_command *command)
{
	if (!w.has_room) {
		pl_canary_refused(w.canary);
		return;
	}
	w.joins += command->kind == PL_COMMAND_JOIN;
	w.leaves += command->kind == PL_COMMAND_LEAVE;
	if (!w.is_frozen)
		pl_sim_server_command(w.sim, command);
}

static void drain(void)
{
	struct pl_canary_output o;
	while (pl_canary_next(w.canary, w.sim->now_us, &o)) {
		if (o.kind == PL_CANARY_COMMAND) {
			obey(&o.command);
		} else if (o.kind == PL_CANARY_SEND) {
			const struct pl_path path = { .local = perch(o.bird), .remote = pl_sim_server_addr(0) };
			pl_network_send(w.sim->network, w.sim->now_us, &w.out, &path, o.datagram);
		} else {
			w.verdict = o.verdict;
			w.has_verdict = true;
			w.verdict_us = w.sim->now_us;
		}
	}
}

static void deliver(void)
{
	struct pl_path path;
	struct pl_bytes datagram;
	while (pl_network_receive(w.sim->network, w.sim->now_us, &path, &datagram)) {
		const struct pl_addr server = pl_sim_server_addr(0);
		const struct pl_path on = { .local = path.remote, .remote = path.local };
		if (!pl_addr_equal(&path.local, &server))
			pl_network_send(w.air, w.sim->now_us, &w.back, &on, datagram);
		else if (!w.is_frozen)
			pl_sim_server_feed(w.sim, &path, datagram);
	}
	while (pl_network_receive(w.air, w.sim->now_us, &path, &datagram)) {
		pl_canary_feed(w.canary, w.sim->now_us, (uint8_t)(path.local.port - PORT), datagram);
		drain();
	}
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void step(int64_t until_us)
{
	deliver();
	if (!w.is_frozen)
		pl_sim_server_run(w.sim);
	if (pl_canary_deadline(w.canary) + w.pause_us <= w.sim->now_us) {
		w.pause_us = 0;
		pl_canary_tick(w.canary, w.sim->now_us);
	}
	drain();
	int64_t at_us = earlier(until_us, pl_network_deadline(w.sim->network));
	at_us = earlier(at_us, pl_network_deadline(w.air));
	if (pl_canary_deadline(w.canary) != INT64_MAX)
		at_us = earlier(at_us, pl_canary_deadline(w.canary) + w.pause_us);
	if (!w.is_frozen)
		at_us = earlier(at_us, pl_sim_server_deadline(w.sim));
	w.sim->now_us = at_us > w.sim->now_us ? at_us : w.sim->now_us;
}

static void run_for(int64_t us)
{
	const int64_t until_us = w.sim->now_us + us;
	while (w.sim->now_us < until_us)
		step(until_us);
}

/* A whole run, and what the server has to do after it. */
static const struct pl_canary_verdict *sing(void)
{
	w.has_verdict = false;
	assert_int_equal(pl_canary_begin(w.canary, w.sim->now_us, 0), PL_ERR_NONE);
	const int64_t until_us = w.sim->now_us + 5 * SECOND_US;
	while (!w.has_verdict && w.sim->now_us < until_us)
		step(until_us);
	assert_true(w.has_verdict);
	assert_true(pl_canary_deadline(w.canary) == INT64_MAX);
	run_for(SECOND_US);
	return &w.verdict;
}

static void assert_hears(const struct pl_canary_verdict *verdict)
{
	if (verdict->fault != PL_CANARY_FAULT_NONE)
		print_message("%s\n", pl_canary_fault_name(verdict->fault));
	assert_int_equal(verdict->fault, PL_CANARY_FAULT_NONE);
	assert_false(verdict->is_void);
}

/* Both ways are heard clearly and their delays are the network's, and the mixer's. */
static void test_it_hears_itself_both_ways(void **state)
{
	(void)state;
	begin(&(struct pl_sim_config){ .seed = 1, .workers = 1 });
	for (int i = 0; i < 3; i++) {
		const struct pl_canary_verdict *verdict = sing();
		const struct pl_canary_heard *forwarded = &verdict->heard[PL_CANARY_FORWARDED],
					     *mixed = &verdict->heard[PL_CANARY_MIXED];
		print_message("join %d us; forwarded %.1f dB %d us %u; mixed %.1f dB %d us %u\n", (int)verdict->join_us,
			(double)forwarded->snr_db, forwarded->delay_us, forwarded->permille, (double)mixed->snr_db,
			mixed->delay_us, mixed->permille);
		assert_hears(verdict);
		assert_true(forwarded->is_there && mixed->is_there);
		assert_int_equal(forwarded->permille, 1000);
		assert_int_equal(mixed->permille, 1000);
		assert_true(forwarded->snr_db > 15 && mixed->snr_db > 12);
		assert_in_range(forwarded->delay_us, 9970, 10030);
		assert_in_range(mixed->delay_us, 12000, 80000);
		assert_in_range(verdict->join_us, 20000, 100000);
	}
	end();
}

/* A delay of more than a beat is not taken for a short one. */
static void test_long_delays_are_told(void **state)
{
	(void)state;
	static const int64_t delay_us[] = { 30000, 90000, 125000, 180000 };
	for (size_t i = 0; i < PL_COUNT(delay_us); i++) {
		begin(&(struct pl_sim_config){ .seed = 2, .workers = 1 });
		w.out.delay_us = w.back.delay_us = delay_us[i];
		const struct pl_canary_verdict *verdict = sing();
		assert_hears(verdict);
		assert_in_range(
			verdict->heard[PL_CANARY_FORWARDED].delay_us, 2 * delay_us[i] - 1000, 2 * delay_us[i] + 1000);
		assert_in_range(
			verdict->heard[PL_CANARY_MIXED].delay_us, 2 * delay_us[i] + 2000, 2 * delay_us[i] + 80000);
		end();
	}
}

/* Some loss is a figure; much is a fault. */
static void test_loss_is_measured(void **state)
{
	(void)state;
	begin(&(struct pl_sim_config){ .seed = 3, .workers = 1 });
	w.back.loss_permille = 100;
	uint32_t heard = 0;
	for (int i = 0; i < 5; i++) {
		const struct pl_canary_verdict *verdict = sing();
		assert_true(verdict->join_us > 0);
		heard += verdict->heard[PL_CANARY_FORWARDED].permille;
	}
	assert_in_range(heard / 5, 800, 970);
	w.back.loss_permille = 0;
	assert_hears(sing());
	end();
}

static void test_a_lost_voice_is_a_fault(void **state)
{
	(void)state;
	begin(&(struct pl_sim_config){ .seed = 4, .workers = 1 });
	assert_int_equal(pl_canary_begin(w.canary, w.sim->now_us, 0), PL_ERR_NONE);
	while (w.canary->state != PL_CANARY_TALKING)
		step(INT64_MAX);
	w.back.loss_permille = 700;
	while (!w.has_verdict)
		step(INT64_MAX);
	assert_int_equal(w.verdict.fault, PL_CANARY_FAULT_FORWARDED_BROKEN);
	run_for(SECOND_US);
	w.has_verdict = false;
	w.back.loss_permille = 0;
	assert_int_equal(pl_canary_begin(w.canary, w.sim->now_us, 0), PL_ERR_NONE);
	while (w.canary->state != PL_CANARY_TALKING)
		step(INT64_MAX);
	w.back.loss_permille = 1000;
	while (!w.has_verdict)
		step(INT64_MAX);
	assert_int_equal(w.verdict.fault, PL_CANARY_FAULT_FORWARDED_SILENT);
	end();
}

/* A media thread that does nothing: no answer, and when it is back the next run is heard, whatever piled up. */
static void test_a_frozen_shard_is_found(void **state)
{
	(void)state;
	begin(&(struct pl_sim_config){ .seed = 5, .workers = 1 });
	assert_hears(sing());
	w.is_frozen = true;
	const int64_t begun_us = w.sim->now_us;
	assert_int_equal(sing()->fault, PL_CANARY_FAULT_CHECKS);
	assert_int_equal(w.verdict_us - begun_us, PL_CANARY_CONNECT_US);
	assert_int_equal(w.joins, w.leaves);
	assert_int_equal(w.verdict.join_us, 0);
	w.has_room = false;
	assert_int_equal(sing()->fault, PL_CANARY_FAULT_COMMANDS);
	w.is_frozen = false;
	w.has_room = true;
	assert_hears(sing());
	end();
}

/* A codec worker that does nothing costs the mix, and nothing else. */
static void test_a_stuck_worker_is_found(void **state)
{
	(void)state;
	begin(&(struct pl_sim_config){ .seed = 6, .workers = 1 });
	w.sim->worker[0].is_stuck = true;
	const struct pl_canary_verdict *verdict = sing();
	assert_int_equal(verdict->fault, PL_CANARY_FAULT_MIXED_SILENT);
	assert_int_equal(verdict->heard[PL_CANARY_FORWARDED].permille, 1000);
	assert_true(verdict->heard[PL_CANARY_FORWARDED].snr_db > 15);
	w.sim->worker[0].is_stuck = false;
	run_for(5 * SECOND_US);
	assert_hears(sing());
	end();
}

static void test_without_workers_there_is_no_mix_to_hear(void **state)
{
	(void)state;
	begin(&(struct pl_sim_config){ .seed = 7 });
	assert_hears(sing());
	assert_false(w.verdict.heard[PL_CANARY_MIXED].is_there);
	end();
}

/* Who got no CPU itself cannot say that others were deaf. */
static void test_a_late_canary_says_nothing(void **state)
{
	(void)state;
	begin(&(struct pl_sim_config){ .seed = 8, .workers = 1 });
	w.pause_us = 4 * SECOND_US;
	assert_true(sing()->is_void);
	assert_hears(sing());
	end();
}

/* Nobody sees it: it is in no gauge, and it leaves nothing behind. */
static void test_it_is_not_counted(void **state)
{
	(void)state;
	begin(&(struct pl_sim_config){ .seed = 9, .workers = 1 });
	const struct pl_conference_counters before = pl_conference_counters(w.sim->conference);
	assert_int_equal(pl_canary_begin(w.canary, w.sim->now_us, 0), PL_ERR_NONE);
	while (!w.has_verdict) {
		step(INT64_MAX);
		const struct pl_conference_counters now = pl_conference_counters(w.sim->conference);
		assert_int_equal(now.participants, before.participants);
		assert_int_equal(now.rooms, before.rooms);
	}
	run_for(40 * INT64_C(1000000));
	const struct pl_conference_counters after = pl_conference_counters(w.sim->conference);
	assert_int_equal(after.participants, before.participants);
	assert_int_equal(after.rooms, before.rooms);
	assert_int_equal(after.packets_used, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_hears_itself_both_ways),
		cmocka_unit_test(test_long_delays_are_told),
		cmocka_unit_test(test_loss_is_measured),
		cmocka_unit_test(test_a_lost_voice_is_a_fault),
		cmocka_unit_test(test_a_frozen_shard_is_found),
		cmocka_unit_test(test_a_stuck_worker_is_found),
		cmocka_unit_test(test_without_workers_there_is_no_mix_to_hear),
		cmocka_unit_test(test_a_late_canary_says_nothing),
		cmocka_unit_test(test_it_is_not_counted),
	};
	if (pl_srtp_init() != PL_ERR_NONE)
		return 1;
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pl_srtp_fini();
	return failed;
}
