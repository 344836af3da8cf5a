#include "signaling/doctor.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "signaling/arguments.h"
#include "signaling/doctor_checks.h"

#define MACHINE(name)  PLENUM_SOURCE_DIR "/tests/signaling/doctor/" name
#define TOPOLOGY(name) PLENUM_SOURCE_DIR "/tests/sfu/topology/" name

static struct pl_doctor doctor;

static int reset(void **state)
{
	(void)state;
	memset(&doctor, 0, sizeof doctor);
	return 0;
}

/* The finding told last has this state, these words, and a command that begins so ("" for none). */
static void assert_found(enum pl_doctor_state state, const char *words, const char *mend)
{
	assert_true(doctor.count > 0);
	const struct pl_doctor_finding *finding = &doctor.finding[doctor.count - 1];
	if (finding->state != state || strstr(finding->found, words) == NULL)
		fail_msg("\"%s\" (%d) is not \"...%s...\" (%d)", finding->found, finding->state, words, state);
	if (*mend == '\0' ? finding->mend[0] != '\0' : strncmp(finding->mend, mend, strlen(mend)) != 0)
		fail_msg("\"%s\" is mended by \"%s\", not by \"%s\"", finding->found, finding->mend, mend);
	doctor.count--;
}

/* Which libopus runs, whether this processor could have more of another one, and one that takes the memory of ten. */
static void test_doctor_knows_libopus(void **state)
{
	(void)state;
	static const struct {
		struct pl_library_opus opus;
		enum pl_doctor_state state;
		const char *words;
	} cases[] = {
		{ { "libopus 1.3.1", "SSE4.1", "SSE4.1", "/usr/lib/libopus.so.0", 18000, true }, PL_DOCTOR_NOTE,
			"libopus 1.3.1 (/usr/lib/libopus.so.0) with SSE4.1 code, which is used; 1.5 and later have "
			"AVX2" },
		{ { "libopus 1.3.1", "SSE4.1", "SSE4.1", "/usr/lib/libopus.so.0", 18000, false }, PL_DOCTOR_OK,
			"with SSE4.1 code, which is used" },
		{ { "libopus 1.5.2", "AVX2", "AVX2", "", 18000, false }, PL_DOCTOR_OK,
			"libopus 1.5.2 (linked in) with AVX2 code, which is used" },
		{ { "libopus 1.5.2", "AVX2", "SSE4.1", "", 18000, false }, PL_DOCTOR_OK,
			"with AVX2 code, of which this processor can use SSE4.1" },
		{ { "libopus 1.5.2", "AVX2", "AVX2", "", 141 * 1024, false }, PL_DOCTOR_NOTE,
			"uses AVX2, and has deep PLC: a talker's decoder takes 141 KB" },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		pl_doctor_check_opus(&doctor, &cases[i].opus);
		assert_found(cases[i].state, cases[i].words, "");
	}
}

/* What a processor can do decides what a call costs; a virtual machine that hides AES is the usual trap. */
static void test_doctor_reads_the_processor(void **state)
{
	(void)state;
	static const struct {
		const char *root, *words;
		enum pl_doctor_state state;
	} cases[] = {
		{ MACHINE("server"), "AVX-512, with instructions for wide AES", PL_DOCTOR_OK },
		{ MACHINE("laptop"), "AVX2, with instructions for AES", PL_DOCTOR_OK },
		{ MACHINE("arm"), "NEON, with instructions for AES", PL_DOCTOR_OK },
		{ MACHINE("old"), "SSE4.1, without instructions for AES", PL_DOCTOR_WARNING },
		{ MACHINE("none"), "does not tell", PL_DOCTOR_NOTE },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		pl_doctor_check_simd(&doctor, cases[i].root);
		assert_found(cases[i].state, cases[i].words, "");
	}
}

/* A slow clock costs a system call per batch; a better one is proposed only where there is one. */
static void test_doctor_reads_the_clock_source(void **state)
{
	(void)state;
	pl_doctor_check_clock_source(&doctor, MACHINE("server"));
	assert_found(PL_DOCTOR_OK, "tsc", "");
	pl_doctor_check_clock_source(&doctor, MACHINE("arm"));
	assert_found(PL_DOCTOR_OK, "arch_sys_counter", "");
	pl_doctor_check_clock_source(&doctor, MACHINE("old"));
	assert_found(PL_DOCTOR_WARNING, "hpet is slow", "echo tsc | sudo tee /sys/");
	pl_doctor_check_clock_source(&doctor, MACHINE("laptop"));
	assert_found(PL_DOCTOR_WARNING, "acpi_pm is slow", "");
	pl_doctor_check_clock_source(&doctor, MACHINE("none"));
	assert_found(PL_DOCTOR_NOTE, "does not tell", "");
}

