/* Tells what a run found: a table for people, JSON for machines.
 * Thread: main. */
#ifndef PL_TESTS_LOAD_REPORT_H
#define PL_TESTS_LOAD_REPORT_H

#include <stdio.h>

#include "tests/load/result.h"

void load_report_print(FILE *file, const struct load_result *result, const struct load_options *options);

/* path "-": the standard output.  False: the file cannot be written; errno tells why. */
PL_MUST_USE bool load_report_write_json(
	const char *path, const struct load_result *result, const struct load_options *options);

#endif
