#include "signaling/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "media/dsp.h"
#include "media/srtp.h"

/* Loads text as a file of its own; the error's path is cut off. */
static enum pl_err load(
	struct pl_config *config, const char *text, size_t size, char error[static PL_CONFIG_ERROR_SIZE])
{
	char path[] = "plenum.yaml.XXXXXX";
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	close(fd);
	error[0] = '\0';
	const enum pl_err err = pl_config_load(config, path, error);
	unlink(path);
	if (err != PL_ERR_NONE) {
		assert_int_equal(strncmp(error, path, sizeof(path) - 1), 0);
		memmove(error, error + sizeof(path) - 1, strlen(error + sizeof(path) - 1) + 1);
	}
	return err;
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	char *text = calloc(1, 65536);
	assert_true(fread(text, 1, 65535, file) < 65535);
	fclose(file);
	return text;
}

static char *print(const struct pl_config *config, bool with_comments)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	pl_config_print(config, with_comments, file);
	fclose(file);
	return text;
}

/* An operator who reads config/plenum.yaml reads what the program does: each key, default, range and reason. */
static void test_config_annotated_file_is_the_list(void **state)
{
	(void)state;
	struct pl_config config;
	pl_config_defaults(&config);
	char *expected = print(&config, true);
	char *found = read_file(PLENUM_SOURCE_DIR "/config/plenum.yaml");
	assert_string_equal(found, expected);
	free(expected);
	free(found);
}

/* What --print-config prints can be given back by --config, whatever bytes the values have. */
static void test_config_print_reads_back(void **state)
{
	(void)state;
	struct pl_config config, again;
	char error[PL_CONFIG_ERROR_SIZE];
	pl_config_defaults(&config);
	assert_int_equal(pl_config_set(&config, "http.root=/a \"b\" \\c: #d", error), PL_ERR_NONE);
	assert_int_equal(pl_config_set(&config, "media.address=192.0.2.1, 2001:db8::1", error), PL_ERR_NONE);
	assert_int_equal(pl_config_set(&config, "media.port=9", error), PL_ERR_NONE);
	for (int with_comments = 0; with_comments < 2; with_comments++) {
		char *text = print(&config, with_comments);
		pl_config_defaults(&again);
		assert_int_equal(load(&again, text, strlen(text), error), PL_ERR_NONE);
		assert_memory_equal(&again, &config, offsetof(struct pl_config, origin));
		free(text);
	}
}

/* A typing error would otherwise be a server that silently does something else: each is refused, and the answer tells the
 * line, the key, what was found and what would be right. */
