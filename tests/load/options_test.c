#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/load/options.h"

enum { WORDS_MAX = 12 };

/* words: the command line behind the program's name, ended by NULL. */
static bool parse(struct load_options *options, const char *const *words, char error[static LOAD_ERROR_SIZE])
{
	char text[WORDS_MAX][LOAD_TEXT_SIZE + 64] = { "plenum-load" };
	char *argv[WORDS_MAX + 1] = { text[0] };
	enum load_action action;
	int argc = 1;
	for (; words[argc - 1] != NULL; argc++) {
		assert_true(argc < WORDS_MAX && strlen(words[argc - 1]) < sizeof text[0]);
		strcpy(text[argc], words[argc - 1]);
		argv[argc] = text[argc];
	}
	error[0] = '\0';
	const bool is_parsed = load_options_parse(options, argc, argv, &action, error);
	assert_true(!is_parsed || action == LOAD_RUN);
	assert_true(is_parsed == (error[0] == '\0'));
	return is_parsed;
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A first run with no options at all has to work. */
static void test_options_defaults_are_accepted(void **state)
{
	(void)state;
	struct load_options o;
	char error[LOAD_ERROR_SIZE];
	assert_true(parse(&o, (const char *const[]){ NULL }, error));
	assert_string_equal(o.url.host, "127.0.0.1");
	assert_int_equal(o.url.port, 8080);
	assert_int_equal(load_options_clients(&o), 11);
	assert_int_equal(o.api, LOAD_API_PLENUM);
	assert_true(o.has_gro && !o.drop_media && !o.is_insecure);
}

static void test_options_every_form_of_a_word(void **state)
{
	(void)state;
	struct load_options o;
	char error[LOAD_ERROR_SIZE];
	assert_true(parse(&o,
		WORDS("--rooms", "20", "--publishers=4", "--publishers-listen", "--gro=false", "--max-loss", "0.5",
			"--port-range", "20000-20999", "--receivers=5"),
		error));
	assert_int_equal(o.rooms, 20);
	assert_int_equal(o.publishers, 4);
	assert_true(o.do_publishers_listen);
	assert_false(o.has_gro);
	assert_true(o.max_loss_percent == 0.5);
	assert_int_equal(o.port_first, 20000);
	assert_int_equal(o.port_last, 20999);
	assert_int_equal(load_options_clients(&o), 20 * 9);
}

/* Who mistypes is told what is accepted. */
static void test_options_wrong_ones_say_what_is_accepted(void **state)
{
	(void)state;
	static const struct {
		const char *words[3];
		const char *told; /* in the error */
	} wrong[] = {
		{ { "--slots", "0" }, "slots: \"0\" is not a number from 1 to 60 (streams)" },
		{ { "--slots", "61" }, "from 1 to 60" },
		{ { "--slots", "-1" }, "from 1 to 60" },
		{ { "--slots", "3x" }, "\"3x\" is not a number" },
		{ { "--slots", "" }, "is not a number" },
		{ { "--rooms", "1e3" }, "\"1e3\" is not a number" },
		{ { "--rooms", "99999999999999999999" }, "from 1 to 100000" },
		{ { "--rate", "2.5" }, "from 1 to 1000" },
		{ { "--max-loss", "101" }, "from 0 to 100 (percent)" },
		{ { "--max-loss", "nan" }, "from 0 to 100" },
		{ { "--api", "sip" }, "api: \"sip\" is none of plenum|whip" },
		{ { "--api", "whi" }, "none of" },
		{ { "--audio", "mix" }, "audio: \"mix\" is none of forward|mixed|auto" },
		{ { "--sound", "noise" }, "sound: \"noise\" is none of auto|stamp|voice|pulse" },
		{ { "--sound=voice", "--rate=100" }, "rate: a voice or a pulse has 50 packets/s" },
		{ { "--audio=mixed", "--rate=100" }, "rate: a voice" },
		{ { "--sound=pulse", "--payload=14" }, "payload: a voice or a pulse has at least 15 bytes" },
		{ { "--decode-every", "-1" }, "decode_every: \"-1\" is not a number from 0" },
		{ { "--gro=maybe" }, "neither true nor false" },
		{ { "--port-range", "20000" }, "not of the form 20000-20999" },
		{ { "--port-range", "20999-20000" }, "not of the form" },
		{ { "--port-range", "1-65536" }, "not of the form" },
		{ { "--port-range", "20000-20005" }, "6 ports are too few for 10 receivers" },
		{ { "--slotz", "3" }, "--slotz: there is no such option; plenum-load --help" },
		{ { "slots", "3" }, "\"slots\" is not understood; plenum-load --help" },
		{ { "--duration" }, "--duration wants a value" },
		{ { "--url", "ftp://here" }, "url: \"ftp://here\" is not of the form http://host:port" },
		{ { "--url", "http://" }, "has no host" },
		{ { "--url", "http://here:0" }, "has no port from 1 to 65535" },
		{ { "--url", "http://here:80x" }, "has no port" },
		{ { "--url", "http://[::1" }, "has no host" },
		{ { "--room", "" }, "room: wants 1 to 255 bytes" },
		{ { "--api=whip", "--publishers-listen" }, "WHIP publishers cannot receive" },
		{ { "--receivers=0", "--publishers=0" }, "are 0 clients; 1 to 1000000" },
		{ { "--rooms=100000", "--receivers=11" }, "are 1200000 clients" },
		{ { "--scenario", "/nonexistent" }, "/nonexistent: cannot be read: No such file" },
	};
	for (size_t i = 0; i < PL_COUNT(wrong); i++) {
		struct load_options o;
		char error[LOAD_ERROR_SIZE];
		if (parse(&o, WORDS(wrong[i].words[0], wrong[i].words[1], wrong[i].words[2]), error))
			fail_msg("%s %s is taken", wrong[i].words[0], wrong[i].words[1]);
		if (strstr(error, wrong[i].told) == NULL)
			fail_msg("\"%s\" is not in \"%s\"", wrong[i].told, error);
	}
}

/* Who asks for a mix gets publishers that can be mixed, unless it says otherwise. */
static void test_options_sound_follows_audio(void **state)
{
	(void)state;
	static const struct {
		const char *words[3];
		uint32_t sound;
		bool is_mixed;
	} cases[] = {
		{ { "--slots=3" }, LOAD_SOUND_STAMP, false },
		{ { "--audio=mixed" }, LOAD_SOUND_VOICE, true },
		{ { "--audio=mixed", "--sound=stamp" }, LOAD_SOUND_STAMP, true },
		{ { "--audio=auto", "--slots=1" }, LOAD_SOUND_VOICE, true },
		{ { "--audio=auto", "--slots=2" }, LOAD_SOUND_STAMP, false },
		{ { "--sound=pulse" }, LOAD_SOUND_PULSE, false },
		{ { "--sound=stamp", "--rate=100" }, LOAD_SOUND_STAMP, false },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct load_options o;
		char error[LOAD_ERROR_SIZE];
		assert_true(parse(&o, WORDS(cases[i].words[0], cases[i].words[1], cases[i].words[2]), error));
		assert_int_equal(o.sound, cases[i].sound);
		assert_int_equal(load_options_is_mixed(&o), cases[i].is_mixed);
	}
}

/* A value of any length is an error and no overflow. */
static void test_options_long_values_are_refused(void **state)
{
	(void)state;
	static char value[5000];
	memset(value, 'x', sizeof value - 1);
	static const char *const keys[] = { "url", "room", "rooms", "api", "gro", "port_range", "json", "token" };
	for (size_t i = 0; i < PL_COUNT(keys); i++) {
		struct load_options o;
		char error[LOAD_ERROR_SIZE];
		load_options_defaults(&o);
		assert_false(load_options_set(&o, keys[i], value, error));
		assert_true(strlen(error) < LOAD_ERROR_SIZE);
	}
	struct load_options o;
	char error[LOAD_ERROR_SIZE];
	assert_false(load_options_set(&o, value, "1", error));
	struct load_url url;
	assert_false(load_url_parse(&url, value, error));
}

static void test_options_url_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host, *authority, *path;
		uint16_t port;
		bool has_tls;
	} urls[] = {
		{ "http://sfu.example", "sfu.example", "sfu.example", "", 80, false },
		{ "https://sfu.example", "sfu.example", "sfu.example", "", 443, true },
		{ "https://sfu.example:8443/behind/", "sfu.example", "sfu.example:8443", "/behind/", 8443, true },
		{ "http://[::1]:8080", "::1", "[::1]:8080", "", 8080, false },
		{ "http://[2001:db8::1]/x", "2001:db8::1", "[2001:db8::1]", "/x", 80, false },
	};
	for (size_t i = 0; i < PL_COUNT(urls); i++) {
		struct load_url url;
		char error[LOAD_ERROR_SIZE];
		assert_true(load_url_parse(&url, urls[i].text, error));
		assert_string_equal(url.host, urls[i].host);
		assert_string_equal(url.authority, urls[i].authority);
		assert_string_equal(url.path, urls[i].path);
		assert_int_equal(url.port, urls[i].port);
		assert_int_equal(url.has_tls, urls[i].has_tls);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_defaults_are_accepted),
		cmocka_unit_test(test_options_every_form_of_a_word),
		cmocka_unit_test(test_options_wrong_ones_say_what_is_accepted),
		cmocka_unit_test(test_options_sound_follows_audio),
		cmocka_unit_test(test_options_long_values_are_refused),
		cmocka_unit_test(test_options_url_forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
