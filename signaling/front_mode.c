#include <stdio.h>
#include <string.h>

#include "signaling/front_state.h"

/* ---- the words ---- */

static const char *word_of_group(uint32_t group)
{
	static const char *const words[PL_MIX_GROUPS] = {
		[PL_MIX_FULL] = "full",
		[PL_MIX_ROBUST] = "robust",
		[PL_MIX_STEREO] = "stereo",
		[PL_MIX_PCMU] = "pcmu",
		[PL_MIX_PCMA] = "pcma",
		[PL_MIX_LOW] = "low",
		[PL_MIX_LOWEST] = "lowest",
		[PL_MIX_SHORT] = "short",
	};
	PL_ASSERT(group < PL_MIX_GROUPS);
	return words[group];
}

/* Its place in a list that it is in. */
static size_t place_of(const char *word, const char *const *words)
{
	size_t place = 0;
	while (strcmp(words[place], word) != 0)
		place++;
	return place;
}

/* ---- what there is ---- */

/* auto is always there: of a server that does not mix it is what that server has. */
static bool has_mode(const struct pl_front *front, enum pl_audio_mode mode)
{
	return mode != PL_AUDIO_MIXED || front->config.mixes;
}

static bool has_quality(const struct pl_front *front, enum pl_mix_group quality)
{
	return (front->config.mix_groups >> quality & 1) != 0;
}

/* "full" and "robust". */
static void list_qualities(const struct pl_front *front, char text[static PL_FRONT_MODE_ERROR_SIZE])
{
	text[0] = '\0';
	for (size_t i = 0; pl_quality_words[i] != NULL; i++) {
		const size_t used = strlen(text);
		if (has_quality(front, (enum pl_mix_group)i))
			snprintf(text + used, PL_FRONT_MODE_ERROR_SIZE - used, "%s\"%s\"", used > 0 ? " and " : "",
				pl_quality_words[i]);
	}
}

bool pl_front_read_mode(const struct pl_front *front, const struct pl_request *request, struct pl_front_mode *mode,
	char error[static PL_FRONT_MODE_ERROR_SIZE])
{
	if (request->audio != NULL)
		mode->audio = (enum pl_audio_mode)place_of(request->audio, pl_audio_words);
	if (request->quality != NULL)
		mode->wish = (enum pl_mix_group)place_of(request->quality, pl_quality_words);
	if (!has_mode(front, mode->audio)) {
		snprintf(error, PL_FRONT_MODE_ERROR_SIZE,
			"audio: this server does not mix; it has \"forward\", which \"auto\" is here, too");
		return false;
	}
	if (request->quality != NULL && !has_quality(front, mode->wish)) {
		char list[PL_FRONT_MODE_ERROR_SIZE];
		list_qualities(front, list);
		snprintf(error, PL_FRONT_MODE_ERROR_SIZE, "quality: this server does not mix in \"%s\"; it has %.64s",
			request->quality, list[0] != '\0' ? list : "none");
		return false;
	}
	return true;
}

/* ---- what is told ---- */

void pl_front_write_mode(
	const struct pl_front *front, struct pl_front_writer *w, const struct pl_front_session *session)
{
	pl_front_write_open(w, "audio", '{');
	pl_front_write_string(w, "mode", pl_audio_words[session->settled.audio_mode]);
	pl_front_write_string(w, "quality", pl_quality_words[session->settled.mix_wish]);
	pl_front_write_open(w, "modes", '[');
	for (size_t i = 0; pl_audio_words[i] != NULL; i++) {
		if (has_mode(front, (enum pl_audio_mode)i))
			pl_front_write_string(w, NULL, pl_audio_words[i]);
	}
	pl_front_write_close(w, ']');
	pl_front_write_open(w, "qualities", '[');
	for (size_t i = 0; pl_quality_words[i] != NULL; i++) {
		if (has_quality(front, (enum pl_mix_group)i))
			pl_front_write_string(w, NULL, pl_quality_words[i]);
	}
	pl_front_write_close(w, ']');
	pl_front_write_close(w, '}');
}

const char *pl_front_mix_of(const struct pl_front_slot *slot)
{
	return PL_MIX_IS_TRACK(slot->track) ? word_of_group(slot->track - PL_MIX_TRACK(0)) : NULL;
}
