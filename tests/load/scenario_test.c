#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/load/scenario.h"

/* Reads a scenario of these bytes, over the defaults.  error: empty when it was taken. */
static bool read_bytes(struct load_options *options, const void *bytes, size_t size, char error[static LOAD_ERROR_SIZE])
{
	char path[] = "/tmp/plenum_load_scenario_XXXXXX";
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	error[0] = '\0';
	load_options_defaults(options);
	const bool is_read = load_scenario_read(options, path, error);
	assert_true(is_read == (error[0] == '\0'));
	unlink(path);
	return is_read;
}

static bool read_text(struct load_options *options, const char *text, char error[static LOAD_ERROR_SIZE])
{
	return read_bytes(options, text, strlen(text), error);
}

static void test_scenario_sets_what_it_names(void **state)
{
	(void)state;
	struct load_options o;
	char error[LOAD_ERROR_SIZE];
	assert_true(read_text(&o,
		"# twenty calls of four\n"
		"rooms: 20\n"
		"publishers: 4\n"
		"receivers: 0\n"
		"publishers_listen: true # as in a call\n"
		"url: \"http://[::1]:8080\"\n"
		"port_range: 20000-20999\n",
		error));
	assert_int_equal(o.rooms, 20);
	assert_int_equal(o.publishers, 4);
	assert_int_equal(o.receivers, 0);
	assert_true(o.do_publishers_listen);
	assert_string_equal(o.url_text, "http://[::1]:8080");
	assert_int_equal(o.port_first, 20000);
	assert_int_equal(o.slots, 3);
}

static void test_scenario_empty_file_is_the_defaults(void **state)
{
	(void)state;
	struct load_options o, defaults;
	char error[LOAD_ERROR_SIZE];
	load_options_defaults(&defaults);
	assert_true(read_text(&o, "", error));
	assert_memory_equal(&o, &defaults, sizeof o);
	assert_true(read_text(&o, "# nothing yet\n", error));
	assert_memory_equal(&o, &defaults, sizeof o);
}

/* The line is named: scenario files get long. */
static void test_scenario_errors_name_file_and_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *told;
	} wrong[] = {
		{ "rooms: 2\nslotz: 1\n", ":2: slotz: there is no such key; plenum-load --help" },
		{ "rooms: 2\n\nslots: many\n", ":3: slots: \"many\" is not a number from 1 to 60 (streams)" },
		{ "rooms: 2\nslots: [1]\n", ":2: slots has to be one word" },
		{ "rooms: 2\nslots:\n  a: 1\n", "slots has to be one word" },
		{ "[1, 2]: 3\n", "a key has to be one word" },
		{ "- rooms\n", ":1: a scenario is lines of the form rooms: 20" },
		{ "rooms\n", ":1: a scenario is lines of the form rooms: 20" },
		{ "rooms: 2\n\tslots: 1\n", "not YAML: " },
		{ "rooms: \"2\nslots: 1\n", "not YAML: " },
		{ "rooms: 2\n---\nrooms: 3\n", ":2: one document is one scenario" },
		{ "rooms: *a\n", "rooms has to be one word" },
		{ "rooms: 1\nslots: 2\nrooms: 2\n", ":3: rooms: set a second time; the first is in line 1" },
		{ "port_range: 20000-20999\nport-range: 0\n",
			":2: port-range: set a second time; the first is in line 1" },
	};
	for (size_t i = 0; i < PL_COUNT(wrong); i++) {
		struct load_options o;
		char error[LOAD_ERROR_SIZE];
		if (read_text(&o, wrong[i].text, error))
			fail_msg("this is taken: %s", wrong[i].text);
		if (strstr(error, wrong[i].told) == NULL || strstr(error, "plenum_load_scenario_") == NULL)
			fail_msg("\"%s\" is not in \"%s\"", wrong[i].told, error);
	}
}

/* Files that are not text at all end in a sentence, too: every byte once in every place of a good one. */
static void test_scenario_any_bytes_end_in_a_sentence(void **state)
{
	(void)state;
	static const char good[] = "rooms: 2\nslots: 4\n";
	struct load_options o;
	char error[LOAD_ERROR_SIZE], text[sizeof good];
	size_t refused = 0;
	for (size_t at = 0; at + 1 < sizeof good; at += 3) {
		for (int byte = 0; byte < 256; byte += 5) {
			memcpy(text, good, sizeof good);
			text[at] = (char)byte;
			refused += !read_bytes(&o, text, sizeof good - 1, error);
		}
	}
	assert_true(refused > 100);
	static char longest[100000];
	memset(longest, 'x', sizeof longest);
	assert_false(read_bytes(&o, longest, sizeof longest, error));
	memcpy(longest, "room: ", 6);
	assert_false(read_bytes(&o, longest, sizeof longest, error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenario_sets_what_it_names),
		cmocka_unit_test(test_scenario_empty_file_is_the_defaults),
		cmocka_unit_test(test_scenario_errors_name_file_and_line),
		cmocka_unit_test(test_scenario_any_bytes_end_in_a_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