static void test_config_mistakes_are_explained(void **state)
{
	(void)state;
	static const struct {
		const char *yaml, *error;
	} mistake[] = {
		{ "media:\n  prot: 1\n", ":2: media.prot: unknown key; did you mean media.port?" },
		{ "media:\n  colour: 1\n",
			":2: media.colour: unknown key; there are media.address, media.port, "
			"media.shards, media.room_spread, media.coalesce_us, media.pool_packets, "
			"media.srtp, media.simd, media.mixing, media.codec_workers, media.mix_talkers" },
		{ "\n\nmedai:\n  port: 1\n", ":3: medai: unknown section; did you mean media?" },
		{ "zzz:\n  port: 1\n", ":1: zzz: unknown section; there are http, media, limits, drain, pressure, "
				       "canary, admin, log" },
		{ "media:\n  port: abc\n", ":2: media.port: \"abc\" is not a number from 0 to 65000" },
		{ "media:\n  port: 65001\n", ":2: media.port: \"65001\" is not a number from 0 to 65000" },
		{ "media:\n  port: -1\n", ":2: media.port: \"-1\" is not a number from 0 to 65000" },
		{ "media:\n  port: 4294967296\n", ":2: media.port: \"4294967296\" is not a number from 0 to 65000" },
		{ "media:\n  port: 18446744073709551617\n",
			":2: media.port: \"18446744073709551617\" is not a number from 0 to 65000" },
		{ "media:\n  port:\n", ":2: media.port: \"\" is not a number from 0 to 65000" },
		{ "media:\n  port: 1\n  port: 2\n", ":3: media.port: set a second time; the first is in line 2" },
		{ "media:\n  port: 1\nlog:\nmedia:\n", ":4: media: written a second time; the first is in line 1" },
		{ "media:\n  port: [1]\n", ":2: media.port: a list stands where one value belongs (UDP port)" },
		{ "media:\n  port: {a: 1}\n", ":2: media.port: a mapping stands where one value belongs (UDP port)" },
		{ "media:\n  port: \"1\\0\"\n",
			":2: media.port: a NUL byte stands where one value belongs (UDP port)" },
		{ "media:\n  address: [192.0.2.1, [a]]\n", ":2: media.address: an item of the list is not a text" },
		{ "media:\n  address: [192.0.2.1, example.org]\n", ":2: media.address: \"192.0.2.1, example.org\" is "
								   "not a list of at most 16 IP addresses, such as "
								   "192.0.2.1, 2001:db8::1" },
		{ "http:\n  trusted_proxies: [10.0.0.0/8, 10.0.0.0/33]\n",
			":2: http.trusted_proxies: \"10.0.0.0/8, 10.0.0.0/33\" is not a list of at most 32 IP "
			"addresses "
			"or networks, such as 10.0.0.0/8, 2001:db8::1" },
		{ "media: 7882\n",
			":1: media: is a section, and wants its keys indented below it, such as address: ..." },
		{ "- media\n", ":1: the file has to be a mapping of sections, such as media: and below it port: 7882" },
		{ "media\n", ":1: the file has to be a mapping of sections, such as media: and below it port: 7882" },
		{ "log:\n  level: loud\n", ":2: log.level: \"loud\" is not one of error|warning|info|debug" },
		{ "log:\n  level: err\n", ":2: log.level: \"err\" is not one of error|warning|info|debug" },
		{ "log:\n  level: \"\"\n", ":2: log.level: \"\" is not one of error|warning|info|debug" },
		{ "http:\n  listen: example.org:1\n", ":2: http.listen: \"example.org:1\" is not an address and a "
						      "port, such as 127.0.0.1:8080, [::1]:8080 "
						      "or :8080" },
		{ "http:\n  root: \"a\\tb\"\n",
			":2: http.root: \"a?b\" is not a text of at most 500 bytes without control characters" },
		{ "a: &x 1\n",
			":1: a: unknown section; there are http, media, limits, drain, pressure, canary, admin, log" },
		{ "media:\n  port: *x\n", ":2: aliases (*name) are not understood here; write the value" },
		{ "{a: 1}: 2\n", ":1: the name of a section is not a text" },
		{ "media:\n  [a]: 2\n", ":2: media: the name of a key is not a text" },
		{ "media:\n  port: 1\n---\nlog:\n", ":3: a second document begins (---); one is all there can be" },
		{ "media:\n\tport: 1\n",
			":2: not YAML: found character that cannot start any token, while scanning for the next "
			"token" },
	};
	for (size_t i = 0; i < PL_COUNT(mistake); i++) {
		struct pl_config config;
		char error[PL_CONFIG_ERROR_SIZE];
		pl_config_defaults(&config);
		assert_int_equal(load(&config, mistake[i].yaml, strlen(mistake[i].yaml), error), PL_ERR_CONFIG);
		assert_string_equal(error, mistake[i].error);
	}
}

static void test_config_good_files_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *yaml;
		uint32_t port;
		const char *address;
	} good[] = {
		{ "", 7882, "" },
		{ "# only words\n", 7882, "" },
		{ "media:\nlog:\n", 7882, "" },
		{ "---\nmedia:\n  port: 65000\n...\n", 65000, "" },
		{ "{media: {port: \"7\", address: 192.0.2.1}}", 7, "192.0.2.1" },
		{ "media:\n  address:\n    - 192.0.2.1\n    - 2001:db8::1\n", 7882, "192.0.2.1, 2001:db8::1" },
		{ "media:\n  address: []\n", 7882, "" },
		{ "\xef\xbb\xbfmedia:\r\n  port: 1\r\n", 1, "" },
	};
	for (size_t i = 0; i < PL_COUNT(good); i++) {
		struct pl_config config;
		char error[PL_CONFIG_ERROR_SIZE];
		pl_config_defaults(&config);
		assert_int_equal(load(&config, good[i].yaml, strlen(good[i].yaml), error), PL_ERR_NONE);
		assert_int_equal(config.media_port, good[i].port);
		assert_string_equal(config.media_address, good[i].address);
	}
}

