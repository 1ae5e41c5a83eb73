/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The M_Key check of an end port and its lease (IBA 1.4, 14.2.4). Under the fabric's lock. */
#ifndef SIMFABRIC_MKEY_H
#define SIMFABRIC_MKEY_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/shared_file.h"

enum mkey_verdict {
	MKEY_PASS,
	MKEY_PASS_HIDDEN, /* a Get that does not know the key: PortInfo shows 0 */
	MKEY_REFUSE,      /* no response; the violation is counted and the lease runs */
};

/* @port: end port; @is_get: anything else needs the key whenever there is one. */
enum mkey_verdict mkey_check(
        struct fabric *fabric, uint32_t port, bool is_get, uint64_t mkey, uint64_t now);

#endif
