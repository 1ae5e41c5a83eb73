/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/gmp_kinds.h"

#include <stddef.h>
#include <strings.h>

#include "notifier/base/cleanup.h"
#include "simfabric/mad_fields.h"

enum { METHOD_REPORT = 0x06, ATTRIBUTE_NOTICE = 0x02, ATTRIBUTE_INFORM_INFO = 0x03 };

static const struct gmp_kind kinds[] = {
        {"Report", CLASS_SUBN_ADM, METHOD_REPORT, ATTRIBUTE_NOTICE},
        {"ReportResp", CLASS_SUBN_ADM, METHOD_REPORT | METHOD_RESPONSE_BIT, ATTRIBUTE_NOTICE},
        {"InformInfo", CLASS_SUBN_ADM, METHOD_SUBN_SET, ATTRIBUTE_INFORM_INFO},
        {"InformInfoResp", CLASS_SUBN_ADM, METHOD_GET_RESPONSE, ATTRIBUTE_INFORM_INFO},
};

const struct gmp_kind *gmp_kind_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcasecmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

const struct gmp_kind *gmp_kind_of(uint8_t mgmt_class, uint8_t method, uint16_t attribute)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].mgmt_class == mgmt_class && kinds[i].method == method &&
		        kinds[i].attribute == attribute)
			return &kinds[i];
	return NULL;
}
