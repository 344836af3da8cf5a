/* A start is tried in a child, so that nothing of it stays: what it needs of descriptors, memory and threads is what it takes,
 * and no list of numbers that would be forgotten when the server changes. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signaling/doctor_checks.h"

/* Longer than any machine takes; a start that hangs is none. */
enum { START_S_MAX = 60 };

/* What a start writes is its log; what it says of failure comes as an error. */
static bool be_quiet(void)
{
	const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nowhere < 0)
		return false;
	const bool is_quiet = dup2(nowhere, STDOUT_FILENO) >= 0 && dup2(nowhere, STDERR_FILENO) >= 0;
	if (nowhere > STDERR_FILENO)
		close(nowhere);
	return is_quiet;
}

static void try_in_child(struct pl_doctor_start *start, pl_doctor_starter starter, void *context)
{
	alarm(START_S_MAX);
	start->is_begun = be_quiet() && starter(context, start->error);
	if (!start->is_begun && start->error[0] == '\0')
		snprintf(start->error, sizeof start->error, "there is no file descriptor for anything");
	/* A server that nobody can connect to has not started for anybody. */
	if (start->is_begun && dup(STDIN_FILENO) < 0) {
		start->is_begun = false;
		snprintf(start->error, sizeof start->error,
			"all file descriptors that are allowed are the server's own: none is left for a client");
	}
}

void pl_doctor_try_start(struct pl_doctor_start *start, pl_doctor_starter starter, void *context)
{
	*start = (struct pl_doctor_start){ .is_begun = false };
	struct pl_doctor_start *shared =
		mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		snprintf(start->error, sizeof start->error, "out of memory");
		return;
	}
	int status = 0;
	fflush(NULL);
	const pid_t child = fork();
	if (child == 0) {
		try_in_child(shared, starter, context);
		_exit(0);
	}
	const bool has_ended = child > 0 && waitpid(child, &status, 0) == child;
	*start = *shared;
	munmap(shared, sizeof *shared);
	if (!has_ended || !WIFEXITED(status)) {
		start->is_begun = false;
		snprintf(start->error, sizeof start->error, "%s",
			!has_ended                    ? "no process can be made"
			: WTERMSIG(status) == SIGALRM ? "it does not end"
			: WTERMSIG(status) == SIGKILL ? "the kernel ended it, as it does when memory runs out"
						      : strsignal(WTERMSIG(status)));
	}
}

static void mend_start(struct pl_doctor *doctor, const struct pl_doctor_start *start, uint64_t files_wanted)
{
	struct rlimit limit;
	if (strstr(start->error, "memory") != NULL) {
		if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
			pl_doctor_mend(doctor, "sudo prlimit --pid $$ --as=unlimited");
	} else if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < files_wanted) {
		pl_doctor_mend(doctor, "sudo prlimit --pid $$ --nofile=%llu", (unsigned long long)files_wanted);
	}
}

void pl_doctor_check_start(struct pl_doctor *doctor, const struct pl_doctor_start *start, uint64_t files_wanted)
{
	if (start->is_begun) {
		pl_doctor_tell(doctor, "start", PL_DOCTOR_OK,
			"was tried: it has the descriptors, the memory and the threads that it needs");
	} else if (pl_doctor_status(doctor) < 2) { /* what is broken already is why, and has its own words */
		pl_doctor_tell(doctor, "start", PL_DOCTOR_BROKEN, "was tried, and failed: %s", start->error);
		mend_start(doctor, start, files_wanted);
	}
}
