#include "tests/support/machine_root.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

char pl_machine_root[64];

int pl_machine_root_make(void **state)
{
	(void)state;
	snprintf(pl_machine_root, sizeof pl_machine_root, "/tmp/plenum-machine.XXXXXX");
	return mkdtemp(pl_machine_root) == NULL ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
	(void)stat, (void)kind, (void)walk;
	return remove(path);
}

int pl_machine_root_remove(void **state)
{
	(void)state;
	return nftw(pl_machine_root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void pl_machine_root_put(const char *path, const char *text)
{
	char full[512];
	snprintf(full, sizeof full, "%s%s", pl_machine_root, path);
	for (char *slash = strchr(full + strlen(pl_machine_root) + 1, '/'); slash != NULL;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	FILE *file = fopen(full, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}
