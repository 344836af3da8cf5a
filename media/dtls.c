#include "media/dtls.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "media/dtls_certificate.h"
#include "media/dtls_tail.h"

/* Retransmission by our clock.  OpenSSL decides when to send a flight again by comparing the wall clock with a
 * timer of its own, each time it is entered, and has no call that says "now".  Sending the kept bytes again does
 * not do either: a DTLS record that arrived once is a replay when it comes a second time, so a peer whose answer
 * was lost would never answer again (RFC 6347 section 4.2.4 wants the messages in new records).
 * So OpenSSL makes the copies at once: its timer gets a length of one microsecond, which makes it repeat a flight
 * in new records right after it was written, and again, until the buffer holds what we may ever need; then the
 * timer gets a quarter of an hour, longer than any handshake lives.  We send copy 0 now and the others by our own clock. */

enum {
	RECORD_TYPE_MIN = 20,
	RECORD_TYPE_MAX = 25,

	COPIES_MAX = 10,     /* enough for 30 s; OpenSSL gives up after 12 */
	DATAGRAMS_MAX = 64,  /* in all copies of a flight */
	RESERVE_SIZE = 1024, /* room that copies leave for an alert or a last flight */
	TIMER_US_NOW = 1,
	TIMER_US_NEVER = 1000 * 1000000,

	CERTIFICATE_SIZE_MAX = 16384, /* a peer's chain; a WebRTC certificate has 300 to 1,000 bytes */
};

/* RFC 8422 curves and AEAD suites alone.  We sign with ECDSA; a peer that is the DTLS server may have RSA. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
			      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
			      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char srtp_profiles[] = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80";

struct pl_dtls_identity {
	SSL_CTX *ctx;
	BIO_METHOD *method;
	struct pl_fingerprint fingerprint;
};

/* What we send: the last flight in as many copies as fit, each record number used once. */
struct flight {
	struct {
		uint16_t at, size;
		uint8_t copy;
	} datagram[DATAGRAMS_MAX];
	uint8_t count;
	uint16_t used;
	uint8_t bytes[PL_DTLS_FLIGHT_SIZE_MAX];
};

struct pl_dtls {
	SSL *ssl; /* NULL when settled */
	enum pl_dtls_role role;
	enum pl_dtls_state state;
	struct pl_fingerprint peer;
	struct pl_bytes input; /* the datagram being fed */
	struct flight *flight; /* NULL when there is nothing to send or to repeat */
	uint16_t first_copy_size;
	uint8_t copy_written; /* OpenSSL is writing this copy */
	uint8_t copy_last;    /* the last one there is */
	uint8_t copy_sent;    /* pl_dtls_next gives out this copy */
	uint8_t cursor;       /* the next datagram that pl_dtls_next looks at */
	bool is_waiting;      /* a flight went out that the peer must answer */
	int64_t interval_us, deadline_us;
	struct pl_dtls_tail tail; /* when settled */
	bool is_saying_goodbye;   /* the tail's record waits to be taken */
};

static int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* --- The BIO: one datagram in, datagrams out --- */

