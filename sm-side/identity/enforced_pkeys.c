/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/identity/enforced_pkeys.h"
#include "sm-side/plugin/osm_model.h"

static unsigned wanted_blocks(const osm_physp_t *ca)
{
	return (unsigned)cl_ptr_vector_get_size(&ca->pkeys.new_blocks);
}

osm_physp_t *enforced_pkeys_port(const osm_opensm_t *osm, const osm_physp_t *ca)
{
	osm_physp_t *remote = osm_physp_get_remote(ca);

	if (!remote || !remote->p_node->sw || !remote->p_node->sw->switch_info.enforce_cap)
		return NULL;
	if (osm->subn.opt.part_enforce_enum == OSM_PARTITION_ENFORCE_TYPE_OFF)
		return NULL;
	return wanted_blocks(ca) ? remote : NULL;
}

static ib_net16_t wanted_key(const osm_physp_t *ca, unsigned index)
{
	const ib_pkey_table_t *block =
	        osm_model_pkeys_wanted(ca, index / IB_NUM_PKEY_ELEMENTS_IN_BLOCK);

	return block->pkey_entry[index % IB_NUM_PKEY_ELEMENTS_IN_BLOCK];
}

/* A full member lets a limited one through. */
static bool is_covered(const osm_physp_t *ca, unsigned keys, ib_net16_t key)
{
	ib_net16_t full = key | IB_PKEY_TYPE_MASK;

	for (unsigned i = 0; key != full && i < keys; i++)
		if (wanted_key(ca, i) == full)
			return true;
	return false;
}

bool enforced_pkeys_stand(const osm_physp_t *switch_port, const osm_physp_t *ca, unsigned block,
        ib_pkey_table_t *wanted)
{
	unsigned keys = wanted_blocks(ca) * IB_NUM_PKEY_ELEMENTS_IN_BLOCK;
	unsigned packed = 0;

	*wanted = (ib_pkey_table_t){0};
	for (unsigned i = 0; i < keys; i++) {
		ib_net16_t key = wanted_key(ca, i);

		if (ib_pkey_is_invalid(key) || is_covered(ca, keys, key))
			continue;
		if (packed / IB_NUM_PKEY_ELEMENTS_IN_BLOCK == block)
			wanted->pkey_entry[packed % IB_NUM_PKEY_ELEMENTS_IN_BLOCK] = key;
		packed++;
	}
	return osm_model_pkeys_equal(osm_model_pkeys_there(switch_port, block), wanted);
}
