/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Numbers drawn from a seed (splitmix64), the same on each machine. */
#ifndef MODEL_CHANCE_H
#define MODEL_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

static inline uint64_t chance_mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint64_t chance_next(struct chance *chance)
{
	return chance_mix(chance->state += UINT64_C(0x9e3779b97f4a7c15));
}

/* From 0 to @count - 1. */
static inline uint32_t chance_below(struct chance *chance, uint32_t count)
{
	return (uint32_t)((chance_next(chance) >> 32) * count >> 32);
}

static inline uint32_t chance_between(struct chance *chance, uint32_t least, uint32_t most)
{
	return least + chance_below(chance, most - least + 1);
}

static inline bool chance_percent(struct chance *chance, uint32_t percent)
{
	return chance_below(chance, 100) < percent;
}

#endif
