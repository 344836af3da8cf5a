/* The command line.
 * Thread: main. */
#ifndef PL_SIGNALING_ARGUMENTS_H
#define PL_SIGNALING_ARGUMENTS_H

#include <stdio.h>

#include "signaling/config.h"

enum pl_arguments_action {
	PL_ARGUMENTS_RUN,
	PL_ARGUMENTS_HELP,
	PL_ARGUMENTS_VERSION,
	PL_ARGUMENTS_PRINT_CONFIG,
	PL_ARGUMENTS_DOCTOR,
};

struct pl_arguments {
	enum pl_arguments_action action;
	bool is_lan;             /* --lan: serve the local network over HTTPS */
	bool is_json;            /* --json: what doctor finds, for machines */
	bool has_qr;             /* --qr: print the code also where stdout is no terminal */
	struct pl_config config; /* defaults, then the file, then each --set in order */
};

/* On error error has a sentence for the user. */
PL_MUST_USE enum pl_err pl_arguments_parse(
	struct pl_arguments *arguments, int argc, char **argv, char error[static PL_CONFIG_ERROR_SIZE]);

void pl_arguments_print_help(FILE *file);

#endif
