/* Preloaded into the server by steady_test.py: counts, for each thread, the calls that the packet path must not make, or
 * only seldom.  The counts are in a file that is mapped (COUNT_CALLS names it), so that the test reads them at any time
 * and what is counted is not disturbed.
 * Thread: any; each writes its own line, the reader is another process. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "media/base.h"

enum { THREADS_MAX = 64 };
enum kind { ALLOCATION, FREE, LOCK, SYSCALL, KIND_COUNT };

/* As steady_test.py reads it: a cache line for each thread, its number of gettid(2) first, 0: unused. */
struct line {
	_Alignas(64) _Atomic uint64_t thread;
	_Atomic uint64_t count[KIND_COUNT];
};

static struct line *lines;
static atomic_uint line_count;
static __thread __attribute__((tls_model("initial-exec"))) struct line *mine;

/* Of glibc: what its malloc(3) is when nobody stands before it. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("COUNT_CALLS");
	const int fd = name != NULL ? open(name, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0 || ftruncate(fd, THREADS_MAX * sizeof(struct line)) != 0)
		abort();
	void *memory = mmap(NULL, THREADS_MAX * sizeof(struct line), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		abort();
	lines = memory;
	close(fd);
}

static void count(enum kind kind)
{
	if (lines == NULL)
		return;
	if (mine == NULL) {
		const unsigned index = atomic_fetch_add(&line_count, 1);
		if (index >= THREADS_MAX)
			abort();
		mine = &lines[index];
		atomic_store(&mine->thread, (uint64_t)gettid());
	}
	const uint64_t now = atomic_load_explicit(&mine->count[kind], memory_order_relaxed);
	atomic_store_explicit(&mine->count[kind], now + 1, memory_order_relaxed);
}

/* ---- the heap ---- */

void *malloc(size_t size)
{
	count(ALLOCATION);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count(ALLOCATION);
	return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
	count(ALLOCATION);
	return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count(ALLOCATION);
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	count(ALLOCATION);
	*memory = __libc_memalign(alignment, size);
	return *memory != NULL ? 0 : ENOMEM;
}

void free(void *memory)
{
	if (memory != NULL)
		count(FREE);
	__libc_free(memory);
}

/* ---- locks and system calls ---- */

static void *next_of(const char *name)
{
	void *next = dlsym(RTLD_NEXT, name);
	if (next == NULL)
		abort();
	return next;
}

#define COUNTED(kind, type, name, parameters, arguments)                           \
	type name parameters                                                       \
	{                                                                          \
		static _Atomic(void *) known;                                      \
		void *next = atomic_load_explicit(&known, memory_order_relaxed);   \
		if (next == NULL) {                                                \
			next = next_of(#name);                                     \
			atomic_store_explicit(&known, next, memory_order_relaxed); \
		}                                                                  \
		count(kind);                                                       \
		return ((type(*) parameters)next)arguments;                        \
	}

COUNTED(LOCK, int, pthread_mutex_lock, (pthread_mutex_t * m), (m))
COUNTED(LOCK, int, pthread_mutex_trylock, (pthread_mutex_t * m), (m))
COUNTED(LOCK, int, pthread_rwlock_rdlock, (pthread_rwlock_t * l), (l))
COUNTED(LOCK, int, pthread_rwlock_wrlock, (pthread_rwlock_t * l), (l))
COUNTED(LOCK, int, pthread_spin_lock, (pthread_spinlock_t * l), (l))
COUNTED(LOCK, int, pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t *m), (c, m))
COUNTED(LOCK, int, sem_wait, (sem_t * s), (s))

COUNTED(SYSCALL, ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size))
COUNTED(SYSCALL, ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size))
COUNTED(SYSCALL, int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout))
COUNTED(SYSCALL, int, ppoll, (struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
	(fds, n, timeout, mask))
COUNTED(SYSCALL, int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout),
	(fd, m, n, flags, timeout))
COUNTED(SYSCALL, int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags), (fd, m, n, flags))
COUNTED(SYSCALL, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
COUNTED(SYSCALL, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
COUNTED(SYSCALL, ssize_t, send, (int fd, const void *bytes, size_t size, int flags), (fd, bytes, size, flags))
COUNTED(SYSCALL, ssize_t, recv, (int fd, void *bytes, size_t size, int flags), (fd, bytes, size, flags))
COUNTED(SYSCALL, int, clock_nanosleep, (clockid_t c, int flags, const struct timespec *t, struct timespec *left),
	(c, flags, t, left))
COUNTED(SYSCALL, int, madvise, (void *memory, size_t size, int advice), (memory, size, advice))
COUNTED(SYSCALL, int, munmap, (void *memory, size_t size), (memory, size))
