#include <string.h>

#include "signaling/sdp_read.h"

/* Attributes before the first m-line and behind it count alike: in a bundle there is one transport. */
static bool read_line(struct pl_sdp_reader *r, struct pl_bytes line)
{
	if (line.size > PL_SDP_LINE_MAX)
		return pl_sdp_fail(r, "%zu bytes; a line has at most %d", line.size, PL_SDP_LINE_MAX);
	if (line.size == 0)
		return true;
	if (memchr(line.data, '\0', line.size) != NULL)
		return pl_sdp_fail(r, "a NUL byte");
	if (line.size < 2 || line.data[1] != '=')
		return pl_sdp_fail(r, "\"%.*s\" is not of the form x=...", PL_SDP_QUOTE(line));
	if (line.data[0] != 'a')
		return true;
	struct pl_bytes value = { line.data + 2, line.size - 2 };
	const struct pl_bytes whole = value, name = pl_sdp_cut(&value, ':');
	const bool is_credential = pl_sdp_equal(name, "ice-ufrag") || pl_sdp_equal(name, "ice-pwd");
	return !is_credential || pl_sdp_read_attribute(r, whole);
}

bool pl_sdp_parse_fragment(struct pl_bytes text, struct pl_sdp_fragment *fragment, char error[static PL_SDP_ERROR_SIZE])
{
	*fragment = (struct pl_sdp_fragment){ .ufrag = "" };
	error[0] = '\0';
	struct pl_sdp_reader r = { .at = text.data, .error = error };
	r.end = text.size > 0 ? text.data + text.size : text.data;
	r.transport = &r.session;
	struct pl_bytes line;
	while (pl_sdp_next_line(&r, &line)) {
		if (!read_line(&r, line))
			return false;
	}
	if ((r.session.ufrag.data == NULL) != (r.session.pwd.data == NULL))
		return pl_sdp_fail(
			&r, "the fragment ends with one of a=ice-ufrag and a=ice-pwd; both or none are needed");
	if (r.session.ufrag.data == NULL)
		return true;
	/* Their lengths were checked when they were read. */
	return pl_sdp_copy(r.session.ufrag, fragment->ufrag, sizeof fragment->ufrag) &&
	       pl_sdp_copy(r.session.pwd, fragment->pwd, sizeof fragment->pwd);
}
