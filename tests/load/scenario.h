/* A scenario file: a YAML mapping of the keys of tests/load/options.h to single values.
 * Thread: main. */
#ifndef PL_TESTS_LOAD_SCENARIO_H
#define PL_TESTS_LOAD_SCENARIO_H

#include "tests/load/options.h"

/* Sets what the file says over *options.  False: error names the file, the line and what is wrong. */
PL_MUST_USE bool load_scenario_read(struct load_options *options, const char *path, char error[static LOAD_ERROR_SIZE]);

#endif