/* A file cut off at any byte, or with any byte damaged, is read or refused, and nothing worse. */
static void test_config_damaged_files_do_no_harm(void **state)
{
	(void)state;
	static const char whole[] = "media:\n  address: [192.0.2.1, \"2001:db8::1\"]\n  port: 9\nlog: {level: debug}\n";
	char text[sizeof(whole)], error[PL_CONFIG_ERROR_SIZE];
	struct pl_config config;
	for (size_t size = 0; size < sizeof(whole); size++) {
		pl_config_defaults(&config);
		if (load(&config, whole, size, error) != PL_ERR_NONE)
			assert_true(strlen(error) > 4);
	}
	static const char bytes[] = "\0\t\n\x80\xff{[*&!%@'\"#:-";
	for (size_t at = 0; at + 1 < sizeof(whole); at++) {
		for (size_t byte = 0; byte + 1 < sizeof(bytes); byte++) {
			memcpy(text, whole, sizeof(whole));
			text[at] = bytes[byte];
			pl_config_defaults(&config);
			if (load(&config, text, sizeof(whole) - 1, error) != PL_ERR_NONE)
				assert_true(strlen(error) > 4);
		}
	}
}

static void test_config_unreadable_files_are_named(void **state)
{
	(void)state;
	struct pl_config config;
	char error[PL_CONFIG_ERROR_SIZE];
	pl_config_defaults(&config);
	assert_int_equal(pl_config_load(&config, "no/such/plenum.yaml", error), PL_ERR_CONFIG);
	assert_string_equal(error, "no/such/plenum.yaml: cannot be read: No such file or directory");
	assert_int_equal(pl_config_load(&config, ".", error), PL_ERR_CONFIG);
	assert_string_equal(error, ".: cannot be read: Is a directory");
}

static void test_config_set_speaks_like_the_file(void **state)
{
	(void)state;
	static const struct {
		const char *assignment, *error;
	} mistake[] = {
		{ "media.port=abc", "--set media.port=abc: \"abc\" is not a number from 0 to 65000" },
		{ "media.prot=1", "--set media.prot=...: unknown key; did you mean media.port?" },
		{ "media.port", "--set media.port: is not key=value, such as media.port=9000" },
		{ "=1", "--set ...: is not key=value, such as media.port=9000" },
		{ "port=1", "--set port=...: unknown key; there are http.*, media.*, limits.*, drain.*, pressure.*, "
			    "canary.*, "
			    "admin.*, "
			    "log.*" },
	};
	struct pl_config config;
	char error[PL_CONFIG_ERROR_SIZE];
	pl_config_defaults(&config);
	for (size_t i = 0; i < PL_COUNT(mistake); i++) {
		assert_int_equal(pl_config_set(&config, mistake[i].assignment, error), PL_ERR_CONFIG);
		assert_string_equal(error, mistake[i].error);
	}
	assert_int_equal(pl_config_set(&config, "http.root=/a=b", error), PL_ERR_NONE);
	assert_string_equal(config.http_root, "/a=b");

	char long_value[700] = "http.root=";
	memset(long_value + 10, 'a', 689);
	assert_int_equal(pl_config_set(&config, long_value, error), PL_ERR_CONFIG);
	assert_non_null(strstr(error, "is not a text of at most 500 bytes"));
}

/* A screen, a log or a bug report must not tell the token: not as it is, nor a part of it, however it was misspelt. */
static void test_config_never_shows_a_secret(void **state)
{
	(void)state;
	enum { SECRET_SIZE = 300 };
	char secret[SECRET_SIZE + 1] = "", error[PL_CONFIG_ERROR_SIZE], assignment[SECRET_SIZE + 40], text[16384];
	memset(secret, 'Q', SECRET_SIZE);
	struct pl_config config;
	static const char *const before[] = {
		"admin.token=", "admin.tokn=", "admintoken=", "admin.token:", "admin.token ", "=", "token="
	};
	for (size_t i = 0; i < PL_COUNT(before); i++) {
		pl_config_defaults(&config);
		snprintf(assignment, sizeof assignment, "%s%s", before[i], secret);
		assert_int_equal(pl_config_set(&config, assignment, error), PL_ERR_CONFIG);
		if (strstr(error, "QQ") != NULL)
			fail_msg("%s: %s", before[i], error);
	}
	secret[40] = '\0';
	snprintf(assignment, sizeof assignment, "admin.token=%s", secret);
	assert_int_equal(pl_config_set(&config, assignment, error), PL_ERR_NONE);
	assert_string_equal(config.admin_token, secret);
	FILE *file = fmemopen(text, sizeof text, "w");
	pl_config_print(&config, true, file);
	fclose(file);
	assert_null(strstr(text, "QQ"));
	assert_non_null(strstr(text, "\n  # token is set, and not printed.\n"));
	pl_config_defaults(&config);
	file = fmemopen(text, sizeof text, "w");
	pl_config_print(&config, false, file);
	fclose(file);
	assert_non_null(strstr(text, "\n  token: \"\"\n"));
}