static void test_doctor_reads_the_time_of_day(void **state)
{
	(void)state;
	pl_doctor_check_time(&doctor, INT64_C(1767225600), true);
	assert_found(PL_DOCTOR_OK, "kept right", "");
	pl_doctor_check_time(&doctor, INT64_C(1767225600), false);
	assert_found(PL_DOCTOR_WARNING, "nothing keeps the clock right", "sudo timedatectl");
	pl_doctor_check_time(&doctor, 0, true);
	assert_found(PL_DOCTOR_WARNING, "before 2025", "sudo timedatectl");
}

/* Each thing that the kernel may withhold has its own command; without swap, memory that is not locked stays all the
 * same, and nobody shall be sent to mend it. */
static void test_doctor_reads_the_memory(void **state)
{
	(void)state;
	struct pl_memory probe = { .pages = PL_MEMORY_HUGE, .is_locked = true, .is_on_node = true };
	pl_doctor_check_memory(&doctor, MACHINE("server"), &probe);
	assert_found(PL_DOCTOR_OK, "allowed", "");
	assert_found(PL_DOCTOR_OK, "reserved pool", "");

	probe = (struct pl_memory){ .pages = PL_MEMORY_SMALL, .is_on_node = true };
	pl_doctor_check_memory(&doctor, MACHINE("old"), &probe);
	assert_found(PL_DOCTOR_WARNING, "over its limit", "sudo prlimit --pid $$ --memlock=unlimited");
	assert_found(PL_DOCTOR_WARNING, "turned off", "echo madvise | sudo tee /sys/kernel/mm/");
	pl_doctor_check_memory(&doctor, MACHINE("server"), &probe);
	assert_found(PL_DOCTOR_NOTE, "no swap", "");
	assert_found(PL_DOCTOR_WARNING, "small pieces", "echo 1 | sudo tee /proc/sys/vm/compact_memory");

	probe = (struct pl_memory){ .pages = PL_MEMORY_TRANSPARENT, .is_locked = true, .node = 3 };
	pl_doctor_check_memory(&doctor, MACHINE("server"), &probe);
	assert_found(PL_DOCTOR_WARNING, "node 3 has no room", "");
	assert_int_equal(doctor.count, 2);
}

/* What the operator reads is the plan that the server makes. */
static void test_doctor_reads_the_cores(void **state)
{
	(void)state;
	static struct pl_topology topology;
	static struct pl_topology_plan plan;
	static const struct {
		const char *root;
		size_t shards;
		const char *words, *nodes, *warning;
	} cases[] = {
		{ TOPOLOGY("plain"), 0, "4 to use (8 hardware threads), no quota: 4 media threads, on CPUs 0-3",
			"one node", NULL },
		{ TOPOLOGY("plain"), 64, "64 media threads, on CPUs 0-7", "one node", "64 threads share 4 cores" },
		{ TOPOLOGY("plain"), 6, "6 media threads", "one node", "6 threads share 4 cores" },
		{ TOPOLOGY("docker-v1-quota"), 0,
			"a quota of 1.50 CPUs (/sys/fs/cgroup/cpu,cpuacct/worker/cpu.cfs_quota_us): 2 media threads, "
			"free to "
			"move",
			"one node", NULL },
		{ TOPOLOGY("namespace-v2"), 0, ": 1 media thread, free", "one node", NULL },
		{ TOPOLOGY("cpuset-v1"), 0, "on CPUs 2, 4", "one node", NULL },
		{ TOPOLOGY("two-nodes"), 5, "5 media threads, free",
			"2 nodes: node 0 has 4 cores and 4 media threads, node 1 has 4 cores and 1 media thread",
			NULL },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		pl_topology_read(&topology, cases[i].root, NULL, -1);
		pl_topology_plan(&topology, cases[i].shards, &plan);
		pl_doctor_check_cores(&doctor, &topology, &plan);
		assert_found(PL_DOCTOR_OK, cases[i].nodes, "");
		if (cases[i].warning != NULL)
			assert_found(PL_DOCTOR_WARNING, cases[i].warning, "plenum --set media.shards=0");
		assert_found(PL_DOCTOR_OK, cases[i].words, "");
		assert_int_equal(doctor.count, 0);
	}
	pl_topology_read(&topology, TOPOLOGY("malformed"), NULL, -1);
	pl_topology_plan(&topology, 0, &plan);
	pl_doctor_check_cores(&doctor, &topology, &plan);
	doctor.count--;
	assert_found(PL_DOCTOR_WARNING, "is not understood", "");
}

