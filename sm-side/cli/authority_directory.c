/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/cli/authority_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/file.h"

enum {
	ISSUED_MOST_BYTES = 64 << 20,
	FILE_NAME_BYTES = NAME_MOST + 24,
};

struct authority_directory {
	const char *path;
	int fd; /* locked */
	EVP_PKEY *key;
	X509 *ca;
	struct issued issued;
};

/* ---- errors ---- */

static int failed(const struct authority_directory *directory, const char *name, int err,
        char error[static AUTHORITY_ERROR_BYTES])
{
	snprintf(error, AUTHORITY_ERROR_BYTES, "%s/%s: %s", directory->path, name, strerror(-err));
	return err;
}

static int openssl_failed(const char *what, char error[static AUTHORITY_ERROR_BYTES])
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	snprintf(error, AUTHORITY_ERROR_BYTES, "%s cannot be made: %s", what,
	        why ? why : "no memory");
	return -EIO;
}

/* ---- files ---- */

static int file_write(const struct authority_directory *directory, const char *name, mode_t mode,
        const char *bytes, size_t length, char error[static AUTHORITY_ERROR_BYTES])
{
	int err = file_replace(directory->fd, name, mode, bytes, length);

	return err ? failed(directory, name, err, error) : 0;
}

/* What @out holds; frees it. */
static int bio_write(const struct authority_directory *directory, const char *name, mode_t mode,
        BIO *out, char error[static AUTHORITY_ERROR_BYTES])
{
	char *bytes;
	long length = out ? BIO_get_mem_data(out, &bytes) : 0;
	int err = length > 0 ? file_write(directory, name, mode, bytes, length, error)
	                     : openssl_failed(name, error);

	BIO_free(out);
	return err;
}

static int key_write(const struct authority_directory *directory, const char *name,
        const EVP_PKEY *key, char error[static AUTHORITY_ERROR_BYTES])
{
	BIO *out = BIO_new(BIO_s_mem());

	if (out)
		PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
	return bio_write(directory, name, 0600, out, error);
}

static int certificate_write(const struct authority_directory *directory, const char *name,
        const X509 *certificate, char error[static AUTHORITY_ERROR_BYTES])
{
	BIO *out = BIO_new(BIO_s_mem());

	if (out)
		PEM_write_bio_X509(out, (X509 *)certificate);
	return bio_write(directory, name, 0644, out, error);
}

static int issued_store(
        struct authority_directory *directory, char error[static AUTHORITY_ERROR_BYTES])
{
	size_t length;
	CLEANUP_FREE char *text = issued_write(&directory->issued, &length);

	if (!text)
		return failed(directory, "issued", -ENOMEM, error);
	return file_write(directory, "issued", 0644, text, length, error);
}

