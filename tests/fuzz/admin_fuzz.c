/* Any bytes as a request to the admin API: without the token nothing is granted, and what is granted can be done; each
 * refusal is JSON with a code and a sentence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signaling/front_admin.h"
#include "tests/support/front_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKEN "Zm9vYmFyYmF6cXV4"

enum { METHOD = 7, HAS_TOKEN = 8, HAS_PATH = 16, HAS_TYPE = 32, TEXT_SIZE = 1400, WORKERS = 2 };

static void check_refusal(const struct pl_front_admin_answer *answer)
{
	PL_ASSERT(answer->status >= 400 && answer->status < 500);
	PL_ASSERT(memcmp(answer->head->data + answer->head->size - 2, "\r\n", 2) == 0);
	json_t *body = json_loadb(answer->body->data, answer->body->size, 0, NULL);
	PL_ASSERT(json_string_length(json_object_get(body, "code")) > 0);
	const char *msg = json_string_value(json_object_get(body, "msg"));
	PL_ASSERT(msg != NULL && msg[0] != '\0');
	for (const char *at = msg; *at != '\0'; at++)
		PL_ASSERT((uint8_t)*at >= 0x20 && (uint8_t)*at < 0x7f);
	json_decref(body);
	pl_front_text_release(answer->head);
	pl_front_text_release(answer->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pl_harness h;
	char field[TEXT_SIZE + 16], path[TEXT_SIZE + 16];
	if (size == 0)
		return 0;
	const uint8_t flags = data[0];
	const int text_size = (int)(size - 1 < TEXT_SIZE ? size - 1 : TEXT_SIZE);
	const char *text = size > 1 ? (const char *)data + 1 : "";
	snprintf(field, sizeof field, "Bearer %.*s", text_size, text);
	snprintf(path, sizeof path, "/v1/admin/%.*s", text_size, text);
	const struct pl_front_http_request http = {
		.method = (enum pl_front_http_method)((flags & METHOD) % (PL_FRONT_HTTP_GET + 1)),
		.path = flags & HAS_PATH ? "/v1/admin/media" : path,
		.authorization = flags & HAS_TOKEN ? "Bearer " TOKEN : field,
		.content_type = flags & HAS_TYPE ? "application/json" : field,
		.content_length = (int64_t)size - 1,
		.body = { (const uint8_t *)text, size - 1 },
	};
	pl_harness_start(&h, (struct pl_harness_limits){ .admin_token = TOKEN, .worker_count = WORKERS });
	struct pl_front_admin_wish wish;
	struct pl_front_admin_answer answer;
	if (pl_front_admin_read(h.front, 0, &http, &wish, &answer)) {
		PL_ASSERT(strcmp(http.authorization + strlen("Bearer ") + strspn(http.authorization + 7, " "), TOKEN) ==
			  0);
		PL_ASSERT(!wish.has_simd || pl_dsp_get(wish.simd) != NULL);
		PL_ASSERT(wish.load_step < PL_MIXER_LOAD_STEPS);
		PL_ASSERT(wish.worker == PL_SFU_ALL_WORKERS || (wish.has_load_step && wish.worker < WORKERS));
	} else {
		check_refusal(&answer);
	}
	pl_harness_abandon(&h);
	return 0;
}
