#include "sfu/io/probe.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sfu/io/cgroup.h"

enum {
	TEXT_SIZE = 8192, /* what is behind that of a longer file is not looked at */
	/* What no subsystem accounts for and every process has: code, libraries, what malloc keeps. */
	UNACCOUNTED_BYTES = 128 << 20,
};

/* Once in ten reads; steal and the group's cache twice, and the pressure of memory, where the kernel does not tell of it by itself. */
static const enum turn {
	TURN_PSI_MEMORY,
	TURN_STAT,
	TURN_PSI_CPU,
	TURN_SNMP,
	TURN_MEMORY,
	TURN_PSI_MEMORY_AGAIN,
	TURN_NONE
} turns[PL_PROBE_TURNS] = {
	TURN_PSI_MEMORY,
	TURN_STAT,
	TURN_PSI_CPU,
	TURN_MEMORY,
	TURN_NONE,
	TURN_PSI_MEMORY_AGAIN,
	TURN_STAT,
	TURN_SNMP,
	TURN_MEMORY,
	TURN_NONE,
};

/* Version 1 writes a number near 2^63 where there is no limit. */
static const uint64_t LIMIT_MAX = UINT64_C(1) << 60;

static const char TRIGGER[] = "some 150000 2000000";

/* ---- texts ---- */

/* False: it cannot be read now. */
static bool read_text(const struct pl_probe *probe, enum pl_probe_file file, char text[static TEXT_SIZE])
{
	if (probe->fd[file] < 0)
		return false;
	const ssize_t size = pread(probe->fd[file], text, TEXT_SIZE - 1, 0);
	text[size > 0 ? size : 0] = '\0';
	return size > 0;
}

/* Reads a number and stops behind it.  False: there is none, or it does not fit. */
static bool take_number(const char **at, uint64_t *number)
{
	*at += strspn(*at, " \t");
	uint64_t value = 0;
	const char *digit = *at;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		const uint64_t unit = (uint64_t)(*digit - '0');
		if (value > (UINT64_MAX - unit) / 10)
			return false;
		value = value * 10 + unit;
	}
	if (digit == *at)
		return false;
	*at = digit;
	*number = value;
	return true;
}

/* The number behind a word that begins a line. */
static bool find_number(const char *text, const char *word, uint64_t *number)
{
	const size_t size = strlen(word);
	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, word, size) != 0 || strspn(line + size, " \t") == 0)
			continue;
		const char *at = line + size;
		return take_number(&at, number);
	}
	return false;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=156834467" (Documentation/accounting/psi.rst of Linux). */
static bool read_psi(const struct pl_probe *probe, enum pl_probe_file file, uint64_t *stalled_us)
{
	char text[TEXT_SIZE];
	const char *total =
		read_text(probe, file, text) && strncmp(text, "some ", 5) == 0 ? strstr(text, " total=") : NULL;
	if (total == NULL)
		return false;
	total += strlen(" total=");
	return take_number(&total, stalled_us);
}

/* "Udp: InDatagrams NoPorts ..." and below it the numbers. */
static bool find_column(const char *text, const char *prefix, const char *name, uint64_t *number)
{
	const char *head = strstr(text, prefix);
	const char *row = head == NULL ? NULL : strstr(head + 1, prefix);
	if (row == NULL)
		return false;
	const size_t size = strlen(name);
	row += strlen(prefix);
	for (const char *word = head + strlen(prefix); word < row; word += strcspn(word, " \n")) {
		word += *word == ' ';
		uint64_t value;
		if (*word == '\n' || *word == '\0' || !take_number(&row, &value))
			return false;
		if (strncmp(word, name, size) == 0 && strspn(word + size, " \n") > 0) {
			*number = value;
			return true;
		}
	}
	return false;
}

/* ---- sources ---- */

PL_PRINTF(2, 3) static void note_missing(struct pl_probe *probe, const char *format, ...)
{
	const size_t used = strlen(probe->missing);
	const int gap = snprintf(probe->missing + used, sizeof probe->missing - used, "%s", used > 0 ? ", " : "");
	if (used + (size_t)gap >= sizeof probe->missing)
		return;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(probe->missing + used + gap, sizeof probe->missing - used - (size_t)gap, format, arguments);
	va_end(arguments);
}

