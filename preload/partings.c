/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/partings.h"

#include <stdlib.h>

#include "notifier/base/log.h"

struct said {
	struct pair_names names;
	STAILQ_ENTRY(said) link;
};

static STAILQ_HEAD(, said) all = STAILQ_HEAD_INITIALIZER(all);

void partings_add(const struct pair_names *names)
{
	struct said *said = calloc(1, sizeof(*said));

	if (!said) {
		log_error("cm", "no memory: the other end of qp 0x%x does not hear of its end",
		        names->local_qpn);
		return;
	}
	said->names = *names;
	STAILQ_INSERT_TAIL(&all, said, link);
}

bool partings_next(Tether__Parting *parting)
{
	struct said *said = STAILQ_FIRST(&all);

	if (!said)
		return false;
	tether__parting__init(parting);
	parting->local_lid = said->names.local_lid;
	parting->local_qpn = said->names.local_qpn;
	parting->remote_lid = said->names.remote_lid;
	parting->remote_qpn = said->names.remote_qpn;
	STAILQ_REMOVE_HEAD(&all, link);
	free(said);
	return true;
}

void partings_forget(void)
{
	STAILQ_INIT(&all);
}
