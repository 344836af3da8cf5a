#include "sfu/io/sysfile.h"

#include <string.h>

FILE *pl_sysfile_open(const char *root, const char *path)
{
	char full[2 * PL_SYSFILE_PATH_SIZE];
	const int size = snprintf(full, sizeof full, "%s%s", root, path);
	return size > 0 && (size_t)size < sizeof full ? fopen(full, "re") : NULL;
}

bool pl_sysfile_read(const char *root, const char *path, char *text, size_t size)
{
	PL_ASSERT(size > 0);
	text[0] = '\0';
	FILE *file = pl_sysfile_open(root, path);
	if (file == NULL)
		return false;
	const size_t got = fread(text, 1, size, file);
	const bool is_read = got < size && ferror(file) == 0;
	fclose(file);
	text[is_read ? got : 0] = '\0';
	const size_t length = strlen(text);
	if (length > 0 && text[length - 1] == '\n')
		text[length - 1] = '\0';
	return is_read;
}

/* Takes digits off *text.  False: there is none, or the number does not fit. */
static bool take_number(const char **text, uint64_t *number)
{
	const char *digit = *text;
	uint64_t value = 0;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		const uint64_t unit = (uint64_t)(*digit - '0');
		if (value > (UINT64_MAX - unit) / 10)
			return false;
		value = value * 10 + unit;
	}
	if (digit == *text)
		return false;
	*text = digit;
	*number = value;
	return true;
}

bool pl_sysfile_number(const char *text, uint64_t *number)
{
	return take_number(&text, number) && *text == '\0';
}

bool pl_sysfile_list(const char *text, cpu_set_t *set)
{
	CPU_ZERO(set);
	while (*text != '\0') {
		uint64_t first, last;
		if (!take_number(&text, &first))
			return false;
		last = first;
		if (*text == '-') {
			text++;
			if (!take_number(&text, &last) || last < first)
				return false;
		}
		for (uint64_t i = first; i <= last && i < CPU_SETSIZE; i++)
			CPU_SET((size_t)i, set);
		if (*text == ',' && text[1] != '\0')
			text++;
		else if (*text != '\0')
			return false;
	}
	return true;
}
