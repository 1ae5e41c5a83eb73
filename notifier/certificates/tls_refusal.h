/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Why a link over TLS does not come to stand (tls_refusals.def). Pure but for OpenSSL's queue of
 * errors, which is the calling thread's. */
#ifndef TETHER_TLS_REFUSAL_H
#define TETHER_TLS_REFUSAL_H

#include <stddef.h>

enum tls_refusal {
#define REFUSAL(kind, text) TLS_REFUSAL_##kind,
#include "notifier/certificates/tls_refusals.def"
#undef REFUSAL
	TLS_REFUSALS,
};

/* "PLAIN_TEXT" */
const char *tls_refusal_name(enum tls_refusal kind);
const char *tls_refusal_text(enum tls_refusal kind);

/* Of a certificate that X509_verify_cert did not like (X509_V_ERR_...). */
enum tls_refusal tls_refusal_of_verification(int error);

/* Of the last error in the queue of OpenSSL (ERR_peek_last_error), with @text filled in. */
enum tls_refusal tls_refusal_of_error(unsigned long error, char *text, size_t size);

#endif