static int bio_read(BIO *bio, char *out, int size)
{
	struct pl_dtls *dtls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (dtls->input.size == 0 || size <= 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	const size_t n = dtls->input.size < (size_t)size ? dtls->input.size : (size_t)size;
	memcpy(out, dtls->input.data, n);
	dtls->input = (struct pl_bytes){ 0 }; /* what did not fit is lost, as on a socket */
	return (int)n;
}

/* Appends records to the flight: to the last datagram where they fit, for OpenSSL repeats each message in a
 * datagram of its own. */
static void flight_append(struct flight *flight, uint8_t copy, uint8_t cursor, struct pl_bytes records)
{
	if (records.size > sizeof flight->bytes - flight->used)
		return;
	const uint8_t last = (uint8_t)(flight->count - 1);
	const bool is_open = flight->count > 0 && last >= cursor && flight->datagram[last].copy == copy &&
			     flight->datagram[last].size + records.size <= PL_DTLS_MTU;
	if (!is_open) {
		if (flight->count == DATAGRAMS_MAX)
			return;
		flight->datagram[flight->count].at = flight->used;
		flight->datagram[flight->count].size = 0;
		flight->datagram[flight->count].copy = copy;
		flight->count++;
	}
	memcpy(flight->bytes + flight->used, records.data, records.size);
	flight->used = (uint16_t)(flight->used + records.size);
	flight->datagram[flight->count - 1].size = (uint16_t)(flight->datagram[flight->count - 1].size + records.size);
}

/* Never fails: what finds no room is a lost datagram, and the peer asks again. */
static int bio_write(BIO *bio, const char *data, int size)
{
	struct pl_dtls *dtls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (size <= 0)
		return 0;
	if (dtls->flight == NULL)
		dtls->flight = calloc(1, sizeof *dtls->flight);
	if (dtls->flight != NULL && size <= PL_DTLS_MTU)
		flight_append(dtls->flight, dtls->copy_written, dtls->cursor,
			(struct pl_bytes){ (const uint8_t *)data, (size_t)size });
	return size;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *create_bio_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "datagram");
	if (method == NULL)
		return NULL;
	if (BIO_meth_set_read(method, bio_read) == 1 && BIO_meth_set_write(method, bio_write) == 1 &&
		BIO_meth_set_ctrl(method, bio_ctrl) == 1)
		return method;
	BIO_meth_free(method);
	return NULL;
}

/* OpenSSL's question how long its timer shall run: current_us is 0 when it starts to write a new flight that
 * waits for an answer, else it has just decided to repeat the flight. */
static unsigned int timer_length(SSL *ssl, unsigned int current_us)
{
	struct pl_dtls *dtls = SSL_get_app_data(ssl);
	struct flight *flight = dtls->flight;

	if (current_us == 0) {
		if (flight != NULL)
			flight->count = 0, flight->used = 0;
		dtls->copy_written = 0;
		dtls->copy_last = 0;
		dtls->copy_sent = 0;
		dtls->cursor = 0;
		dtls->is_waiting = true;
		return TIMER_US_NOW;
	}
	if (flight == NULL)
		return TIMER_US_NEVER;
	if (dtls->copy_last == 0)
		dtls->first_copy_size = flight->used;
	dtls->copy_written = ++dtls->copy_last;
	const size_t size_after_next = flight->used + 2 * (size_t)dtls->first_copy_size + RESERVE_SIZE;
	const bool has_room = size_after_next <= sizeof flight->bytes;
	return has_room && dtls->copy_last < COPIES_MAX ? TIMER_US_NOW : TIMER_US_NEVER;
}

/* --- Identity --- */

/* Trust is the fingerprint of the offer, not a chain (RFC 8827 section 6.5): this takes the place of OpenSSL's
 * verification, so that a wrong certificate gets its alert and ends the handshake. */
static int verify_fingerprint(X509_STORE_CTX *store, void *unused)
{
	(void)unused;
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct pl_dtls *dtls = SSL_get_app_data(ssl);

	if (pl_dtls_certificate_is(X509_STORE_CTX_get0_cert(store), &dtls->peer))
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	return 0;
}

static bool set_up_ctx(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_send_fragment(ctx, PL_DTLS_MTU); /* sizes the write buffer: 16 KB otherwise */
	SSL_CTX_set_max_cert_list(ctx, CERTIFICATE_SIZE_MAX);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify_fingerprint, NULL);
	/* SSL_CTX_set_tlsext_use_srtp alone returns 0 for success. */
	return SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(ctx, ciphers) == 1 &&
	       SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 &&
	       SSL_CTX_set_tlsext_use_srtp(ctx, srtp_profiles) == 0;
}

enum pl_err pl_dtls_identity_create(struct pl_dtls_identity **identity)
{
	enum pl_err err = PL_ERR_CRYPTO;
	EVP_PKEY *key = NULL;
	X509 *certificate = NULL;
	struct pl_dtls_identity *made = calloc(1, sizeof *made);

