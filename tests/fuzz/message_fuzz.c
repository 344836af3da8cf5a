/* Any bytes as a client's message: a fault has a sentence in ASCII and leaves nothing behind; what is taken has
 * its fields within their bounds, and means the same when it is written and read once more. */
#include <stdlib.h>
#include <string.h>

#include "signaling/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SENTENCE_SIZE = 512 };

static void check_sentence(const char *sentence)
{
	PL_ASSERT(sentence[0] != '\0');
	for (const char *at = sentence; *at != '\0'; at++)
		PL_ASSERT((uint8_t)*at >= 0x20 && (uint8_t)*at < 0x7f);
}

static void check_text(const char *text, size_t min, size_t max)
{
	PL_ASSERT(text == NULL || (strlen(text) >= min && strlen(text) <= max));
}

static void check_word(const char *text, const char *const *words)
{
	if (text == NULL)
		return;
	while (*words != NULL && strcmp(*words, text) != 0)
		words++;
	PL_ASSERT(*words != NULL);
}

static void check_request(const struct pl_request *r)
{
	PL_ASSERT(r->json != NULL && (size_t)r->kind < PL_REQUEST_COUNT);
	PL_ASSERT(!r->has_id || (r->id >= 0 && r->id <= INT32_MAX));
	check_text(r->room, 1, PL_ROOM_NAME_MAX);
	check_text(r->name, 0, PL_NAME_MAX);
	check_text(r->sdp, 1, PL_MESSAGE_SIZE_MAX);
	check_text(r->track, 1, PL_ID_TEXT_SIZE - 1);
	check_text(r->topic, 1, PL_TOPIC_MAX);
	check_text(r->resume.session, 1, PL_ID_TEXT_SIZE - 1);
	check_text(r->resume.ticket, 1, PL_ID_TEXT_SIZE - 1);
	PL_ASSERT(r->attrs == NULL || json_is_object(r->attrs));
	PL_ASSERT(r->to == NULL || json_array_size(r->to) <= PL_DATA_TO_MAX);
	check_word(r->audio, pl_audio_words);
	check_word(r->quality, pl_quality_words);
	switch (r->kind) {
	case PL_REQUEST_JOIN:
		PL_ASSERT(r->room != NULL && (r->sdp != NULL || r->resume.session != NULL));
		PL_ASSERT((r->resume.session != NULL) == (r->resume.ticket != NULL) && r->resume.n >= 0);
		break;
	case PL_REQUEST_OFFER:
		PL_ASSERT(r->sdp != NULL);
		break;
	case PL_REQUEST_MUTE:
		PL_ASSERT(r->track != NULL);
		break;
	case PL_REQUEST_MODE:
		PL_ASSERT(r->audio != NULL);
		break;
	case PL_REQUEST_DATA:
		PL_ASSERT(r->topic != NULL && r->body != NULL);
		break;
	case PL_REQUEST_META:
	case PL_REQUEST_PING:
	case PL_REQUEST_LEAVE:
	case PL_REQUEST_COUNT:
		break;
	}
}

/* Compact JSON is not always shorter (0.1 gets 17 digits), so the copy may be too large; else it is the same
 * request. */
static void check_again(const struct pl_request *r)
{
	char sentence[SENTENCE_SIZE];
	struct pl_request again;
	char *text = json_dumps(r->json, JSON_COMPACT);
	PL_ASSERT(text != NULL);
	const struct pl_bytes bytes = { (const uint8_t *)text, strlen(text) };
	const enum pl_fault fault = pl_request_parse(bytes, &again, sentence, sizeof sentence);
	if (bytes.size > PL_MESSAGE_SIZE_MAX) {
		PL_ASSERT(fault == PL_FAULT_TOO_LARGE);
	} else {
		PL_ASSERT(fault == PL_FAULT_NONE && json_equal(r->json, again.json));
		PL_ASSERT(again.kind == r->kind && again.has_id == r->has_id && again.id == r->id);
		PL_ASSERT(again.is_on == r->is_on && again.resume.n == r->resume.n);
		pl_request_fini(&again);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char sentence[SENTENCE_SIZE];
	struct pl_request request;
	const enum pl_fault fault =
		pl_request_parse((struct pl_bytes){ data, size }, &request, sentence, sizeof sentence);
	if (fault == PL_FAULT_NONE) {
		check_request(&request);
		check_again(&request);
		pl_request_fini(&request);
	} else {
		check_sentence(sentence);
		PL_ASSERT(request.json == NULL && request.room == NULL && request.sdp == NULL && request.body == NULL);
	}
	return 0;
}