/* Many CPUs that are not neighbours make a long list: it is cut, not run over. */
static void test_doctor_lists_of_cpus_are_bounded(void **state)
{
	(void)state;
	static struct pl_topology topology;
	static struct pl_topology_plan plan;
	cpu_set_t even;
	CPU_ZERO(&even);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu += 2)
		CPU_SET(cpu, &even);
	pl_topology_read(&topology, "/no such root", &even, -1);
	pl_topology_plan(&topology, PL_TOPOLOGY_SHARDS_MAX, &plan);
	plan.shard[0].cpu = 0;
	pl_doctor_check_cores(&doctor, &topology, &plan);
	pl_topology_plan(&topology, 512, &plan);
	for (size_t i = 0; i < plan.count; i++)
		plan.shard[i].cpu = (int)(2 * i);
	pl_doctor_check_cores(&doctor, &topology, &plan);
	doctor.count--;
	assert_found(PL_DOCTOR_OK, "on CPUs 0, 2, 4", "");
}

static void test_doctor_reads_the_limits(void **state)
{
	(void)state;
	pl_doctor_check_files(&doctor, 17024, 8512, 17024);
	assert_found(PL_DOCTOR_OK, "8512 are needed at most, and 17024 allowed", "");
	pl_doctor_check_files(&doctor, 12161, 8512, 17024);
	assert_found(PL_DOCTOR_OK, "8512", "");
	pl_doctor_check_files(&doctor, 12160, 8512, 17024);
	assert_found(PL_DOCTOR_WARNING, "would hold itself for loaded", "sudo prlimit --pid $$ --nofile=17024");
	pl_doctor_check_files(&doctor, 1024, 8512, 17024);
	assert_found(PL_DOCTOR_WARNING, "1024 are allowed", "sudo prlimit --pid $$ --nofile=17024");
	pl_doctor_check_buffers(&doctor, 4 << 20, 4 << 20);
	assert_found(PL_DOCTOR_OK, "4 MiB", "");
	pl_doctor_check_buffers(&doctor, 212992, 4 << 20);
	assert_found(PL_DOCTOR_WARNING, "208 KiB to receive",
		"printf 'net.core.rmem_max=4194304\\nnet.core.wmem_max=4194304\\n' | ");
	pl_doctor_check_buffers(&doctor, 4 << 20, 212992);
	assert_found(PL_DOCTOR_WARNING, "208 KiB to send", "printf");
}

/* A server that offers only addresses of its own network connects everybody in the office and nobody else: the most
 * frequent failure of all such servers. */
static void test_doctor_reads_the_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		bool is_local;
		enum pl_doctor_state state;
		const char *words, *mend;
	} cases[] = {
		{ "198.51.100.7", false, PL_DOCTOR_OK, "198.51.100.7", "" },
		{ "10.1.2.3, 198.51.100.7", false, PL_DOCTOR_OK, "10.1.2.3, 198.51.100.7", "" },
		{ "10.1.2.3", false, PL_DOCTOR_WARNING, "outside of this network", "plenum --set media.address=" },
		{ "10.1.2.3", true, PL_DOCTOR_NOTE, "private, as the pages are", "" },
		{ "172.15.0.1", false, PL_DOCTOR_OK, "", "" },
		{ "172.16.0.1", false, PL_DOCTOR_WARNING, "", "plenum" },
		{ "172.31.255.1", false, PL_DOCTOR_WARNING, "", "plenum" },
		{ "172.32.0.1", false, PL_DOCTOR_OK, "", "" },
		{ "192.168.1.1, 127.0.0.1, ::1", false, PL_DOCTOR_WARNING, "", "plenum" },
		{ "100.64.0.1", false, PL_DOCTOR_WARNING, "", "plenum" },
		{ "100.128.0.1", false, PL_DOCTOR_OK, "", "" },
		{ "169.254.1.1", false, PL_DOCTOR_WARNING, "", "plenum" },
		{ "fd00::1, fe80::1", false, PL_DOCTOR_WARNING, "", "plenum" },
		{ "2001:db8::1", false, PL_DOCTOR_OK, "", "" },
		{ "10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 8.8.8.8, 10.0.0.6", false, PL_DOCTOR_OK,
			"10.0.0.4 and 2 more", "" },
		{ "", false, PL_DOCTOR_BROKEN, "no interface", "plenum --set media.address=" },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_addr address[PL_CONFIG_ADDRESSES_MAX];
		size_t count;
		assert_true(pl_config_parse_addresses(cases[i].list, address, &count));
		pl_doctor_check_addresses(&doctor, address, count, true, cases[i].is_local);
		assert_found(cases[i].state, cases[i].words, cases[i].mend);
	}
}