	*identity = NULL;
	if (made == NULL) {
		err = PL_ERR_NO_MEMORY;
		goto done;
	}
	made->fingerprint.hash = PL_FINGERPRINT_SHA256;
	made->method = create_bio_method();
	made->ctx = SSL_CTX_new(DTLS_method());
	if (made->method == NULL || made->ctx == NULL || !pl_dtls_certificate_make(&certificate, &key))
		goto done;
	if (!pl_dtls_certificate_digest(certificate, &made->fingerprint) || !set_up_ctx(made->ctx) ||
		SSL_CTX_use_certificate(made->ctx, certificate) != 1 || SSL_CTX_use_PrivateKey(made->ctx, key) != 1)
		goto done;
	*identity = made;
	made = NULL;
	err = PL_ERR_NONE;

done:
	pl_dtls_identity_destroy(&made);
	X509_free(certificate);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return err;
}

void pl_dtls_identity_destroy(struct pl_dtls_identity **identity)
{
	if (*identity == NULL)
		return;
	SSL_CTX_free((*identity)->ctx);
	BIO_meth_free((*identity)->method);
	free(*identity);
	*identity = NULL;
}

const struct pl_fingerprint *pl_dtls_identity_fingerprint(const struct pl_dtls_identity *identity)
{
	return &identity->fingerprint;
}

/* --- Association --- */

enum pl_err pl_dtls_create(struct pl_dtls **dtls, const struct pl_dtls_identity *identity, enum pl_dtls_role role,
	const struct pl_fingerprint *peer)
{
	struct pl_dtls *made = calloc(1, sizeof *made);

	*dtls = NULL;
	if (made == NULL)
		return PL_ERR_NO_MEMORY;
	made->role = role;
	made->peer = *peer;
	made->deadline_us = INT64_MAX;
	made->ssl = SSL_new(identity->ctx);
	BIO *bio = BIO_new(identity->method);
	if (made->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		pl_dtls_destroy(&made);
		ERR_clear_error();
		return PL_ERR_NO_MEMORY;
	}
	BIO_set_data(bio, made);
	BIO_set_init(bio, 1);
	SSL_set_bio(made->ssl, bio, bio); /* takes the one reference, for both directions */
	SSL_set_app_data(made->ssl, made);
	DTLS_set_timer_cb(made->ssl, timer_length);
	SSL_set_mtu(made->ssl, PL_DTLS_MTU);
	if (role == PL_DTLS_ACTIVE)
		SSL_set_connect_state(made->ssl);
	else
		SSL_set_accept_state(made->ssl);
	*dtls = made;
	return PL_ERR_NONE;
}

void pl_dtls_destroy(struct pl_dtls **dtls)
{
	if (*dtls == NULL)
		return;
	SSL_free((*dtls)->ssl);
	free((*dtls)->flight);
	pl_dtls_tail_wipe(&(*dtls)->tail);
	free(*dtls);
	*dtls = NULL;
}

static void stop_waiting(struct pl_dtls *dtls)
{
	dtls->is_waiting = false;
	dtls->deadline_us = INT64_MAX;
}

static void end(struct pl_dtls *dtls, enum pl_dtls_state state)
{
	stop_waiting(dtls);
	dtls->state = state;
}

static void handshake(struct pl_dtls *dtls, int64_t now_us)
{
	const int result = SSL_do_handshake(dtls->ssl);
	if (result == 1) {
		/* Without a common SRTP profile the association is of no use. */
		end(dtls, SSL_get_selected_srtp_profile(dtls->ssl) != NULL ? PL_DTLS_CONNECTED : PL_DTLS_FAILED);
		if (dtls->state == PL_DTLS_FAILED)
			SSL_shutdown(dtls->ssl);
		return;
	}
	if (SSL_get_error(dtls->ssl, result) != SSL_ERROR_WANT_READ) {
		end(dtls, PL_DTLS_FAILED);
		return;
	}
	/* copy_sent and cursor are 0 right after timer_length saw a new flight begin: its clock starts now. */
	if (dtls->is_waiting && dtls->copy_sent == 0 && dtls->cursor == 0) {
		dtls->interval_us = PL_DTLS_RETRANSMIT_MS_FIRST * INT64_C(1000);
		dtls->deadline_us = now_us + dtls->interval_us;
	}
}