static void test_config_check_sees_what_one_key_cannot(void **state)
{
	(void)state;
	struct pl_config config;
	char error[PL_CONFIG_ERROR_SIZE];
	pl_config_defaults(&config);
	assert_int_equal(pl_config_check(&config, error), PL_ERR_NONE);
	strcpy(config.admin_token, "too short, spaced");
	assert_int_equal(pl_config_check(&config, error), PL_ERR_CONFIG);
	assert_string_equal(
		error, "admin.token: it must have 16 to 256 characters of ASCII without spaces, or be empty");
	strcpy(config.admin_token, "0123456789abcdef");
	assert_int_equal(pl_config_check(&config, error), PL_ERR_NONE);
	static const char *const not_urls[] = { "other.example.org", "https://", "ftp://other", "https://a/b",
		"http://a\"b" };
	for (size_t i = 0; i < PL_COUNT(not_urls); i++) {
		strcpy(config.drain_move_to, not_urls[i]);
		assert_int_equal(pl_config_check(&config, error), PL_ERR_CONFIG);
	}
	assert_string_equal(error, "drain.move_to: \"http://a\"b\" is not the address of a server, such as "
				   "https://other.example.org");
	strcpy(config.drain_move_to, "https://other.example.org:8443");
	assert_int_equal(pl_config_check(&config, error), PL_ERR_NONE);
	strcpy(config.http_tls_cert, "cert.pem");
	assert_int_equal(pl_config_check(&config, error), PL_ERR_CONFIG);
	assert_string_equal(error, "http.tls_cert is set, but http.tls_key is not: HTTPS needs both, HTTP none");
	strcpy(config.http_tls_key, "no/such.key");
	strcpy(config.http_tls_cert, "no/such.crt");
	assert_int_equal(pl_config_check(&config, error), PL_ERR_CONFIG);
	assert_string_equal(error, "http.tls_cert: \"no/such.crt\" cannot be read: No such file or directory");
}

