/* Runs a fuzz target over its corpus without libFuzzer: every file whole, and every prefix of it, so that each
 * bounds check is met at each length. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return 0;
	static uint8_t buffer[1 << 20];
	const size_t size = fread(buffer, 1, sizeof buffer, file);
	fclose(file);

	/* Prefixes of a large file are sampled; a copy of the exact size lets the sanitizer see one byte too far. */
	const size_t step = size / 2048 + 1;
	for (size_t length = 0;; length += step) {
		if (length > size)
			length = size;
		uint8_t *copy = malloc(length > 0 ? length : 1);
		if (copy == NULL)
			abort();
		memcpy(copy, buffer, length);
		LLVMFuzzerTestOneInput(copy, length);
		free(copy);
		if (length == size)
			return 1;
	}
}

int main(int argc, char **argv)
{
	int count = 0;
	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		if (folder == NULL) {
			fprintf(stderr, "%s: no such corpus\n", argv[i]);
			return 1;
		}
		for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
			if (entry->d_name[0] == '.')
				continue;
			char path[4096];
			snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
			count += replay_file(path);
		}
		closedir(folder);
	}
	printf("%d inputs\n", count);
	return count > 0 ? 0 : 1;
}
