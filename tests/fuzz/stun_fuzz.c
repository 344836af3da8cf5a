/* ICE over arbitrary STUN: peek and feed.  First byte: 0 feeds the rest as it is; 1 takes the rest for the attributes
 * of a request and signs it, so that what lies behind the integrity check is reached too; 2 the same with the
 * credentials from before an ICE restart. */
#include <string.h>

#include "media/ice.h"
#include "tests/support/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pl_ice_credentials before = { .ufrag = "server01", .pwd = "serverpasswordserverpass" };
static const struct pl_ice_credentials now = { .ufrag = "server02", .pwd = "anotherpasswordanotherpa" };

static void feed(struct pl_ice *ice, struct pl_bytes datagram)
{
	static const struct pl_path path = { .remote = { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .port = 5000 } };
	uint8_t reply[PL_ICE_REPLY_SIZE_MAX];
	struct pl_ice_result result;
	struct pl_bytes ufrag;

	if (pl_ice_peek_ufrag(datagram, &ufrag) == PL_DROP_NONE)
		PL_ASSERT(ufrag.data >= datagram.data && ufrag.data + ufrag.size <= datagram.data + datagram.size);
	const enum pl_drop drop = pl_ice_feed(ice, 1, &path, datagram, reply, &result);
	PL_ASSERT(result.reply_size <= sizeof reply);
	PL_ASSERT(drop < PL_DROP_COUNT);
	PL_ASSERT(drop == PL_DROP_NONE || pl_ice_selected(ice) == NULL);
}

/* The size of the longest prefix of attributes that is whole. */
static size_t whole_attributes(const uint8_t *data, size_t size)
{
	size_t at = 0;
	while (size - at >= 4) {
		const size_t value_size = (size_t)(data[at + 2] << 8 | data[at + 3]);
		const size_t padded = 4 + ((value_size + 3) & ~(size_t)3);
		if (padded > size - at)
			break;
		at += padded;
	}
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_ice ice;
	struct pl_stun m;

	if (size < 1 || size > PL_DATAGRAM_SIZE_MAX)
		return 0;
	const uint8_t mode = data[0];
	data++, size--;
	pl_ice_init(&ice, 0, &before, "browser");
	pl_ice_restart(&ice, &now, "again");
	if (mode == 0) {
		feed(&ice, (struct pl_bytes){ data, size });
		return 0;
	}
	const bool is_old = mode == 2;
	const char *user = is_old ? "server01:browser" : "server02:again";
	pl_stun_begin(&m, STUN_REQUEST_TYPE);
	size = whole_attributes(data, size);
	bool fits = pl_stun_append(&m, STUN_USERNAME, user, strlen(user)) && size <= sizeof m.bytes - m.size;
	if (fits && size > 0) {
		memcpy(m.bytes + m.size, data, size);
		m.size += size;
	}
	fits = fits && pl_stun_finish(&m, is_old ? before.pwd : now.pwd);
	if (fits)
		feed(&ice, (struct pl_bytes){ m.bytes, m.size });
	return 0;
}
