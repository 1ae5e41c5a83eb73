/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How an adapter presents its functions to the subnet, and so what a move has to change there. One
 * model per kind of adapter; the planner asks the model and knows no adapter itself. Pure.
 */
#ifndef TETHER_ENDPOINT_H
#define TETHER_ENDPOINT_H

#include "sm-side/plan/fabric_view.h"
#include "sm-side/plan/refusal.h"

struct endpoint_model {
	const char *name;
	/* Can a VM's identity live at @place? On success *@occupant is the end port there now. */
	enum refusal (*slot)(
	        const struct fabric_view *view, struct view_place place, uint32_t *occupant);
	/* Can an identity come to @place, where nobody is? On success *@pf is the end port of the
	 * hypervisor itself. NULL: such places are not told from others. SLOT_IN_USE. */
	enum refusal (*empty_slot)(
	        const struct fabric_view *view, struct view_place place, uint32_t *pf);
	/* The LID goes with the VM: both ports' LIDs are set and the switches' entries exchanged.
	 * (Under Shared Port it is the hypervisor's: alias GUIDs move instead, no switch is
	 * touched.) */
	bool lid_moves;
};

/* Each hypervisor's adapter is a switch with PF and VF behind it (the vSwitch paper, section V). */
extern const struct endpoint_model endpoint_vswitch;
/* Each CA with one port stands for a VF, wherever it is cabled: the paper's Table I. */
extern const struct endpoint_model endpoint_plain_ca;

#endif