/* An error that shows only with all keys together still says where the key in question was set, and by whom last. */
static void test_config_check_names_the_last_setter(void **state)
{
	(void)state;
	static const struct {
		const char *first, *second, *set,
			*error; /* second, set: NULL for none; "*" in error: the second file */
	} cases[] = {
		{ "http:\n  listen: ':1'\n  tls_cert: /nope\n", NULL, NULL,
			":3: http.tls_cert is set, but http.tls_key is not: HTTPS needs both, HTTP none" },
		{ "http:\n  tls_cert: ''\n\n\n  tls_key: /nope\n", NULL, NULL,
			":5: http.tls_key is set, but http.tls_cert is not: HTTPS needs both, HTTP none" },
		{ "http:\n  tls_cert: /nope\n  tls_key: /dev/null\n", NULL, NULL,
			":2: http.tls_cert: \"/nope\" cannot be read: No such file or directory" },
		{ "http:\n  tls_cert: /dev/null\n  tls_key: /nope\n", NULL, NULL,
			":3: http.tls_key: \"/nope\" cannot be read: No such file or directory" },
		{ "http: { ping_s: 9, root: /no/pe }\n", NULL, NULL,
			":1: http.root: \"/no/pe\" cannot be read: No such file or directory" },
		{ "http:\n  root: /nope\n", "log: { level: info }\nhttp:\n  root: /neither\n", NULL,
			"*:3: http.root: \"/neither\" cannot be read: No such file or directory" },
		{ "http:\n  root: /nope\n", "log: { level: info }\n", NULL,
			":2: http.root: \"/nope\" cannot be read: No such file or directory" },
		{ "http:\n  root: /nope\n", NULL, "http.root=/neither",
			"--set: http.root: \"/neither\" cannot be read: No such file or directory" },
		{ "http:\n  root: /nope\n", NULL, "http.tls_key=/neither",
			"--set: http.tls_key is set, but http.tls_cert is not: HTTPS needs both, HTTP none" },
		{ "http:\n  root: /nope\n", NULL, "http.root=", "" },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_config config;
		char path[2][24] = { "plenum.yaml.XXXXXX", "other.yaml.XXXXXX" }, error[PL_CONFIG_ERROR_SIZE] = "";
		const char *text[2] = { cases[i].first, cases[i].second };
		pl_config_defaults(&config);
		for (size_t k = 0; k < 2; k++) {
			const int fd = mkstemp(path[k]);
			assert_true(fd >= 0);
			const size_t size = text[k] != NULL ? strlen(text[k]) : 0;
			assert_int_equal(write(fd, text[k], size), size);
			close(fd);
			const enum pl_err err = size > 0 ? pl_config_load(&config, path[k], error) : PL_ERR_NONE;
			unlink(path[k]);
			assert_int_equal(err, PL_ERR_NONE);
		}
		if (cases[i].set != NULL)
			assert_int_equal(pl_config_set(&config, cases[i].set, error), PL_ERR_NONE);
		const char *wanted = cases[i].error;
		char expected[PL_CONFIG_ERROR_SIZE];
		snprintf(expected, sizeof(expected), "%s%s",
			wanted[0] == '*'   ? path[1]
			: wanted[0] == ':' ? path[0]
					   : "",
			wanted + (wanted[0] == '*'));
		error[0] = '\0';
		assert_int_equal(pl_config_check(&config, error), *wanted == '\0' ? PL_ERR_NONE : PL_ERR_CONFIG);
		assert_string_equal(error, expected);
	}
}

/* The words of media.srtp are those that the media plane knows, all of them. */
static void test_config_srtp_words_are_its_backends(void **state)
{
	(void)state;
	struct pl_config config;
	char error[PL_CONFIG_ERROR_SIZE], assignment[64], words[128] = "";
	for (enum pl_srtp_backend i = 0; i < PL_SRTP_BACKEND_COUNT; i++) {
		enum pl_srtp_backend parsed;
		snprintf(assignment, sizeof assignment, "media.srtp=%s", pl_srtp_backend_text(i));
		assert_int_equal(pl_config_set(&config, assignment, error), PL_ERR_NONE);
		assert_true(pl_srtp_backend_parse(config.media_srtp, &parsed) && parsed == i);
		strcat(strcat(words, i == 0 ? "" : "|"), pl_srtp_backend_text(i));
	}
	assert_int_equal(pl_config_set(&config, "media.srtp=nss", error), PL_ERR_CONFIG);
	assert_non_null(strstr(error, words));
	enum pl_srtp_backend parsed;
	assert_false(pl_srtp_backend_parse("nss", &parsed));
	assert_false(pl_srtp_backend_parse("", &parsed));
}

/* The words of media.simd are those of the mixer, all of them; one that this CPU lacks is refused at the start, with the
 * place where it was asked for and the reason. */
static void test_config_simd_words_are_the_mixers(void **state)
{
	(void)state;
	struct pl_config config;
	char error[PL_CONFIG_ERROR_SIZE], assignment[64], expected[PL_CONFIG_ERROR_SIZE], words[128] = "";
	for (enum pl_simd i = 0; i < PL_SIMD_COUNT; i++) {
		pl_config_defaults(&config);
		snprintf(assignment, sizeof assignment, "media.simd=%s", pl_simd_text(i));
		assert_int_equal(pl_config_set(&config, assignment, error), PL_ERR_NONE);
		strcat(strcat(words, i == 0 ? "" : "|"), pl_simd_text(i));
		if (pl_simd_lack(i) == NULL) {
			assert_int_equal(pl_config_check(&config, error), PL_ERR_NONE);
			continue;
		}
		snprintf(expected, sizeof expected, "--set: media.simd: %s cannot be used: %s", pl_simd_text(i),
			pl_simd_lack(i));
		assert_int_equal(pl_config_check(&config, error), PL_ERR_CONFIG);
		assert_string_equal(error, expected);
	}
	assert_int_equal(pl_config_set(&config, "media.simd=avx512", error), PL_ERR_CONFIG);
	assert_non_null(strstr(error, words));
}

