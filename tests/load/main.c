/* plenum-load: fills a WebRTC server with rooms, and tells what arrives, how late, and what it costs. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "tests/load/report.h"
#include "tests/load/run.h"

enum { EXIT_GOOD = 0, EXIT_BAD = 1, EXIT_USAGE = 2 };

static void on_signal(int number)
{
	(void)number;
	load_run_interrupt();
}

int main(int argc, char **argv)
{
	static struct load_options options;
	static struct load_result result;
	enum load_action action;
	char error[LOAD_ERROR_SIZE];
	if (!load_options_parse(&options, argc, argv, &action, error)) {
		fprintf(stderr, "plenum-load: %s\n", error);
		return EXIT_USAGE;
	}
	if (action == LOAD_HELP) {
		load_options_print_help(stdout);
		return EXIT_GOOD;
	}
	signal(SIGPIPE, SIG_IGN);
	const struct sigaction on_end = { .sa_handler = on_signal };
	sigaction(SIGINT, &on_end, NULL);
	sigaction(SIGTERM, &on_end, NULL);
	if (!load_run(&options, &result, error)) {
		fprintf(stderr, "plenum-load: %s\n", error);
		return EXIT_BAD;
	}
	load_report_print(strcmp(options.json_path, "-") == 0 ? stderr : stdout, &result, &options);
	if (options.json_path[0] != '\0' && !load_report_write_json(options.json_path, &result, &options)) {
		fprintf(stderr, "plenum-load: %s cannot be written: %s\n", options.json_path, strerror(errno));
		return EXIT_BAD;
	}
	return load_result_is_good(&result, &options) ? EXIT_GOOD : EXIT_BAD;
}
