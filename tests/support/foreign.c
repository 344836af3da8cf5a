#include "tests/support/foreign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static int add_extension(SSL *ssl, unsigned type, unsigned context, const unsigned char **out, size_t *size, X509 *x,
	size_t chain, int *alert, void *arg)
{
	(void)ssl, (void)type, (void)context, (void)x, (void)chain, (void)alert;
	static const unsigned char zeros[4096];
	*out = zeros;
	*size = *(size_t *)arg;
	return 1;
}

static int trust_all(X509_STORE_CTX *store, void *arg)
{
	(void)store, (void)arg;
	return 1;
}

static int foreign_write(BIO *bio, const char *data, int size)
{
	struct pl_foreign *f = BIO_get_data(bio);
	assert_true(f->sent_count < PL_COUNT(f->sent) && f->used + (size_t)size <= sizeof f->bytes);
	memcpy(f->bytes + f->used, data, (size_t)size);
	f->sent[f->sent_count++] = (struct pl_bytes){ f->bytes + f->used, (size_t)size };
	f->used += (size_t)size;
	return size;
}

static long foreign_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

void pl_foreign_init(struct pl_foreign *f, const struct pl_foreign_config *config)
{
	static size_t extra_size;

	*f = (struct pl_foreign){ 0 };
	f->ctx = SSL_CTX_new(config->is_server ? DTLS_server_method() : DTLS_client_method());
	f->key = config->has_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	f->certificate = X509_new();
	X509_gmtime_adj(X509_getm_notBefore(f->certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(f->certificate), 86400);
	X509_set_pubkey(f->certificate, f->key);
	assert_true(X509_sign(f->certificate, f->key, EVP_sha256()) > 0);
	SSL_CTX_set_verify(f->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(f->ctx, trust_all, NULL);
	SSL_CTX_set_options(f->ctx, SSL_OP_NO_QUERY_MTU);
	if (config->ciphers != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(f->ctx, config->ciphers), 1);
	if (config->has_certificate) {
		assert_int_equal(SSL_CTX_use_certificate(f->ctx, f->certificate), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(f->ctx, f->key), 1);
	}
	if (config->profiles != NULL)
		assert_int_equal(SSL_CTX_set_tlsext_use_srtp(f->ctx, config->profiles), 0);
	extra_size = config->extra_size;
	if (extra_size > 0)
		assert_int_equal(SSL_CTX_add_custom_ext(f->ctx, 0xff77, SSL_EXT_CLIENT_HELLO, add_extension, NULL,
					 &extra_size, NULL, NULL),
			1);
	f->ssl = SSL_new(f->ctx);
	f->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "datagrams out");
	BIO_meth_set_write(f->method, foreign_write);
	BIO_meth_set_ctrl(f->method, foreign_ctrl);
	BIO *out = BIO_new(f->method);
	BIO_set_data(out, f);
	BIO_set_init(out, 1);
	SSL_set_bio(f->ssl, BIO_new(BIO_s_mem()), out);
	BIO_set_mem_eof_return(SSL_get_rbio(f->ssl), -1);
	SSL_set_mtu(f->ssl, config->mtu);
	if (config->is_server)
		SSL_set_accept_state(f->ssl);
	else
		SSL_set_connect_state(f->ssl);
}

void pl_foreign_fini(struct pl_foreign *f)
{
	SSL_free(f->ssl);
	SSL_CTX_free(f->ctx);
	BIO_meth_free(f->method);
	X509_free(f->certificate);
	EVP_PKEY_free(f->key);
}

struct pl_fingerprint pl_foreign_fingerprint(const struct pl_foreign *f, enum pl_fingerprint_hash hash)
{
	struct pl_fingerprint fp = { .hash = hash };
	unsigned size;
	const EVP_MD *md[] = { EVP_sha256(), EVP_sha384(), EVP_sha512() };
	assert_int_equal(X509_digest(f->certificate, md[hash], fp.bytes, &size), 1);
	fp.size = (uint8_t)size;
	return fp;
}

size_t pl_foreign_meet(struct pl_foreign *f, struct pl_dtls *ours, bool is_reversed)
{
	size_t first_flight = 0;

	pl_dtls_start(ours, 0);
	for (int round = 0; round < 20; round++) {
		struct pl_bytes datagram;
		while (pl_dtls_next(ours, &datagram)) {
			pl_foreign_receive(f, datagram);
			(void)SSL_do_handshake(f->ssl);
		}
		(void)SSL_do_handshake(f->ssl);
		const size_t count = f->sent_count;
		const bool is_first = first_flight == 0;
		if (is_first)
			first_flight = count;
		for (size_t i = 0; i < count; i++)
			(void)!pl_dtls_feed(ours, 0, f->sent[is_first && is_reversed ? count - 1 - i : i]);
		pl_foreign_forget(f);
	}
	return first_flight;
}

void pl_foreign_receive(struct pl_foreign *f, struct pl_bytes datagram)
{
	assert_int_equal(BIO_write(SSL_get_rbio(f->ssl), datagram.data, (int)datagram.size), datagram.size);
}

void pl_foreign_forget(struct pl_foreign *f)
{
	f->sent_count = 0, f->used = 0;
}
