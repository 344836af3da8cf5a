#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "signaling/metrics.h"

static uint64_t read_resident_bytes(void)
{
	unsigned long long total = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu %llu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	if (folder == NULL)
		return 0;
	uint64_t count = 0;
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count > 3 ? count - 3 : 0; /* ".", ".." and the folder's own */
}

/* Field 22 of proc(5)'s stat: ticks since boot.  The second field, a name in brackets, may hold anything. */
static double read_started_s(void)
{
	char text[1024];
	FILE *file = fopen("/proc/self/stat", "re");
	if (file == NULL)
		return 0;
	const size_t size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	const char *after_name = strrchr(text, ')');
	unsigned long long ticks;
	if (after_name == NULL ||
		sscanf(after_name + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			&ticks) != 1)
		return 0;
	struct timespec now, since_boot;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	const double boot_s =
		(double)(now.tv_sec - since_boot.tv_sec) + (double)(now.tv_nsec - since_boot.tv_nsec) / 1e9;
	return boot_s + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void pl_metrics_read_process(struct pl_metrics_process *process)
{
	struct rusage usage = { .ru_maxrss = 0 };
	getrusage(RUSAGE_SELF, &usage);
	process->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	process->started_s = read_started_s();
	process->resident_bytes = read_resident_bytes();
	process->fds = count_fds();
}
