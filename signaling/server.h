/* The front end's machine: one libwebsockets loop that serves pages, metrics and WebSockets, moves messages between
 * clients and the front (signaling/front.h), and commands and events between the front and the media plane.
 * Thread: signaling, which is main. */
#ifndef PL_SIGNALING_SERVER_H
#define PL_SIGNALING_SERVER_H

#include "sfu/sfu.h"
#include "signaling/config.h"
#include "signaling/front.h"

enum { PL_SERVER_ERROR_SIZE = 512, PL_SERVER_END_MS_MAX = 2000 };

struct pl_server;

struct pl_server_config {
	const struct pl_config *config; /* outlives the server */
	struct pl_sfu *sfu;             /* outlives the server */
	int listen_fd;                  /* the server closes it, also on error */
	const struct pl_phases *phases; /* of the start, for /metrics; outlives the server; NULL: not told */
};

/* The file descriptors that the whole process may need with this configuration. */
uint64_t pl_server_files(const struct pl_config *config);

/* The limit that it takes where it may: twice that, so that a server that is full by its own limits is not pressed by them. */
uint64_t pl_server_files_limit(const struct pl_config *config);

/* Call with SIGINT and SIGTERM blocked in all threads: the server takes them by a descriptor.  On error *server is
 * NULL, and error has a sentence for the operator. */
PL_MUST_USE enum pl_err pl_server_create(
	struct pl_server **server, const struct pl_server_config *config, char error[static PL_SERVER_ERROR_SIZE]);

/* Serves until SIGINT or SIGTERM, then tells all clients, and returns when they have closed or after
 * PL_SERVER_END_MS_MAX.  After SIGTERM, or when the admin API asks for it, it first drains: until nobody is in a room or
 * drain.deadline_s have passed.  One signal more ends the draining, the next one the process at once. */
void pl_server_run(struct pl_server *server);

void pl_server_destroy(struct pl_server **server);

#endif