/* After the handshake: a repeated last flight is answered by OpenSSL itself, an alert may end it, and
 * application data has no meaning here. */
static void read_connected(struct pl_dtls *dtls)
{
	uint8_t ignored[PL_DATAGRAM_SIZE_MAX];
	int size;

	if (SSL_alloc_buffers(dtls->ssl) != 1)
		return;
	do
		size = SSL_read(dtls->ssl, ignored, sizeof ignored);
	while (size > 0);
	const int error = SSL_get_error(dtls->ssl, size);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		SSL_free_buffers(dtls->ssl); /* 18 KB that an association in a call has no use for */
		return;
	}
	if (error == SSL_ERROR_ZERO_RETURN)
		SSL_shutdown(dtls->ssl); /* close_notify is answered, RFC 5246 section 7.2.1 */
	end(dtls, PL_DTLS_CLOSED);
}

void pl_dtls_start(struct pl_dtls *dtls, int64_t now_us)
{
	if (dtls->role == PL_DTLS_PASSIVE || dtls->state != PL_DTLS_HANDSHAKE)
		return;
	ERR_clear_error();
	handshake(dtls, now_us);
	ERR_clear_error();
}

/*  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |  content type |        version (0xfeXX)       |     epoch     |
 * |               |       sequence number (48 bits) ...
 * |                                               |    length     |
 * |               | fragment ...                       RFC 6347 section 4.1 */
static bool is_record(struct pl_bytes datagram)
{
	return datagram.size >= PL_DTLS_RECORD_HEADER_SIZE && datagram.data[0] >= RECORD_TYPE_MIN &&
	       datagram.data[0] <= RECORD_TYPE_MAX && datagram.data[1] == 0xfe;
}

/* Encrypted records that are shorter than their nonce and tag: OpenSSL takes such a one for an error of its own and ends
 * the association, so anybody who can forge an address could end a call.  RFC 6347 section 4.1.2.7 wants them dropped.
 * An AES-GCM record has 8 bytes of nonce, one of ChaCha20 none; while the suite is open, nothing as short has a use. */
static bool has_short_record(const struct pl_dtls *dtls, struct pl_bytes datagram)
{
	const SSL_CIPHER *suite = SSL_get_current_cipher(dtls->ssl);
	const bool is_chacha = suite != NULL && SSL_CIPHER_get_cipher_nid(suite) == NID_chacha20_poly1305;
	const size_t size_min = PL_DTLS_TAG_SIZE + (is_chacha ? 0 : 8);
	for (size_t at = 0; datagram.size - at >= PL_DTLS_RECORD_HEADER_SIZE;) {
		const uint8_t *record = datagram.data + at;
		const size_t size = (size_t)(record[11] << 8 | record[12]);
		const bool is_encrypted = record[3] != 0 || record[4] != 0; /* by its epoch */
		if (is_encrypted && size < size_min)
			return true;
		if (size > datagram.size - at - PL_DTLS_RECORD_HEADER_SIZE)
			return false; /* OpenSSL drops one that is not whole, and what follows */
		at += PL_DTLS_RECORD_HEADER_SIZE + size;
	}
	return false;
}

static enum pl_drop feed_settled(struct pl_dtls *dtls, struct pl_bytes datagram)
{
	enum pl_dtls_alert alert;
	const enum pl_drop drop = pl_dtls_tail_feed(&dtls->tail, datagram, &alert);
	if (alert != PL_DTLS_ALERT_NONE)
		end(dtls, PL_DTLS_CLOSED);
	dtls->is_saying_goodbye = alert == PL_DTLS_ALERT_CLOSE;
	return drop;
}

enum pl_drop pl_dtls_feed(struct pl_dtls *dtls, int64_t now_us, struct pl_bytes datagram)
{
	if (dtls->state == PL_DTLS_CLOSED || dtls->state == PL_DTLS_FAILED)
		return PL_DROP_DTLS_CLOSED;
	if (!is_record(datagram))
		return PL_DROP_DTLS_MALFORMED;

