/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The notice by which OpenSM tells a server that tether-smd has something for it, and the
 * subscription to it, as bytes of MADs (IBA 1.4: Notice 13.4.8.2, InformInfo 13.4.8.3, SA header
 * 15.2.1.1). A notice is a hint: it says how far the numbers are, and nothing is done for its sake
 * but to ask. Pure; numbers in host order.
 */
#ifndef TETHER_NOTICE_H
#define TETHER_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NOTICE_MAD_BYTES = 256,
	NOTICE_BYTES = 80,         /* the attribute */
	NOTICE_DETAILS_BYTES = 54, /* of it, the part that is ours */
	NOTICE_SA_CLASS = 3,
	NOTICE_SA_VERSION = 2,
	NOTICE_SA_REPORT = 6, /* the method */
	/* A locally administered OUI: nobody else's. The device is no trap number that means
	 * anything to OpenSM, which looks at 64 to 67 whoever's notice it is. */
	NOTICE_VENDOR = 0x025448,
	NOTICE_DEVICE = 0x7465,
};

struct notice {
	uint16_t lid;      /* of the server that it is for */
	uint64_t signal;   /* which start of tether-smd the sequence is of */
	uint64_t sequence; /* from 1, each server's own */
	uint64_t migration, epoch;
};

/* Everything but the LID. */
void notice_details_encode(const struct notice *notice, uint8_t details[NOTICE_DETAILS_BYTES]);
/* -EBADMSG: not of this version, or what must be zero is not. */
int notice_details_decode(const uint8_t details[NOTICE_DETAILS_BYTES], struct notice *notice);

/* The whole attribute, issued by the port with @gid: a port of the server itself, so that
 * subscriber and issuer share a P_Key. */
void notice_encode(
        const struct notice *notice, const uint8_t gid[16], uint8_t attribute[NOTICE_BYTES]);

/* A Report of the subnet administrator? Then it is to be acknowledged. */
bool notice_is_report(const uint8_t *mad, size_t bytes);
/* What it reports. -ENOMSG: something that is none of ours; -EBADMSG. */
int notice_report_decode(const uint8_t mad[NOTICE_MAD_BYTES], struct notice *notice);
/* Make of a Report what acknowledges it. */
void notice_acknowledge(uint8_t mad[NOTICE_MAD_BYTES]);

/* Ask for the notices that are for @lid; or not any more. */
void notice_subscribe(uint16_t lid, bool subscribe, uint32_t tid, uint8_t mad[NOTICE_MAD_BYTES]);
/* The answer to that: 0, or the status that refuses it. -ENOMSG: it is none. */
int notice_subscribed(const uint8_t *mad, size_t bytes);

#endif