static void test_config_listen_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text, *address; /* NULL: refused */
	} form[] = {
		{ "127.0.0.1:8080", "127.0.0.1:8080" },
		{ "[::1]:65535", "[::1]:65535" },
		{ ":0", "[::]:0" },
		{ "0.0.0.0:1", "0.0.0.0:1" },
		{ "localhost:80", "127.0.0.1:80" },
		{ "::1:80", NULL },
		{ "[::1]", NULL },
		{ "[]:1", NULL },
		{ "127.0.0.1", NULL },
		{ "127.0.0.1:", NULL },
		{ "127.0.0.1:65536", NULL },
		{ "127.0.0.1:-1", NULL },
		{ "127.0.0.1:8 ", NULL },
		{ "8080", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < PL_COUNT(form); i++) {
		struct pl_addr addr;
		char text[PL_ADDR_TEXT_SIZE];
		assert_int_equal(pl_config_parse_listen(form[i].text, &addr), form[i].address != NULL);
		if (form[i].address != NULL)
			assert_string_equal(pl_addr_format(&addr, text), form[i].address);
	}
}

static void test_config_address_lists_are_bounded(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int count; /* -1: refused */
	} list[] = {
		{ "", 0 },
		{ "192.0.2.1", 1 },
		{ " 192.0.2.1 , ::1", 2 },
		{ "192.0.2.1,", -1 },
		{ ",192.0.2.1", -1 },
		{ "192.0.2.1 ::1 x", -1 },
		{ "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1."
		  "1.1,"
		  "1.1.1.1,1.1.1.1,1.1.1.1",
			16 },
		{ "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1."
		  "1.1,"
		  "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
			-1 },
	};
	for (size_t i = 0; i < PL_COUNT(list); i++) {
		struct pl_addr addr[PL_CONFIG_ADDRESSES_MAX];
		size_t count;
		const bool is_read = pl_config_parse_addresses(list[i].text, addr, &count);
		assert_int_equal(is_read, list[i].count >= 0);
		if (is_read)
			assert_int_equal(count, list[i].count);
	}
}

static void test_config_network_lists_are_bounded(void **state)
{
	(void)state;
	char text[4 * (PL_CONFIG_NETWORKS_MAX + 1) + 1] = "";
	struct pl_addr_range network[PL_CONFIG_NETWORKS_MAX];
	size_t count;
	assert_true(pl_config_parse_networks("", network, &count));
	assert_int_equal(count, 0);
	assert_true(pl_config_parse_networks("10.0.0.0/8 , 2001:db8::/32, 192.0.2.1", network, &count));
	assert_int_equal(count, 3);
	assert_int_equal(network[1].bits, 32);
	assert_int_equal(network[2].bits, 128);
	assert_false(pl_config_parse_networks("10.0.0.0/8,", network, &count));
	for (size_t i = 0; i < PL_CONFIG_NETWORKS_MAX; i++)
		strcat(text, "::1,");
	text[strlen(text) - 1] = '\0';
	assert_true(pl_config_parse_networks(text, network, &count));
	assert_int_equal(count, PL_CONFIG_NETWORKS_MAX);
	strcat(text, ",::1");
	assert_false(pl_config_parse_networks(text, network, &count));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_annotated_file_is_the_list),
		cmocka_unit_test(test_config_print_reads_back),
		cmocka_unit_test(test_config_mistakes_are_explained),
		cmocka_unit_test(test_config_good_files_are_read),
		cmocka_unit_test(test_config_damaged_files_do_no_harm),
		cmocka_unit_test(test_config_unreadable_files_are_named),
		cmocka_unit_test(test_config_set_speaks_like_the_file),
		cmocka_unit_test(test_config_never_shows_a_secret),
		cmocka_unit_test(test_config_check_sees_what_one_key_cannot),
		cmocka_unit_test(test_config_check_names_the_last_setter),
		cmocka_unit_test(test_config_srtp_words_are_its_backends),
		cmocka_unit_test(test_config_simd_words_are_the_mixers),
		cmocka_unit_test(test_config_listen_forms),
		cmocka_unit_test(test_config_address_lists_are_bounded),
		cmocka_unit_test(test_config_network_lists_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