	if (dtls->ssl == NULL)
		return feed_settled(dtls, datagram);
	if (has_short_record(dtls, datagram))
		return PL_DROP_DTLS_MALFORMED;

	/* The error queue belongs to the thread: another session's errors must not be read as this one's. */
	ERR_clear_error();
	dtls->copy_written = dtls->copy_sent;
	dtls->input = datagram;
	if (dtls->state == PL_DTLS_HANDSHAKE)
		handshake(dtls, now_us);
	if (dtls->state == PL_DTLS_CONNECTED)
		read_connected(dtls);
	dtls->input = (struct pl_bytes){ 0 };
	ERR_clear_error();
	return dtls->state == PL_DTLS_FAILED ? PL_DROP_DTLS_MALFORMED : PL_DROP_NONE;
}

void pl_dtls_tick(struct pl_dtls *dtls, int64_t now_us)
{
	if (!dtls->is_waiting || now_us < dtls->deadline_us)
		return;
	/* When all copies are used up the last one goes out again: it may still fill a gap. */
	if (dtls->copy_sent < dtls->copy_last)
		dtls->copy_sent++;
	dtls->cursor = 0;
	dtls->interval_us = min_i64(2 * dtls->interval_us, PL_DTLS_RETRANSMIT_MS_MAX * INT64_C(1000));
	dtls->deadline_us = now_us + dtls->interval_us;
}

int64_t pl_dtls_deadline(const struct pl_dtls *dtls)
{
	return dtls->deadline_us;
}

bool pl_dtls_next(struct pl_dtls *dtls, struct pl_bytes *datagram)
{
	struct flight *flight = dtls->flight;

	if (dtls->is_saying_goodbye) {
		dtls->is_saying_goodbye = false;
		*datagram = (struct pl_bytes){ dtls->tail.goodbye, dtls->tail.goodbye_size };
		return datagram->size > 0;
	}
	if (flight == NULL)
		return false;
	while (dtls->cursor < flight->count) {
		const uint8_t i = dtls->cursor++;
		if (flight->datagram[i].copy == dtls->copy_sent) {
			*datagram =
				(struct pl_bytes){ flight->bytes + flight->datagram[i].at, flight->datagram[i].size };
			return true;
		}
	}
	if (!dtls->is_waiting && dtls->state != PL_DTLS_HANDSHAKE) {
		free(flight);
		dtls->flight = NULL;
		dtls->cursor = 0;
	}
	return false;
}

enum pl_dtls_state pl_dtls_state(const struct pl_dtls *dtls)
{
	return dtls->state;
}

bool pl_dtls_keys(const struct pl_dtls *dtls, struct pl_srtp_keys *keys)
{
	static const char label[] = "EXTRACTOR-dtls_srtp"; /* RFC 5764 section 4.2 */
	uint8_t material[2 * (PL_SRTP_KEY_SIZE + PL_SRTP_SALT_SIZE_MAX)];

	PL_ASSERT(dtls->state == PL_DTLS_CONNECTED && dtls->ssl != NULL);
	const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(dtls->ssl);
	const bool is_gcm = profile->id == SRTP_AEAD_AES_128_GCM;
	const size_t salt_size = is_gcm ? 12 : 14;
	const size_t size = 2 * (PL_SRTP_KEY_SIZE + salt_size);
	memset(keys, 0, sizeof *keys);
	if (SSL_export_keying_material(dtls->ssl, material, size, label, sizeof label - 1, NULL, 0, 0) != 1)
		return false;

	/* client key, server key, client salt, server salt */
	const uint8_t *key = material, *salt = material + 2 * PL_SRTP_KEY_SIZE;
	const size_t local = dtls->role == PL_DTLS_ACTIVE ? 0 : 1, remote = 1 - local;
	keys->profile = is_gcm ? PL_SRTP_AEAD_AES_128_GCM : PL_SRTP_AES128_CM_SHA1_80;
	memcpy(keys->local.key, key + local * PL_SRTP_KEY_SIZE, PL_SRTP_KEY_SIZE);
	memcpy(keys->remote.key, key + remote * PL_SRTP_KEY_SIZE, PL_SRTP_KEY_SIZE);
	memcpy(keys->local.salt, salt + local * salt_size, salt_size);
	memcpy(keys->remote.salt, salt + remote * salt_size, salt_size);
	OPENSSL_cleanse(material, sizeof material);
	return true;
}

