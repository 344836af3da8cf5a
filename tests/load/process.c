#include "tests/load/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 96, STAT_SIZE = 1024 };

/* Field 1 of schedstat: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst). */
static int64_t thread_cpu_ns(uint32_t pid, const char *thread)
{
	char path[PATH_SIZE];
	int64_t ns = -1;
	snprintf(path, sizeof path, "/proc/%u/task/%.20s/schedstat", pid, thread);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return -1;
	if (fscanf(file, "%" SCNd64, &ns) != 1)
		ns = -1;
	fclose(file);
	return ns;
}

/* Returns where field 3 of stat begins (proc(5)), or NULL.  The name before it may hold anything, even ')'. */
static const char *read_stat(uint32_t pid, char text[static STAT_SIZE])
{
	char path[PATH_SIZE];
	snprintf(path, sizeof path, "/proc/%u/stat", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return NULL;
	const size_t size = fread(text, 1, STAT_SIZE - 1, file);
	fclose(file);
	text[size] = '\0';
	const char *end = strrchr(text, ')');
	return end != NULL ? end + 1 : NULL;
}

uint64_t load_process_started(uint32_t pid)
{
	char text[STAT_SIZE], state = 'X';
	uint64_t ticks = 0; /* field 22 */
	const char *fields = read_stat(pid, text);
	if (fields == NULL ||
		sscanf(fields, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
			&state, &ticks) != 2)
		return 0;
	/* The very first tick of a machine has no process that could be meant. */
	return state == 'Z' || state == 'X' ? 0 : ticks;
}

/* Fields 14 and 15: utime and stime in ticks. */
static int64_t ticks_ns(uint32_t pid)
{
	char text[STAT_SIZE];
	uint64_t user, system;
	const char *fields = read_stat(pid, text);
	if (fields == NULL || sscanf(fields, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user,
				      &system) != 2)
		return -1;
	return (int64_t)(user + system) * (1000000000 / sysconf(_SC_CLK_TCK));
}

int64_t load_process_cpu_ns(uint32_t pid)
{
	char path[PATH_SIZE];
	int64_t sum_ns = 0;
	snprintf(path, sizeof path, "/proc/%u/task", pid);
	DIR *folder = opendir(path);
	if (folder == NULL)
		return -1;
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		const int64_t ns = entry->d_name[0] != '.' ? thread_cpu_ns(pid, entry->d_name) : 0;
		sum_ns += ns > 0 ? ns : 0;
	}
	closedir(folder);
	return sum_ns > 0 ? sum_ns : ticks_ns(pid);
}

/* Reads "name: 123 kB" lines; sizes that are not there stay as they are. */
static void read_kb(uint32_t pid, const char *file_name, const char *const names[2], int64_t *const bytes[2])
{
	char path[PATH_SIZE], line[128];
	snprintf(path, sizeof path, "/proc/%u/%s", pid, file_name);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return;
	while (fgets(line, sizeof line, file) != NULL) {
		for (int i = 0; i < 2; i++) {
			const size_t size = strlen(names[i]);
			if (strncmp(line, names[i], size) == 0 && line[size] == ':')
				*bytes[i] = strtoll(line + size + 1, NULL, 10) * 1024;
		}
	}
	fclose(file);
}

struct load_memory load_process_memory(uint32_t pid)
{
	struct load_memory memory = { .rss_bytes = -1, .pss_bytes = -1 };
	int64_t *const bytes[2] = { &memory.rss_bytes, &memory.pss_bytes };
	read_kb(pid, "smaps_rollup", (const char *const[]){ "Rss", "Pss" }, bytes);
	if (memory.rss_bytes < 0) /* another user's process: its status may be read */
		read_kb(pid, "status", (const char *const[]){ "VmRSS", "" }, bytes);
	return memory;
}
