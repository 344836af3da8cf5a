#include "signaling/static.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "signaling/pages.h"

enum { PATH_SIZE = 1024 };

/* WHATWG's module scripts are refused under a wrong type, so each kind that a page may load is named. */
static const char *type_of(const char *name)
{
	static const struct {
		const char *suffix, *type;
	} known[] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".mjs", "text/javascript; charset=utf-8" },
		{ ".json", "application/json" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" },
		{ ".ico", "image/x-icon" },
		{ ".webp", "image/webp" },
		{ ".woff2", "font/woff2" },
		{ ".wasm", "application/wasm" },
		{ ".txt", "text/plain; charset=utf-8" },
	};
	const char *dot = strrchr(name, '.');
	for (size_t i = 0; dot != NULL && i < PL_COUNT(known); i++) {
		if (strcmp(dot, known[i].suffix) == 0)
			return known[i].type;
	}
	return "application/octet-stream";
}

static bool is_safe(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
	if (strspn(name, letters) != strlen(name) || name[0] == '\0')
		return false;
	for (const char *at = name; at != NULL; at = strchr(at, '/') == NULL ? NULL : strchr(at, '/') + 1) {
		if (*at == '.' || *at == '/' || *at == '\0')
			return false;
	}
	return true;
}

static bool find_embedded(const char *name, struct pl_static_file *file)
{
	for (const struct pl_page *page = pl_pages; page->name != NULL; page++) {
		if (strcmp(page->name, name) == 0) {
			file->bytes = (struct pl_bytes){ page->data, page->size };
			return true;
		}
	}
	return false;
}

static bool read_all(int fd, uint8_t *data, size_t size)
{
	for (size_t used = 0; used < size;) {
		const ssize_t got = read(fd, data + used, size - used);
		if (got <= 0)
			return false;
		used += (size_t)got;
	}
	return true;
}

/* Links may lead around in the folder, but not out of it. */
static bool is_inside(const char *root, const char *path)
{
	char *real_root = realpath(root, NULL), *real_path = realpath(path, NULL);
	const size_t size = real_root == NULL ? 0 : strlen(real_root);
	const bool inside = real_root != NULL && real_path != NULL && strncmp(real_path, real_root, size) == 0 &&
			    (real_path[size] == '/' || size == 1);
	free(real_root);
	free(real_path);
	return inside;
}

static bool find_in_folder(const char *root, const char *name, struct pl_static_file *file)
{
	char path[PATH_SIZE];
	struct stat status;
	if (snprintf(path, sizeof(path), "%s/%s", root, name) >= (int)sizeof(path))
		return false;
	if (!is_inside(root, path))
		return false;
	/* Without O_NONBLOCK a named pipe in the folder would stop the server. */
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= PL_STATIC_SIZE_MAX) {
		const size_t size = (size_t)status.st_size;
		file->owned = malloc(size + 1);
		file->bytes = (struct pl_bytes){ file->owned, size };
		if (file->owned != NULL && !read_all(fd, file->owned, size)) {
			free(file->owned);
			file->owned = NULL;
		}
	}
	close(fd);
	return file->owned != NULL;
}

/* FNV-1a of 64 bits: the browser asks whether its copy is this one, nobody else depends on it. */
static void write_etag(struct pl_bytes bytes, char etag[static PL_STATIC_ETAG_SIZE])
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (size_t i = 0; i < bytes.size; i++)
		hash = (hash ^ bytes.data[i]) * 0x100000001b3u;
	snprintf(etag, PL_STATIC_ETAG_SIZE, "\"%016" PRIx64 "\"", hash);
}

bool pl_static_find(const char *root, const char *path, struct pl_static_file *file)
{
	*file = (struct pl_static_file){ .type = NULL };
	const char *name = strcmp(path, "/") == 0 ? "index.html" : path + (path[0] == '/');
	if (!is_safe(name))
		return false;
	if (root[0] == '\0' ? !find_embedded(name, file) : !find_in_folder(root, name, file))
		return false;
	file->type = type_of(name);
	write_etag(file->bytes, file->etag);
	return true;
}

void pl_static_fini(struct pl_static_file *file)
{
	free(file->owned);
	*file = (struct pl_static_file){ .type = NULL };
}