/* False when the suite is none of ours, which the list of them rules out. */
static bool read_secrets(const struct pl_dtls *dtls, struct pl_dtls_secrets *secrets)
{
	switch (SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(dtls->ssl))) {
	case NID_aes_128_gcm:
		secrets->cipher = PL_DTLS_AES_128_GCM_SHA256;
		break;
	case NID_aes_256_gcm:
		secrets->cipher = PL_DTLS_AES_256_GCM_SHA384;
		break;
	case NID_chacha20_poly1305:
		secrets->cipher = PL_DTLS_CHACHA20_POLY1305_SHA256;
		break;
	default:
		return false;
	}
	secrets->is_peer_client = dtls->role == PL_DTLS_PASSIVE;
	const SSL_SESSION *session = SSL_get_session(dtls->ssl);
	return SSL_SESSION_get_master_key(session, secrets->master, sizeof secrets->master) == sizeof secrets->master &&
	       SSL_get_client_random(dtls->ssl, secrets->client_random, sizeof secrets->client_random) ==
		       sizeof secrets->client_random &&
	       SSL_get_server_random(dtls->ssl, secrets->server_random, sizeof secrets->server_random) ==
		       sizeof secrets->server_random;
}

/* Has OpenSSL seal our close_notify, and keeps it instead of sending it: the last record it writes.  For want of
 * memory there is none, and we will go without a word. */
static void write_goodbye(struct pl_dtls *dtls)
{
	dtls->copy_written = dtls->copy_sent;
	if (SSL_alloc_buffers(dtls->ssl) == 1)
		SSL_shutdown(dtls->ssl);
	const struct flight *flight = dtls->flight;
	if (flight != NULL && flight->used <= PL_DTLS_GOODBYE_SIZE_MAX)
		pl_dtls_tail_set_goodbye(&dtls->tail, (struct pl_bytes){ flight->bytes, flight->used });
	free(dtls->flight);
	dtls->flight = NULL;
}

bool pl_dtls_settle(struct pl_dtls *dtls)
{
	struct pl_dtls_secrets secrets;

	PL_ASSERT(dtls->state == PL_DTLS_CONNECTED && dtls->flight == NULL);
	if (dtls->ssl == NULL)
		return true;
	ERR_clear_error();
	const bool is_kept = read_secrets(dtls, &secrets) && pl_dtls_tail_init(&dtls->tail, &secrets);
	OPENSSL_cleanse(&secrets, sizeof secrets);
	if (is_kept) {
		write_goodbye(dtls);
		SSL_free(dtls->ssl);
		dtls->ssl = NULL;
	}
	ERR_clear_error();
	return is_kept;
}

bool pl_dtls_is_settled(const struct pl_dtls *dtls)
{
	return dtls->ssl == NULL;
}

void pl_dtls_close(struct pl_dtls *dtls, int64_t now_us)
{
	(void)now_us;
	if (dtls->state == PL_DTLS_CLOSED || dtls->state == PL_DTLS_FAILED)
		return;
	if (dtls->ssl == NULL) {
		dtls->is_saying_goodbye = true;
		end(dtls, PL_DTLS_CLOSED);
		return;
	}
	ERR_clear_error();
	dtls->copy_written = dtls->copy_sent;
	/* Before that OpenSSL refuses: there is nobody to tell. */
	if (dtls->state == PL_DTLS_CONNECTED && SSL_alloc_buffers(dtls->ssl) == 1)
		SSL_shutdown(dtls->ssl);
	ERR_clear_error();
	end(dtls, PL_DTLS_CLOSED);
}