static int open_file(const char *root, const char *folder, const char *name, int flags)
{
	char path[2 * PL_SYSFILE_PATH_SIZE];
	const int size = snprintf(path, sizeof path, "%s%s%s", root, folder, name);
	return size > 0 && (size_t)size < sizeof path ? open(path, flags | O_CLOEXEC) : -1;
}

static bool is_there(const char *root, const char *folder, const char *name)
{
	const int fd = open_file(root, folder, name, O_RDONLY);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void open_throttled(
	struct pl_probe *probe, const char *root, const struct pl_cgroup *cgroup, const struct pl_cgroup_place place[])
{
	char folder[PL_SYSFILE_PATH_SIZE];
	int *fd = &probe->fd[PL_PROBE_CPU_STAT];
	/* Where the tightest quota is, there is most of the throttling. */
	snprintf(folder, sizeof folder, "%s", cgroup->quota_file);
	char *slash = strrchr(folder, '/');
	if (slash != NULL) {
		*slash = '\0';
		*fd = open_file(root, folder, "/cpu.stat", O_RDONLY);
	}
	static const enum pl_cgroup_kind kinds[] = { PL_CGROUP_UNIFIED, PL_CGROUP_CPU_V1 };
	for (size_t i = 0; i < PL_COUNT(kinds) && *fd < 0; i++) {
		char text[TEXT_SIZE];
		if (place[kinds[i]].path[0] == '\0')
			continue;
		*fd = open_file(root, place[kinds[i]].path, "/cpu.stat", O_RDONLY);
		/* The topmost group has the file, and nothing about throttling in it. */
		if (read_text(probe, PL_PROBE_CPU_STAT, text) && strstr(text, "nr_throttled") != NULL)
			break;
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
	if (*fd < 0)
		note_missing(probe, "throttled (no control group with a cpu.stat)");
}

/* The topmost group has no events: its pressure is the machine's. */
static bool open_own_psi(
	struct pl_probe *probe, enum pl_probe_file file, const char *root, const char *folder, const char *name)
{
	if (folder[0] == '\0' || !is_there(root, folder, "/cgroup.events"))
		return false;
	probe->fd[file] = open_file(root, folder, name, O_RDONLY);
	return probe->fd[file] >= 0;
}

static void open_psi(struct pl_probe *probe, const char *root, const char *folder)
{
	if (!open_own_psi(probe, PL_PROBE_PSI_CPU, root, folder, "/cpu.pressure"))
		probe->fd[PL_PROBE_PSI_CPU] = open_file(root, "", "/proc/pressure/cpu", O_RDONLY);
	if (probe->fd[PL_PROBE_PSI_CPU] < 0)
		note_missing(probe, "psi_cpu (no /proc/pressure/cpu)");
	probe->is_memory_ours = open_own_psi(probe, PL_PROBE_PSI_MEMORY, root, folder, "/memory.pressure");
	if (!probe->is_memory_ours)
		probe->fd[PL_PROBE_PSI_MEMORY] = open_file(root, "", "/proc/pressure/memory", O_RDONLY);
	if (probe->fd[PL_PROBE_PSI_MEMORY] < 0)
		note_missing(probe, "psi_memory (no /proc/pressure/memory)");
	else if (root[0] == '\0')
		probe->trigger_fd = probe->is_memory_ours
					    ? open_file(root, folder, "/memory.pressure", O_RDWR | O_NONBLOCK)
					    : open_file(root, "", "/proc/pressure/memory", O_RDWR | O_NONBLOCK);
	if (probe->trigger_fd >= 0 && write(probe->trigger_fd, TRIGGER, sizeof TRIGGER) < 0) {
		close(probe->trigger_fd);
		probe->trigger_fd = -1;
	}
}

/* Of the groups from here up, the one with the least limit; *least is that, and stays where there is none. */
static void find_limit(const char *root, struct pl_cgroup_place place, const char *name, uint64_t *least,
	char folder[static PL_SYSFILE_PATH_SIZE])
{
	if (place.path[0] == '\0')
		return;
	do {
		char file[PL_SYSFILE_PATH_SIZE], text[64];
		uint64_t limit;
		const int size = snprintf(file, sizeof file, "%s%s", place.path, name);
		if ((size_t)size < sizeof file && pl_sysfile_read(root, file, text, sizeof text) &&
			pl_sysfile_number(text, &limit) && limit < *least) {
			*least = limit;
			memcpy(folder, place.path, PL_SYSFILE_PATH_SIZE);
		}
	} while (pl_cgroup_climb(&place));
}

static void open_memory(struct pl_probe *probe, const char *root, const struct pl_cgroup_place place[])
{
	char folder[PL_SYSFILE_PATH_SIZE] = "", folder_v1[PL_SYSFILE_PATH_SIZE] = "";
	uint64_t limit = LIMIT_MAX, limit_v1 = LIMIT_MAX;
	find_limit(root, place[PL_CGROUP_UNIFIED], "/memory.max", &limit, folder);
	find_limit(root, place[PL_CGROUP_MEMORY_V1], "/memory.limit_in_bytes", &limit_v1, folder_v1);
	if (limit_v1 < limit) {
		probe->fd[PL_PROBE_MEMORY_USED] = open_file(root, folder_v1, "/memory.usage_in_bytes", O_RDONLY);
		probe->fd[PL_PROBE_MEMORY_LIMIT] = open_file(root, folder_v1, "/memory.limit_in_bytes", O_RDONLY);
		probe->fd[PL_PROBE_MEMORY_STAT] = open_file(root, folder_v1, "/memory.stat", O_RDONLY);
	} else if (limit < LIMIT_MAX) {
		probe->fd[PL_PROBE_MEMORY_USED] = open_file(root, folder, "/memory.current", O_RDONLY);
		probe->fd[PL_PROBE_MEMORY_LIMIT] = open_file(root, folder, "/memory.max", O_RDONLY);
		probe->fd[PL_PROBE_MEMORY_STAT] = open_file(root, folder, "/memory.stat", O_RDONLY);
	}
	if (probe->fd[PL_PROBE_MEMORY_USED] < 0)
		note_missing(probe, "memory (no control group with a limit)");
}

static uint64_t count_cpus(const struct pl_cgroup *cgroup)
{
	cpu_set_t cpus;
	if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
		return 1;
	if (cgroup->has_cpus)
		CPU_AND(&cpus, &cpus, &cgroup->cpus);
	return CPU_COUNT(&cpus) > 0 ? (uint64_t)CPU_COUNT(&cpus) : 1;
}

static void open_proc(struct pl_probe *probe, const char *root)
{
	static const struct {
		enum pl_probe_file file;
		const char *path, *input;
	} files[] = {
		{ PL_PROBE_STAT, "/proc/stat", "steal" }, { PL_PROBE_STATM, "/proc/self/statm", "untracked" },
		{ PL_PROBE_SNMP, "/proc/net/snmp", "receive_queue of others" },
		{ PL_PROBE_SNMP6, "/proc/net/snmp6", NULL }, /* a machine without IPv6 */
	};
	for (size_t i = 0; i < PL_COUNT(files); i++) {
		probe->fd[files[i].file] = open_file(root, "", files[i].path, O_RDONLY);
		if (probe->fd[files[i].file] < 0 && files[i].input != NULL)
			note_missing(probe, "%s (no %s)", files[i].input, files[i].path);
	}
	probe->files_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat stat;
	if (probe->files_fd >= 0 && (fstat(probe->files_fd, &stat) != 0 || stat.st_size == 0)) {
		close(probe->files_fd);
		probe->files_fd = -1;
	}
}

void pl_probe_open(struct pl_probe *probe, const char *root, int64_t now_us)
{
	struct pl_cgroup cgroup;
	struct pl_cgroup_place place[PL_CGROUP_KINDS];
	memset(probe, 0, sizeof *probe);
	for (size_t i = 0; i < PL_PROBE_FILES; i++)
		probe->fd[i] = -1;
	probe->trigger_fd = -1;
	probe->opened_us = now_us;
	probe->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	pl_cgroup_read(&cgroup, root);
	pl_cgroup_find(place, root);
	const uint64_t cpus = count_cpus(&cgroup);
	probe->allowed_mcpu =
		cgroup.quota_mcpu > 0 && cgroup.quota_mcpu < cpus * 1000 ? cgroup.quota_mcpu : cpus * 1000;
	open_proc(probe, root);
	open_throttled(probe, root, &cgroup, place);
	open_psi(probe, root, place[PL_CGROUP_UNIFIED].path);
	open_memory(probe, root, place);
}

void pl_probe_drop_trigger(struct pl_probe *probe)
{
	if (probe->trigger_fd >= 0)
		close(probe->trigger_fd);
	probe->trigger_fd = -1;
}

void pl_probe_close(struct pl_probe *probe)
{
	for (size_t i = 0; i < PL_PROBE_FILES; i++) {
		if (probe->fd[i] >= 0)
			close(probe->fd[i]);
		probe->fd[i] = -1;
	}
	pl_probe_drop_trigger(probe);
	if (probe->files_fd >= 0)
		close(probe->files_fd);
	probe->files_fd = -1;
}

const char *pl_probe_missing(const struct pl_probe *probe)
{
	return probe->missing;
}

/* ---- readings ---- */

/* Fixtures are rewritten under us, and a group can end: what cannot be understood now is as it was. */
static void set(struct pl_probe *probe, enum pl_pressure_input input, uint64_t part, uint64_t whole)
{
	probe->last[input].part = part;
	probe->last[input].whole = whole;
}

/* From 1, so that a source that is there never looks as if it were not. */
static uint64_t elapsed_us(const struct pl_probe *probe, int64_t now_us)
{
	return (uint64_t)(now_us - probe->opened_us) + 1;
}

static void read_cpu(struct pl_probe *probe, int64_t now_us)
{
	struct timespec used;
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
		return;
	set(probe, PL_PRESSURE_CPU, (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000,
		elapsed_us(probe, now_us) * probe->allowed_mcpu / 1000 + 1);
}

/* "cpu  user nice system idle iowait irq softirq steal guest guest_nice": the guests are in user and nice, too. */
static void read_steal(struct pl_probe *probe)
{
	enum { STEAL = 7, FIELDS = 8 };
	char text[TEXT_SIZE];
	uint64_t ticks[FIELDS], all = 0;
	if (!read_text(probe, PL_PROBE_STAT, text) || strncmp(text, "cpu ", 4) != 0)
		return;
	const char *at = text + 4;
	for (size_t i = 0; i < FIELDS; i++) {
		if (!take_number(&at, &ticks[i]))
			return;
		all += ticks[i];
	}
	set(probe, PL_PRESSURE_STEAL, ticks[STEAL], all);
}

/* The kernel adds up the time of each CPU: beside it stands the time that we may have of them. */
static void read_throttled(struct pl_probe *probe, int64_t now_us)
{
	char text[TEXT_SIZE];
	uint64_t throttled_us;
	if (!read_text(probe, PL_PROBE_CPU_STAT, text))
		return;
	if (!find_number(text, "throttled_usec", &throttled_us)) {
		if (!find_number(text, "throttled_time", &throttled_us))
			return;
		throttled_us /= 1000;
	}
	const uint64_t whole_us = elapsed_us(probe, now_us);
	set(probe, PL_PRESSURE_THROTTLED, throttled_us,
		probe->allowed_mcpu > 1000 ? whole_us * probe->allowed_mcpu / 1000 : whole_us);
}

static void read_stalls(struct pl_probe *probe, int64_t now_us, enum pl_probe_file file, enum pl_pressure_input input)
{
	uint64_t stalled_us;
	if (read_psi(probe, file, &stalled_us))
		set(probe, input, stalled_us, elapsed_us(probe, now_us));
}

static void read_number(const struct pl_probe *probe, enum pl_probe_file file, uint64_t *number)
{
	char text[TEXT_SIZE];
	const char *at = text;
	uint64_t value;
	if (read_text(probe, file, text) && take_number(&at, &value))
		*number = value;
}

/* The limit may be changed while we run; the cache is what the kernel would give us before it kills anybody. */
static void read_memory_limit(struct pl_probe *probe)
{
	char text[TEXT_SIZE];
	if (read_text(probe, PL_PROBE_MEMORY_LIMIT, text)) {
		const char *at = text;
		if (!take_number(&at, &probe->memory_limit) || probe->memory_limit >= LIMIT_MAX)
			probe->memory_limit = 0; /* "max" */
	}
	uint64_t cache;
	if (read_text(probe, PL_PROBE_MEMORY_STAT, text) &&
		(find_number(text, "total_inactive_file", &cache) || find_number(text, "inactive_file", &cache)))
		probe->memory_cache = cache;
}

static void read_memory(struct pl_probe *probe)
{
	read_number(probe, PL_PROBE_MEMORY_USED, &probe->memory_used);
	const uint64_t used = probe->memory_used;
	set(probe, PL_PRESSURE_MEMORY, used > probe->memory_cache ? used - probe->memory_cache : 0,
		probe->memory_limit);
}

/* "size resident shared text lib data dt", in pages; what is shared is files. */
static void read_untracked(struct pl_probe *probe, uint64_t accounted_bytes)
{
	char text[TEXT_SIZE];
	uint64_t size, resident, shared;
	const char *at = text;
	if (accounted_bytes == 0 || !read_text(probe, PL_PROBE_STATM, text) || !take_number(&at, &size) ||
		!take_number(&at, &resident) || !take_number(&at, &shared) || shared > resident)
		return;
	const uint64_t ours = (resident - shared) * probe->page_bytes;
	set(probe, PL_PRESSURE_UNTRACKED, ours > accounted_bytes ? ours - accounted_bytes : 0,
		accounted_bytes + UNACCOUNTED_BYTES);
}

static void read_udp(struct pl_probe *probe)
{
	char text[TEXT_SIZE];
	struct pl_probe_udp udp;
	if (read_text(probe, PL_PROBE_SNMP, text) && find_column(text, "Udp: ", "InDatagrams", &udp.datagrams) &&
		find_column(text, "Udp: ", "RcvbufErrors", &udp.queue_full))
		probe->udp = udp;
	if (read_text(probe, PL_PROBE_SNMP6, text) && find_number(text, "Udp6InDatagrams", &udp.datagrams) &&
		find_number(text, "Udp6RcvbufErrors", &udp.queue_full))
		probe->udp6 = udp;
}

/* The kernel hands out the lowest free number, so that is how many are open where it does not tell. */
static void read_files(struct pl_probe *probe)
{
	struct rlimit limit;
	struct stat stat;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	uint64_t open_count = limit.rlim_cur;
	if (probe->files_fd >= 0 && fstat(probe->files_fd, &stat) == 0) {
		open_count = (uint64_t)stat.st_size;
	} else {
		const int lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
		if (lowest >= 0) {
			open_count = (uint64_t)lowest;
			close(lowest);
		}
	}
	set(probe, PL_PRESSURE_FILES, open_count, limit.rlim_cur);
}

static void read_in_turn(struct pl_probe *probe, int64_t now_us, enum turn turn)
{
	switch (turn) {
	case TURN_PSI_MEMORY_AGAIN:
		if (probe->trigger_fd >= 0)
			break;
		/* fall through */
	case TURN_PSI_MEMORY:
		read_stalls(probe, now_us, PL_PROBE_PSI_MEMORY, PL_PRESSURE_PSI_MEMORY);
		break;
	case TURN_STAT:
		read_steal(probe);
		break;
	case TURN_PSI_CPU:
		read_stalls(probe, now_us, PL_PROBE_PSI_CPU, PL_PRESSURE_PSI_CPU);
		break;
	case TURN_SNMP:
		read_udp(probe);
		break;
	case TURN_MEMORY:
		read_memory_limit(probe);
		break;
	case TURN_NONE:
		break;
	}
}

void pl_probe_read(struct pl_probe *probe, int64_t now_us, uint64_t accounted_bytes, bool is_triggered,
	struct pl_pressure_sample *sample, struct pl_probe_udp *udp)
{
	/* All at first, so that an input is there from then on or never. */
	for (size_t i = 0; i < (probe->turn == 0 ? PL_PROBE_TURNS : 1); i++)
		read_in_turn(probe, now_us, turns[(probe->turn + i) % PL_PROBE_TURNS]);
	probe->turn++;
	if (is_triggered)
		read_stalls(probe, now_us, PL_PROBE_PSI_MEMORY, PL_PRESSURE_PSI_MEMORY);
	read_cpu(probe, now_us);
	read_throttled(probe, now_us);
	read_memory(probe);
	read_untracked(probe, accounted_bytes);
	read_files(probe);
	/* What others on the machine can do to it. */
	probe->last[PL_PRESSURE_PSI_CPU].is_shared = true;
	probe->last[PL_PRESSURE_PSI_MEMORY].is_shared = !probe->is_memory_ours;
	for (size_t i = 0; i < PL_PRESSURE_INPUTS; i++) {
		if (probe->last[i].whole > 0)
			sample->input[i] = probe->last[i];
	}
	*udp = (struct pl_probe_udp){ .datagrams = probe->udp.datagrams + probe->udp6.datagrams,
		.queue_full = probe->udp.queue_full + probe->udp6.queue_full };
}
