/* `plenum doctor`: what this machine is to Plenum, in words an operator reads, and for each problem the command that
 * mends it.  It looks at and tries what a start would (sockets, memory, libraries), with the configuration of that
 * start, and leaves nothing behind.
 * Thread: main, before all others. */
#ifndef PL_SIGNALING_DOCTOR_H
#define PL_SIGNALING_DOCTOR_H

#include <stdio.h>

#include "signaling/config.h"

/* X(state, word, exit status): from harmless to hopeless. */
#define PL_DOCTOR_STATE_LIST(X)  \
	X(OK, "ok", 0)           \
	X(NOTE, "note", 0)       \
	X(WARNING, "warning", 1) \
	X(BROKEN, "broken", 2)

enum pl_doctor_state {
#define X(name, word, status) PL_DOCTOR_##name,
	PL_DOCTOR_STATE_LIST(X)
#undef X
};

enum { PL_DOCTOR_FINDINGS_MAX = 32, PL_DOCTOR_FOUND_SIZE = 640, PL_DOCTOR_MEND_SIZE = 320, PL_DOCTOR_ERROR_SIZE = 512 };

struct pl_doctor_finding {
	const char *subject; /* static; a word or two */
	enum pl_doctor_state state;
	char found[PL_DOCTOR_FOUND_SIZE]; /* a sentence without its period */
	char mend[PL_DOCTOR_MEND_SIZE];   /* a command for a shell; "" for none */
};

struct pl_doctor {
	struct pl_doctor_finding finding[PL_DOCTOR_FINDINGS_MAX];
	size_t count;
};

/* Adds a finding.  Beyond PL_DOCTOR_FINDINGS_MAX is our bug. */
PL_PRINTF(4, 5)
void pl_doctor_tell(struct pl_doctor *doctor, const char *subject, enum pl_doctor_state state, const char *format, ...);

/* The command that mends the finding told last. */
PL_PRINTF(2, 3) void pl_doctor_mend(struct pl_doctor *doctor, const char *format, ...);

/* 0: all is well; 1: there are warnings; 2: Plenum will not start, or not work. */
int pl_doctor_status(const struct pl_doctor *doctor);

/* For people: aligned, wrapped, in colour where with_colour. */
void pl_doctor_print(const struct pl_doctor *doctor, bool with_colour, FILE *file);

/* {"version","status","findings":[{"subject","state","found","mend"}]}; mend is null where there is none. */
void pl_doctor_print_json(const struct pl_doctor *doctor, FILE *file);

/* Starts a server as main does.  False: error has a sentence.  It is called in a process of its own, which then ends. */
typedef bool (*pl_doctor_starter)(void *context, char error[static PL_DOCTOR_ERROR_SIZE]);

/* Examines everything, prints, and returns the exit status. */
int pl_doctor_run(const struct pl_config *config, bool as_json, pl_doctor_starter starter, void *context);

#endif