static int take_port(int type, uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	const int fd = socket(AF_INET, type, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	assert_true(type != SOCK_STREAM || listen(fd, 1) == 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* A taken port is the commonest reason not to start.  The command that is proposed must be one that helps: following it
 * makes the finding go. */
static void test_doctor_proposes_ports_that_are_free(void **state)
{
	(void)state;
	struct pl_config config;
	char error[PL_CONFIG_ERROR_SIZE];
	uint16_t port;
	pl_config_defaults(&config);

	int fd = take_port(SOCK_STREAM, &port);
	snprintf(config.http_listen, sizeof config.http_listen, "127.0.0.1:%u", port);
	pl_doctor_check_http(&doctor, &config);
	const char *mend = doctor.finding[0].mend;
	assert_int_equal(strncmp(mend, "plenum --set http.listen=", 13), 0);
	assert_int_equal(pl_config_set(&config, mend + 13, error), PL_ERR_NONE);
	assert_found(PL_DOCTOR_BROKEN, "is taken", "plenum --set http.listen=127.0.0.1:");
	pl_doctor_check_http(&doctor, &config);
	assert_found(PL_DOCTOR_OK, "can be opened", "");
	close(fd);

	fd = take_port(SOCK_DGRAM, &port);
	config.media_port = port - 1u; /* the second of two shards */
	pl_doctor_check_media_ports(&doctor, &config, 2);
	mend = doctor.finding[0].mend;
	if (doctor.count == 2) /* the first port was free, and so its buffers were looked at */
		doctor.count--;
	assert_int_equal(doctor.finding[0].state, PL_DOCTOR_BROKEN);
	assert_int_equal(strncmp(mend, "plenum --set media.port=", 13), 0);
	assert_int_equal(pl_config_set(&config, mend + 13, error), PL_ERR_NONE);
	reset(NULL);
	pl_doctor_check_media_ports(&doctor, &config, 2);
	assert_int_equal(doctor.finding[0].state, PL_DOCTOR_OK);
	close(fd);

	/* More shards than there are ports. */
	reset(NULL);
	config.media_port = 65000;
	pl_doctor_check_media_ports(&doctor, &config, 1000);
	assert_int_equal(doctor.finding[0].state, PL_DOCTOR_BROKEN);
}

/* Scripts go by the exit status: the worst finding decides. */
static void test_doctor_status_is_the_worst(void **state)
{
	(void)state;
	static const int expected[] = { 0, 0, 1, 2, 2 };
	static const enum pl_doctor_state told[] = { PL_DOCTOR_OK, PL_DOCTOR_NOTE, PL_DOCTOR_WARNING, PL_DOCTOR_BROKEN,
		PL_DOCTOR_OK };
	assert_int_equal(pl_doctor_status(&doctor), 0);
	for (size_t i = 0; i < PL_COUNT(told); i++) {
		pl_doctor_tell(&doctor, "subject", told[i], "found");
		assert_int_equal(pl_doctor_status(&doctor), expected[i]);
	}
}

static char *print(bool as_json, bool with_colour)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	if (as_json)
		pl_doctor_print_json(&doctor, file);
	else
		pl_doctor_print(&doctor, with_colour, file);
	fclose(file);
	return text;
}

/* Aligned, within 100 columns, and a command in one line, so that it can be copied. */
static void test_doctor_prints_for_people(void **state)
{
	(void)state;
	pl_doctor_tell(&doctor, "cores", PL_DOCTOR_OK, "2 to use");
	pl_doctor_tell(&doctor, "UDP buffers", PL_DOCTOR_WARNING,
		"are small, and this sentence about them is so long that it goes over the edge of the terminal");
	pl_doctor_mend(&doctor, "echo a command that is longer than a line of the terminal, which is not wrapped, "
				"because it is copied");
	char *text = print(false, false);
	assert_string_equal(text,
		"plenum " PLENUM_VERSION ", and this machine\n"
		"\n"
		"ok        cores          2 to use\n"
		"warning   UDP buffers    are small, and this sentence about them is so long that it goes over the\n"
		"                         edge of the terminal\n"
		"                         mend: echo a command that is longer than a line of the terminal, which is "
		"not wrapped, because it is copied\n"
		"\n"
		"Plenum will run; 1 thing could be better.\n");
	free(text);
	text = print(false, true);
	assert_non_null(strstr(text, "\033[33mwarning   \033[0mUDP buffers"));
	free(text);
	pl_doctor_tell(&doctor, "http port", PL_DOCTOR_BROKEN, "is taken");
	text = print(false, false);
	assert_non_null(strstr(text, "\nPlenum will not start or not work: 1 thing to mend.\n"));
	free(text);
}

/* JSON stays JSON whatever bytes a path has. */
static void test_doctor_prints_for_machines(void **state)
{
	(void)state;
	pl_doctor_tell(&doctor, "cores", PL_DOCTOR_OK, "fine");
	pl_doctor_tell(&doctor, "configuration", PL_DOCTOR_BROKEN, "a \"path\\\" \x01\n\x7f \xff\xc3 is odd");
	pl_doctor_mend(&doctor, "printf 'a\\n'");
	char *text = print(true, false);
	json_t *json = json_loads(text, 0, NULL), *findings = json_object_get(json, "findings");
	assert_non_null(json);
	assert_int_equal(json_integer_value(json_object_get(json, "status")), 2);
	assert_string_equal(json_string_value(json_object_get(json, "version")), PLENUM_VERSION);
	assert_int_equal(json_array_size(findings), 2);
	assert_true(json_is_null(json_object_get(json_array_get(findings, 0), "mend")));
	const json_t *last = json_array_get(findings, 1);
	assert_string_equal(json_string_value(json_object_get(last, "state")), "broken");
	assert_string_equal(json_string_value(json_object_get(last, "mend")), "printf 'a\\n'");
	assert_string_equal(
		json_string_value(json_object_get(last, "found")), "a \"path\\\" \x01\n\x7f \xc3\xbf\xc3\x83 is odd");
	json_decref(json);
	free(text);
}

/* A command that was cut could do anything. */
static void test_doctor_never_prints_half_a_command(void **state)
{
	(void)state;
	char longer[PL_DOCTOR_MEND_SIZE + 1];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	pl_doctor_tell(&doctor, "cores", PL_DOCTOR_OK, "%s%s%s", longer, longer, longer);
	pl_doctor_mend(&doctor, "%s", longer);
	assert_string_equal(doctor.finding[0].mend, "");
	longer[PL_DOCTOR_MEND_SIZE - 1] = '\0';
	pl_doctor_mend(&doctor, "%s", longer);
	assert_string_equal(doctor.finding[0].mend, longer);
}

/* What it says of SRTP is what a shard would do. */
static void test_doctor_names_the_srtp_of_a_start(void **state)
{
	(void)state;
	struct pl_srtp_engine *engine;
	assert_int_equal(pl_srtp_engine_create(&engine, PL_SRTP_AUTO), PL_ERR_NONE);
	const bool is_fast = pl_srtp_engine_backend(engine) == PL_SRTP_IPSEC_MB;
	pl_doctor_check_srtp(&doctor, PL_SRTP_AUTO);
#if !defined(__x86_64__)
	assert_found(PL_DOCTOR_OK, pl_srtp_engine_text(engine), "");
#else
	assert_found(is_fast ? PL_DOCTOR_OK : PL_DOCTOR_NOTE, pl_srtp_engine_text(engine), "");
#endif
	pl_srtp_engine_destroy(&engine);
	pl_doctor_check_srtp(&doctor, PL_SRTP_OPENSSL);
	assert_found(PL_DOCTOR_OK, "openssl 3", "");
	pl_doctor_check_srtp(&doctor, PL_SRTP_LIBSRTP2);
	assert_found(PL_DOCTOR_OK, "libsrtp2 protects", "");
	pl_doctor_check_srtp(&doctor, PL_SRTP_IPSEC_MB);
	if (is_fast)
		assert_found(PL_DOCTOR_OK, "ipsec-mb ", "");
	else
		assert_found(PL_DOCTOR_BROKEN, "which cannot be used", "plenum --set media.srtp=auto");
}

/* What mixes is named as it will be chosen; a forced level that this CPU lacks would not start. */
static void test_doctor_names_what_mixes(void **state)
{
	(void)state;
	pl_doctor_check_mixer(&doctor, PL_SIMD_AUTO);
	char words[64];
	snprintf(words, sizeof words, "%s mixes audio (media.simd is auto)",
		pl_simd_text(pl_dsp_get(PL_SIMD_AUTO)->level));
	assert_found(PL_DOCTOR_OK, words, "");
	pl_doctor_check_mixer(&doctor, PL_SIMD_PLAIN);
	assert_found(pl_dsp_get(PL_SIMD_AUTO)->level == PL_SIMD_PLAIN ? PL_DOCTOR_OK : PL_DOCTOR_NOTE,
		"plain mixes audio", "");
	for (enum pl_simd level = 0; level < PL_SIMD_COUNT; level++) {
		pl_doctor_check_mixer(&doctor, level);
		if (pl_simd_lack(level) != NULL)
			assert_found(PL_DOCTOR_BROKEN, pl_simd_lack(level), "plenum --set media.simd=auto");
	}
}

/* The verb comes first, and takes the options of the start that it examines. */
static void test_doctor_is_the_first_word(void **state)
{
	(void)state;
	static const struct {
		const char *word[5];
		enum pl_err err;
		enum pl_arguments_action action;
		bool is_json;
	} cases[] = {
		{ { "plenum" }, PL_ERR_NONE, PL_ARGUMENTS_RUN, false },
		{ { "plenum", "doctor" }, PL_ERR_NONE, PL_ARGUMENTS_DOCTOR, false },
		{ { "plenum", "doctor", "--json" }, PL_ERR_NONE, PL_ARGUMENTS_DOCTOR, true },
		{ { "plenum", "doctor", "--set", "media.port=9", "--json" }, PL_ERR_NONE, PL_ARGUMENTS_DOCTOR, true },
		/* What pl_config_check refuses is a finding, not a refusal to look. */
		{ { "plenum", "doctor", "--set=http.tls_cert=/none" }, PL_ERR_NONE, PL_ARGUMENTS_DOCTOR, false },
		{ { "plenum", "doctor", "--json", "--help" }, PL_ERR_NONE, PL_ARGUMENTS_HELP, true },
		{ { "plenum", "doctor", "--lan" }, PL_ERR_CONFIG, 0, false },
		{ { "plenum", "--json" }, PL_ERR_CONFIG, 0, false },
		{ { "plenum", "--qr", "doctor" }, PL_ERR_CONFIG, 0, false },
		{ { "plenum", "doctor", "doctor" }, PL_ERR_CONFIG, 0, false },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_arguments arguments;
		char error[PL_CONFIG_ERROR_SIZE], *argv[6] = { 0 };
		int argc = 0;
		for (; argc < 5 && cases[i].word[argc] != NULL; argc++)
			argv[argc] = (char *)(uintptr_t)cases[i].word[argc];
		assert_int_equal(pl_arguments_parse(&arguments, argc, argv, error), cases[i].err);
		if (cases[i].err != PL_ERR_NONE)
			continue;
		assert_int_equal(arguments.action, cases[i].action);
		assert_int_equal(arguments.is_json, cases[i].is_json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_doctor_knows_libopus, reset),
		cmocka_unit_test_setup(test_doctor_reads_the_processor, reset),
		cmocka_unit_test_setup(test_doctor_reads_the_clock_source, reset),
		cmocka_unit_test_setup(test_doctor_reads_the_time_of_day, reset),
		cmocka_unit_test_setup(test_doctor_reads_the_memory, reset),
		cmocka_unit_test_setup(test_doctor_reads_the_cores, reset),
		cmocka_unit_test_setup(test_doctor_lists_of_cpus_are_bounded, reset),
		cmocka_unit_test_setup(test_doctor_reads_the_limits, reset),
		cmocka_unit_test_setup(test_doctor_reads_the_addresses, reset),
		cmocka_unit_test_setup(test_doctor_proposes_ports_that_are_free, reset),
		cmocka_unit_test_setup(test_doctor_status_is_the_worst, reset),
		cmocka_unit_test_setup(test_doctor_prints_for_people, reset),
		cmocka_unit_test_setup(test_doctor_prints_for_machines, reset),
		cmocka_unit_test_setup(test_doctor_never_prints_half_a_command, reset),
		cmocka_unit_test_setup(test_doctor_names_the_srtp_of_a_start, reset),
		cmocka_unit_test_setup(test_doctor_names_what_mixes, reset),
		cmocka_unit_test_setup(test_doctor_is_the_first_word, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
