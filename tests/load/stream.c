#include "tests/load/stream.h"

enum { CLOCK_HZ = 48000 };

struct counts {
	uint64_t delivered, lost;
};

static uint32_t expected_of(const struct pl_reception *r)
{
	return r->is_started ? r->cycles + r->seq_max - r->seq_base + 1 : 0;
}

/* Since the measurement or the last beginning, whichever is later. */
static struct counts counts_of(const struct load_stream *stream)
{
	const uint32_t received = stream->reception.received - stream->received_before;
	const uint32_t expected = expected_of(&stream->reception) - stream->expected_before;
	return (struct counts){ .delivered = received, .lost = expected > received ? expected - received : 0 };
}

void load_stream_init(struct load_stream *stream, uint32_t ssrc)
{
	*stream = (struct load_stream){ .received_before = 0 };
	pl_reception_init(&stream->reception, ssrc, CLOCK_HZ);
}

void load_stream_packet(struct load_stream *stream, int64_t now_us, uint16_t seq, uint32_t ts)
{
	struct pl_reception *r = &stream->reception;
	const struct counts before = counts_of(stream);
	const bool was_started = r->is_started;
	const uint32_t base_before = r->seq_base, received_before = r->received;
	pl_reception_packet(r, now_us, seq, ts);
	if (!was_started || (r->seq_base == base_before && r->received >= received_before))
		return;
	stream->delivered_earlier += before.delivered;
	stream->lost_earlier += before.lost;
	stream->received_before = stream->expected_before = 0;
	stream->restarts++;
}

void load_stream_begin(struct load_stream *stream)
{
	stream->received_before = stream->reception.received;
	stream->expected_before = expected_of(&stream->reception);
	stream->delivered_earlier = stream->lost_earlier = 0;
	stream->restarts = 0;
}

void load_stream_tally(const struct load_stream *stream, struct load_tally *tally)
{
	const struct counts now = counts_of(stream);
	const uint64_t delivered = stream->delivered_earlier + now.delivered;
	tally->delivered += delivered;
	tally->lost += stream->lost_earlier + now.lost;
	tally->streams += delivered > 0;
	tally->restarts += stream->restarts;
}
