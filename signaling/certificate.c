#include "signaling/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_S = 24 * 60 * 60, RENEW_DAYS = 7, NAMES_SIZE = 2048, TEMPORARY_SIZE = PL_CERTIFICATE_PATH_SIZE + 8 };

bool pl_certificate_folder(char folder[static PL_CERTIFICATE_PATH_SIZE])
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int size = -1;
	if (state != NULL && state[0] == '/')
		size = snprintf(folder, PL_CERTIFICATE_PATH_SIZE, "%s/plenum", state);
	else if (home != NULL && home[0] == '/')
		size = snprintf(folder, PL_CERTIFICATE_PATH_SIZE, "%s/.local/state/plenum", home);
	return size > 0 && size < PL_CERTIFICATE_PATH_SIZE;
}

static bool make_folders(const char *folder)
{
	char path[PL_CERTIFICATE_PATH_SIZE];
	if (snprintf(path, sizeof(path), "%s", folder) >= (int)sizeof(path))
		return false;
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return false;
		*slash = '/';
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static X509 *read_certificate(const char *path)
{
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return NULL;
	X509 *x509 = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	return x509;
}

static EVP_PKEY *read_key(const char *path)
{
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return NULL;
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	return key;
}

static bool is_usable(const struct pl_certificate *certificate)
{
	X509 *x509 = read_certificate(certificate->cert_path);
	EVP_PKEY *key = read_key(certificate->key_path);
	int days = 0, seconds = 0;
	const bool usable = x509 != NULL && key != NULL && X509_check_private_key(x509, key) == 1 &&
			    ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x509)) == 1 && days >= RENEW_DAYS;
	EVP_PKEY_free(key);
	X509_free(x509);
	return usable;
}

/* Writes OpenSSL's notation of the subject's alternative names. */
static void write_names(char names[static NAMES_SIZE], const struct pl_addr *address, size_t count)
{
	char host[65] = "", text[PL_ADDR_TEXT_SIZE];
	int used = snprintf(names, NAMES_SIZE, "DNS:localhost,IP:127.0.0.1,IP:::1");
	/* A name with a comma would be a second entry of the writer's choice. */
	if (gethostname(host, sizeof(host) - 1) == 0 && host[0] != '\0' &&
		strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == strlen(host))
		used += snprintf(names + used, (size_t)(NAMES_SIZE - used), ",DNS:%s", host);
	for (size_t i = 0; i < count && used < NAMES_SIZE - PL_ADDR_TEXT_SIZE - 4; i++)
		used += snprintf(
			names + used, (size_t)(NAMES_SIZE - used), ",IP:%s", pl_addr_format_ip(&address[i], text));
}

static bool add_extension(X509 *x509, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	const bool is_added = extension != NULL && X509_add_ext(x509, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return is_added;
}

static bool fill(X509 *x509, EVP_PKEY *key, const char *names)
{
	uint8_t serial[16];
	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return false;
	serial[0] &= 0x7f; /* a positive integer, RFC 5280 section 4.1.2.2 */
	BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
	X509_NAME *name = X509_get_subject_name(x509);
	const bool is_filled =
		number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL &&
		X509_set_version(x509, 2) == 1 && X509_gmtime_adj(X509_getm_notBefore(x509), -DAY_S) != NULL &&
		X509_time_adj_ex(X509_getm_notAfter(x509), PL_CERTIFICATE_DAYS, 0, NULL) != NULL &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"Plenum", -1, -1, 0) == 1 &&
		X509_set_issuer_name(x509, name) == 1 && X509_set_pubkey(x509, key) == 1 &&
		add_extension(x509, NID_subject_alt_name, names) &&
		add_extension(x509, NID_basic_constraints, "critical,CA:FALSE") &&
		add_extension(x509, NID_ext_key_usage, "serverAuth") && X509_sign(x509, key, EVP_sha256()) > 0;
	BN_free(number);
	return is_filled;
}

/* A file under another name, to be renamed when both are written: a crash leaves the old pair or none that fits. */
static FILE *open_temporary(const char *path, char temporary[static TEMPORARY_SIZE])
{
	snprintf(temporary, TEMPORARY_SIZE, "%s.new", path);
	const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

static bool save(const struct pl_certificate *certificate, X509 *x509, EVP_PKEY *key)
{
	char cert_temporary[TEMPORARY_SIZE], key_temporary[TEMPORARY_SIZE];
	FILE *cert_file = open_temporary(certificate->cert_path, cert_temporary);
	FILE *key_file = open_temporary(certificate->key_path, key_temporary);
	bool is_saved = cert_file != NULL && key_file != NULL && PEM_write_X509(cert_file, x509) == 1 &&
			PEM_write_PKCS8PrivateKey(key_file, key, NULL, NULL, 0, NULL, NULL) == 1;
	is_saved = (cert_file == NULL || fclose(cert_file) == 0) && is_saved;
	is_saved = (key_file == NULL || fclose(key_file) == 0) && is_saved;
	return is_saved && rename(key_temporary, certificate->key_path) == 0 &&
	       rename(cert_temporary, certificate->cert_path) == 0;
}

enum pl_err pl_certificate_keep(struct pl_certificate *certificate, const char *folder, const struct pl_addr *address,
	size_t address_count, char error[static PL_CERTIFICATE_ERROR_SIZE])
{
	const int cert_size = snprintf(certificate->cert_path, PL_CERTIFICATE_PATH_SIZE, "%s/lan.crt", folder);
	const int key_size = snprintf(certificate->key_path, PL_CERTIFICATE_PATH_SIZE, "%s/lan.key", folder);
	if (cert_size >= PL_CERTIFICATE_PATH_SIZE || key_size >= PL_CERTIFICATE_PATH_SIZE || !make_folders(folder)) {
		snprintf(error, PL_CERTIFICATE_ERROR_SIZE, "%.300s: cannot be made, to keep the certificate in: %s",
			folder, strerror(errno));
		return PL_ERR_CONFIG;
	}
	if (is_usable(certificate))
		return PL_ERR_NONE;

	char names[NAMES_SIZE];
	write_names(names, address, address_count);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x509 = X509_new();
	enum pl_err err = PL_ERR_NONE;
	if (key == NULL || x509 == NULL || !fill(x509, key, names)) {
		snprintf(error, PL_CERTIFICATE_ERROR_SIZE, "OpenSSL could not make a certificate");
		err = PL_ERR_CRYPTO;
	} else if (!save(certificate, x509, key)) {
		snprintf(error, PL_CERTIFICATE_ERROR_SIZE, "%.300s: the certificate cannot be written: %s", folder,
			strerror(errno));
		err = PL_ERR_CONFIG;
	}
	X509_free(x509);
	EVP_PKEY_free(key);
	return err;
}
