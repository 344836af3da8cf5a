/* What the environment can do to us: at edges and at start only. */
#ifndef PL_MEDIA_ERR_H
#define PL_MEDIA_ERR_H

#define PL_ERR_LIST(X)                                             \
	X(NONE, "no error")                                        \
	X(NO_MEMORY, "out of memory")                              \
	X(CRYPTO, "the cryptography library refused")              \
	X(SOCKET, "a socket could not be opened, bound or set up") \
	X(THREAD, "a thread could not be started")                 \
	X(CONFIG, "the configuration is not valid")                \
	X(FULL, "a table is full")

enum pl_err {
#define X(name, text) PL_ERR_##name,
	PL_ERR_LIST(X)
#undef X
		PL_ERR_COUNT
};

/* Static storage. */
const char *pl_err_text(enum pl_err err);

#endif
