#include "signaling/arguments.h"

#include <string.h>

/* Returns the value of an option that wants one ("--set x" or "--set=x"), or NULL when argv[*at] is another option; with
 * *is_missing set when it is this one, but the value is not there. */
static const char *option_value(const char *option, int argc, char **argv, int *at, bool *is_missing)
{
	const size_t size = strlen(option);
	if (strncmp(argv[*at], option, size) != 0)
		return NULL;
	if (argv[*at][size] == '=')
		return argv[*at] + size + 1;
	if (argv[*at][size] != '\0')
		return NULL;
	*is_missing = *at + 1 == argc;
	return *is_missing ? NULL : argv[++*at];
}

/* The one verb: without it the server runs. */
static bool is_doctor(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[1], "doctor") == 0;
}

static bool take_flag(struct pl_arguments *arguments, const char *argument, bool for_doctor)
{
	if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
		arguments->action = PL_ARGUMENTS_HELP;
	else if (strcmp(argument, "--version") == 0)
		arguments->action = PL_ARGUMENTS_VERSION;
	else if (strcmp(argument, "--print-config") == 0)
		arguments->action = PL_ARGUMENTS_PRINT_CONFIG;
	else if (strcmp(argument, "--json") == 0 && for_doctor)
		arguments->is_json = true;
	else if (strcmp(argument, "--lan") == 0 && !for_doctor)
		arguments->is_lan = true;
	else if (strcmp(argument, "--qr") == 0 && !for_doctor)
		arguments->has_qr = true;
	else
		return false;
	return true;
}

/* with_file: the files alone, else the settings alone: --set wins wherever it stands. */
static enum pl_err read_options(
	struct pl_arguments *arguments, int argc, char **argv, bool with_file, char error[static PL_CONFIG_ERROR_SIZE])
{
	for (int i = is_doctor(argc, argv) ? 2 : 1; i < argc; i++) {
		bool is_missing = false;
		const char *word = argv[i];
		const char *path = option_value("--config", argc, argv, &i, &is_missing);
		const char *setting = path == NULL ? option_value("--set", argc, argv, &i, &is_missing) : NULL;
		enum pl_err err = PL_ERR_NONE;
		if (is_missing) {
			snprintf(error, PL_CONFIG_ERROR_SIZE, "%s wants a value: %s", word,
				word[2] == 'c' ? "--config plenum.yaml" : "--set media.port=9000");
			return PL_ERR_CONFIG;
		}
		if (path != NULL && with_file)
			err = pl_config_load(&arguments->config, path, error);
		else if (setting != NULL && !with_file)
			err = pl_config_set(&arguments->config, setting, error);
		else if (path == NULL && setting == NULL && !take_flag(arguments, word, is_doctor(argc, argv))) {
			snprintf(error, PL_CONFIG_ERROR_SIZE, "%.80s is not understood; plenum --help lists what is",
				word);
			err = PL_ERR_CONFIG;
		}
		if (err != PL_ERR_NONE)
			return err;
	}
	return PL_ERR_NONE;
}

enum pl_err pl_arguments_parse(
	struct pl_arguments *arguments, int argc, char **argv, char error[static PL_CONFIG_ERROR_SIZE])
{
	memset(arguments, 0, sizeof(*arguments));
	pl_config_defaults(&arguments->config);
	if (is_doctor(argc, argv))
		arguments->action = PL_ARGUMENTS_DOCTOR;
	enum pl_err err = read_options(arguments, argc, argv, true, error);
	if (err == PL_ERR_NONE)
		err = read_options(arguments, argc, argv, false, error);
	/* Help is given whatever else is wrong with the files that the configuration names; doctor tells it among the rest. */
	if (err != PL_ERR_NONE || arguments->action == PL_ARGUMENTS_HELP || arguments->action == PL_ARGUMENTS_VERSION ||
		arguments->action == PL_ARGUMENTS_DOCTOR)
		return err;
	return pl_config_check(&arguments->config, error);
}

void pl_arguments_print_help(FILE *file)
{
	fputs("usage: plenum [--config FILE] [--set KEY=VALUE]... [--lan] [--qr]\n"
	      "       plenum doctor [--config FILE] [--set KEY=VALUE]... [--json]\n"
	      "\n"
	      "Serves conferences to browsers: a page to talk on, a signaling API, and the media itself.\n"
	      "Needs no file and no privilege; the defaults serve this machine at http://localhost:8080\n"
	      "\n"
	      "  --config FILE     reads settings from a YAML file\n"
	      "  --set KEY=VALUE   sets one key, over the file; can be repeated\n"
	      "  --lan             serves the local network over HTTPS, with a certificate it makes and keeps,\n"
	      "                    and shows the address as a QR code for phones\n"
	      "  --qr              prints the QR code also where the output is no terminal\n"
	      "  --print-config    prints the settings as an annotated YAML file, and ends\n"
	      "  --version         prints the version, and ends\n"
	      "  --help            prints this, and ends\n"
	      "\n"
	      "doctor looks at this machine with the eyes of such a start, says what it finds and what mends it, and\n"
	      "ends with 0 (all is well), 1 (could be better) or 2 (Plenum will not start or not work).\n"
	      "\n"
	      "Keys and their defaults:\n",
		file);
	const struct pl_config_key *keys;
	const size_t count = pl_config_keys(&keys);
	for (size_t i = 0; i < count; i++) {
		const struct pl_config_key *key = &keys[i];
		fprintf(file, "\n  %s.%s=%s\n      %s\n", key->section, key->name, key->default_text, key->what);
		if (key->kind == PL_CONFIG_NUMBER)
			fprintf(file, "      (%u to %u %s)\n", key->min, key->max, key->unit);
		else if (key->kind == PL_CONFIG_CHOICE)
			fprintf(file, "      (%s)\n", key->unit);
	}
}
