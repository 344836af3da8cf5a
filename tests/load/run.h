/* One run from the first join to the last leave: makes the clients, lets them join at the pace of the ramp, measures,
 * lets them go.
 * Thread: main. */
#ifndef PL_TESTS_LOAD_RUN_H
#define PL_TESTS_LOAD_RUN_H

#include "tests/load/result.h"

/* False: it could not begin; error has a sentence.  Otherwise *result is filled, whatever happened. */
PL_MUST_USE bool load_run(
	const struct load_options *options, struct load_result *result, char error[static LOAD_ERROR_SIZE]);

/* Ends the run early, with a report of what is known.  May be called in a signal handler. */
void load_run_interrupt(void);

#endif
