/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "sm-side/identity/enforced_pkeys.h"
#include "sm-side/identity/identity_verify.h"
#include "sm-side/identity/linear_top.h"
#include "sm-side/plugin/osm_model.h"
#include "sm-side/identity/reread.h"

static void __attribute__((format(printf, 2, 3)))
difference_add(struct differences *differences, const char *format, ...)
{
	va_list args;

	if (differences->count++ >= DIFFERENCES_MAX)
		return;
	va_start(args, format);
	vsnprintf(differences->text[differences->count - 1], DIFFERENCE_BYTES, format, args);
	va_end(args);
}

static void compare_enforced(
        const osm_opensm_t *osm, const osm_port_t *port, struct differences *differences)
{
	const osm_physp_t *switch_port = enforced_pkeys_port(osm, port->p_physp);
	unsigned blocks = switch_port ? osm_pkey_tbl_get_num_blocks(&switch_port->pkeys) : 0;
	ib_pkey_table_t wanted;

	for (unsigned i = 0; i < blocks; i++)
		if (!enforced_pkeys_stand(switch_port, port->p_physp, i, &wanted))
			difference_add(differences,
			        "the switch port before 0x%016" PRIx64
			        " enforces other P_Keys in block %u",
			        cl_ntoh64(port->guid), i);
}

static void compare_identity(const osm_opensm_t *osm, const struct plan_transfer *transfer,
        struct differences *differences)
{
	const struct plan_identity *identity = &transfer->identity;
	struct view_place place = transfer->to;
	const osm_port_t *port = osm_model_port(osm, identity->port_guid);
	unsigned blocks;

	if (!port || !port->p_physp) {
		difference_add(
		        differences, "port 0x%016" PRIx64 " is unknown", identity->port_guid);
		return;
	}
	if (!view_place_equal(osm_model_place(port), place))
		difference_add(differences,
		        "port 0x%016" PRIx64 " is not at switch 0x%016" PRIx64 " port %u",
		        identity->port_guid, place.switch_guid, place.port);
	if (!reread_is_complete(osm, port->p_physp))
		difference_add(
		        differences, "port 0x%016" PRIx64 " did not answer", identity->port_guid);
	if (cl_ntoh16(osm_physp_get_base_lid(port->p_physp)) != identity->lid)
		difference_add(differences, "port 0x%016" PRIx64 " has LID %u, not %u",
		        identity->port_guid, cl_ntoh16(osm_physp_get_base_lid(port->p_physp)),
		        identity->lid);
	blocks = osm_pkey_tbl_get_num_blocks(&port->p_physp->pkeys);
	for (unsigned i = 0; i < blocks; i++)
		if (!osm_model_pkeys_equal(osm_model_pkeys_there(port->p_physp, i),
		            osm_model_pkeys_wanted(port->p_physp, i)))
			difference_add(differences,
			        "port 0x%016" PRIx64 " has other P_Keys in block %u",
			        identity->port_guid, i);
	compare_enforced(osm, port, differences);
}

/* One that has gone since carries nothing; whether the others lead around it is asked of them all.
 */
static void compare_entry(
        const osm_opensm_t *osm, const struct plan_entry *entry, struct differences *differences)
{
	const osm_switch_t *sw = osm_model_switch(osm, entry->switch_guid);

	if (!sw)
		return;
	if (!sw->new_lft || entry->lid >= sw->lft_size)
		difference_add(differences, "switch 0x%016" PRIx64 " has no entry for LID %u",
		        entry->switch_guid, entry->lid);
	else if (sw->lft[entry->lid] != sw->new_lft[entry->lid])
		difference_add(differences,
		        "switch 0x%016" PRIx64 " has port %u for LID %u, not %u",
		        entry->switch_guid, sw->lft[entry->lid], entry->lid,
		        sw->new_lft[entry->lid]);
}

/* As far as OpenSM believes: are links and routes as planned? */
static enum refusal compare_belief(
        const osm_opensm_t *osm, const struct plan *plan, struct differences *differences)
{
	struct fabric_view *view = osm_model_view(osm);
	struct plan_left left;
	enum refusal refused;

	if (!view)
		return REFUSAL_NO_MEMORY;
	refused = plan_left(view, plan, &left);
	fabric_view_destroy(view);
	if (refused == REFUSAL_NO_MEMORY)
		return refused;
	if (refused || !left.routes_done)
		difference_add(differences, "the tables do not lead to the plan's places");
	if (!refused)
		plan_left_clear(&left);
	return REFUSAL_NONE;
}

static enum refusal compare(
        osm_opensm_t *osm, const struct plan *plan, struct differences *differences)
{
	enum refusal refused;

	CL_PLOCK_ACQUIRE(&osm->lock);
	refused = compare_belief(osm, plan, differences);
	if (!refused) {
		for (uint32_t i = 0; i < plan->transfer_count; i++)
			if (plan_transfer_moves(&plan->transfers[i]))
				compare_identity(osm, &plan->transfers[i], differences);
		for (uint32_t i = 0; i < plan->entry_count; i++)
			compare_entry(osm, &plan->entries[i], differences);
		if (!linear_top_covers(osm, plan))
			difference_add(
			        differences, "a switch's LinearFDBTop is below a LID of the plan");
	}
	CL_PLOCK_RELEASE(&osm->lock);
	return refused;
}

static void ask_for_routes(osm_opensm_t *osm, struct smp_sender *sender, const struct plan *plan)
{
	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	for (uint32_t i = 0; i < plan->sets.change_count; i++)
		smp_sender_opensm_lft_read(
		        sender, plan->sets.changes[i].switch_guid, plan->sets.changes[i].block);
	CL_PLOCK_RELEASE(&osm->lock);
}

enum refusal identity_verify(struct osm_opensm *osm, struct smp_sender *sender,
        const struct plan *plan, uint64_t deadline_ns, struct differences *differences)
{
	enum refusal refused = reread_ask(osm, plan);
	uint32_t resent = 0;
	int error;

	if (refused)
		return refused;
	ask_for_routes(osm, sender, plan);
	error = sender->kind->lft_wait(sender, deadline_ns, &resent);
	refused = reread_wait(sender, deadline_ns);
	if (refused)
		return refused;
	differences->count = 0;
	if (error)
		difference_add(differences, "not every switch answered");
	return compare(osm, plan, differences);
}
