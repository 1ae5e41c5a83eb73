/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/name_hash.h"

#include <endian.h>
#include <string.h>
#include <sys/auxv.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotated(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void sip_round(struct sip *sip)
{
	sip->v0 += sip->v1;
	sip->v1 = rotated(sip->v1, 13) ^ sip->v0;
	sip->v0 = rotated(sip->v0, 32);
	sip->v2 += sip->v3;
	sip->v3 = rotated(sip->v3, 16) ^ sip->v2;
	sip->v0 += sip->v3;
	sip->v3 = rotated(sip->v3, 21) ^ sip->v0;
	sip->v2 += sip->v1;
	sip->v1 = rotated(sip->v1, 17) ^ sip->v2;
	sip->v2 = rotated(sip->v2, 32);
}

static inline void sip_take(struct sip *sip, uint64_t word)
{
	sip->v3 ^= word;
	sip_round(sip);
	sip->v0 ^= word;
}

static uint64_t key[2];

/* Without a key (no kernel gives none) every table still finds what is in it. */
__attribute__((constructor)) static void key_read(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);

	if (random)
		memcpy(key, random, sizeof(key));
}

uint64_t name_hash(const char *name, size_t length)
{
	size_t left = length;
	uint64_t word;
	struct sip sip;

	sip = (struct sip){key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL,
	        key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL};
	for (; left >= sizeof(word); left -= sizeof(word), name += sizeof(word)) {
		memcpy(&word, name, sizeof(word));
		sip_take(&sip, le64toh(word));
	}
	word = 0;
	memcpy(&word, name, left);
	sip_take(&sip, le64toh(word) | (uint64_t)length << 56);
	sip.v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(&sip);
	return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}
