/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* GMPs that have a name here: of event forwarding (IBA 1.4, 13.4.8 to 13.4.11 and 15.2.5). Pure. */
#ifndef SIMFABRIC_GMP_KINDS_H
#define SIMFABRIC_GMP_KINDS_H

#include <stdint.h>

struct gmp_kind {
	const char *name;
	uint8_t mgmt_class;
	uint8_t method;
	uint16_t attribute;
};

/* Without regard to case; NULL: there is none. */
const struct gmp_kind *gmp_kind_by_name(const char *name);
const struct gmp_kind *gmp_kind_of(uint8_t mgmt_class, uint8_t method, uint16_t attribute);

#endif
