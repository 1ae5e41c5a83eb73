/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program without librdmacm, in place of preload/real_rdmacm.c: nobody calls it. */
#include "preload/real_rdmacm.h"

const struct real_rdmacm *real_rdmacm(void)
{
	static const struct real_rdmacm none;

	return &none;
}