static FILE *file_open(const struct authority_directory *directory, const char *name,
        char error[static AUTHORITY_ERROR_BYTES])
{
	int fd = openat(directory->fd, name, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (file)
		return file;
	failed(directory, name, -errno, error);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static int issued_read(
        struct authority_directory *directory, char error[static AUTHORITY_ERROR_BYTES])
{
	FILE *file = file_open(directory, "issued", error);
	CLEANUP_FREE char *text = NULL;
	size_t size = 0, line = 0;
	ssize_t length;
	int err;

	if (!file)
		return -ENOENT;
	/* There is no NUL in it: all of it. */
	length = getdelim(&text, &size, 0, file);
	fclose(file);
	if (length > ISSUED_MOST_BYTES)
		return failed(directory, "issued", -EFBIG, error);
	err = length > 0 ? issued_parse(&directory->issued, text, &line) : 0;
	if (err)
		snprintf(error, AUTHORITY_ERROR_BYTES,
		        "%s/issued:%zu: not SERIAL UNTIL REVOKED "
		        "ROLE/NAME",
		        directory->path, line);
	return err;
}

static int own_read(struct authority_directory *directory, char error[static AUTHORITY_ERROR_BYTES])
{
	FILE *file = file_open(directory, "ca.crt", error);

	if (!file)
		return -ENOENT;
	directory->ca = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	file = directory->ca ? file_open(directory, "ca.key", error) : NULL;
	if (!directory->ca)
		return failed(directory, "ca.crt", -EINVAL, error);
	if (!file)
		return -ENOENT;
	directory->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	if (!directory->key || X509_check_private_key(directory->ca, directory->key) != 1)
		return failed(directory, "ca.key", -EINVAL, error);
	return 0;
}

/* ---- life ---- */

static int directory_lock(const char *path, struct authority_directory **made,
        char error[static AUTHORITY_ERROR_BYTES])
{
	struct authority_directory *directory = calloc(1, sizeof(*directory));

	ERR_clear_error();
	if (!directory) {
		snprintf(error, AUTHORITY_ERROR_BYTES, "no memory");
		return -ENOMEM;
	}
	directory->path = path;
	directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory->fd < 0 || flock(directory->fd, LOCK_EX)) {
		int err = -errno;

		snprintf(error, AUTHORITY_ERROR_BYTES, "%s: %s", path, strerror(-err));
		authority_directory_close(directory);
		return err;
	}
	*made = directory;
	return 0;
}

static int ca_fill(struct authority_directory *directory, const struct validity *validity,
        char error[static AUTHORITY_ERROR_BYTES])
{
	int err;

	if (!faccessat(directory->fd, "ca.key", F_OK, 0) ||
	        !faccessat(directory->fd, "ca.crt", F_OK, 0)) {
		snprintf(
		        error, AUTHORITY_ERROR_BYTES, "%s: there is a CA already", directory->path);
		return -EEXIST;
	}
	directory->key = authority_key_make();
	if (directory->key)
		directory->ca = authority_ca_make(directory->key, "tether CA", validity);
	if (!directory->ca)
		return openssl_failed("ca.crt", error);
	err = key_write(directory, "ca.key", directory->key, error);
	if (!err)
		err = certificate_write(directory, "ca.crt", directory->ca, error);
	if (!err)
		err = issued_store(directory, error);
	return err ? err : authority_directory_crl(directory, error);
}

int authority_directory_make(const char *path, const struct validity *validity,
        struct authority_directory **made, char error[static AUTHORITY_ERROR_BYTES])
{
	struct authority_directory *directory = NULL;
	int err;

	if (mkdir(path, 0755) && errno != EEXIST) {
		err = -errno;
		snprintf(error, AUTHORITY_ERROR_BYTES, "%s: %s", path, strerror(-err));
		return err;
	}
	err = directory_lock(path, &directory, error);
	if (!directory)
		return err;
	err = ca_fill(directory, validity, error);
	if (err) {
		authority_directory_close(directory);
		return err;
	}
	*made = directory;
	return 0;
}

int authority_directory_open(const char *path, struct authority_directory **opened,
        char error[static AUTHORITY_ERROR_BYTES])
{
	struct authority_directory *directory = NULL;
	int err = directory_lock(path, &directory, error);

	if (!directory)
		return err;
	err = own_read(directory, error);
	if (!err)
		err = issued_read(directory, error);
	if (err) {
		authority_directory_close(directory);
		return err;
	}
	*opened = directory;
	return 0;
}

void authority_directory_close(struct authority_directory *directory)
{
	if (!directory)
		return;
	if (directory->fd >= 0)
		close(directory->fd);
	X509_free(directory->ca);
	EVP_PKEY_free(directory->key);
	issued_clear(&directory->issued);
	free(directory);
}

/* ---- what it makes ---- */

static int pair_write(const struct authority_directory *directory,
        const struct peer_identity *identity, const EVP_PKEY *key, const X509 *certificate,
        char error[static AUTHORITY_ERROR_BYTES])
{
	char name[FILE_NAME_BYTES];
	int err;

	snprintf(name, sizeof(name), "%s-%s.key", peer_identity_role_name(identity->role),
	        identity->name);
	err = key_write(directory, name, key, error);
	if (err)
		return err;
	snprintf(name, sizeof(name), "%s-%s.crt", peer_identity_role_name(identity->role),
	        identity->name);
	return certificate_write(directory, name, certificate, error);
}

int authority_directory_issue(struct authority_directory *directory,
        const struct peer_identity *identity, const struct validity *validity,
        char error[static AUTHORITY_ERROR_BYTES])
{
	struct issued_row row = {.until = validity->until, .identity = *identity};
	EVP_PKEY *key = authority_key_make();
	X509 *certificate = NULL;
	int err;

	if (key)
		certificate = authority_certificate_make(
		        directory->ca, directory->key, key, identity, validity);
	if (certificate) {
		authority_serial(certificate, row.serial);
		/* Listed first: what is good somewhere can be revoked. */
		err = issued_add(&directory->issued, &row);
		if (err)
			failed(directory, "issued", err, error);
		else
			err = issued_store(directory, error);
		if (!err)
			err = pair_write(directory, identity, key, certificate, error);
	} else {
		err = openssl_failed("the certificate", error);
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	return err;
}

static size_t revocations_of(const struct issued *issued, struct revocation *revoked)
{
	size_t count = 0;

	for (size_t i = 0; i < issued->count; i++) {
		if (!issued->rows[i].revoked)
			continue;
		memcpy(revoked[count].serial, issued->rows[i].serial, SERIAL_TEXT_BYTES);
		revoked[count++].when = issued->rows[i].revoked;
	}
	return count;
}

int authority_directory_crl(
        struct authority_directory *directory, char error[static AUTHORITY_ERROR_BYTES])
{
	const struct issued *issued = &directory->issued;
	CLEANUP_FREE struct revocation *revoked = calloc(issued->count + 1, sizeof(*revoked));
	struct timespec now;
	X509_CRL *crl;
	BIO *out;

	if (!revoked)
		return failed(directory, "ca.crl", -ENOMEM, error);
	clock_gettime(CLOCK_REALTIME, &now);
	crl = authority_crl_make(directory->ca, directory->key, revoked,
	        revocations_of(issued, revoked),
	        (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
	        now.tv_sec - CLOCKS_APART_S);
	out = crl ? BIO_new(BIO_s_mem()) : NULL;
	if (out)
		PEM_write_bio_X509_CRL(out, crl);
	X509_CRL_free(crl);
	return bio_write(directory, "ca.crl", 0644, out, error);
}

int authority_directory_revoke(struct authority_directory *directory, const char *which,
        char error[static AUTHORITY_ERROR_BYTES])
{
	struct peer_identity identity;
	bool is_name = !peer_identity_parse_short(which, strlen(which), &identity);
	int err;

	if (!issued_revoke(&directory->issued, is_name ? &identity : NULL, which, time(NULL))) {
		snprintf(error, AUTHORITY_ERROR_BYTES,
		        "%s: no certificate of %s that is not revoked already", directory->path,
		        which);
		return -ENOENT;
	}
	err = issued_store(directory, error);
	return err ? err : authority_directory_crl(directory, error);
}

const struct issued *authority_directory_issued(const struct authority_directory *directory)
{
	return &directory->issued;
}
