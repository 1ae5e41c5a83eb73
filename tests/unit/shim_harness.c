/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "notifier/wire/gid_name.h"
#include "preload/steps.h"

enum harness_links harness_link;

const char *const harness_links_names[LINK_COUNT] = {
        [LINK_INFINIBAND] = "on_infiniband",
        [LINK_ETHERNET] = "on_ethernet_by_link_local_gids",
        [LINK_ETHERNET_OF_IPV4] = "on_ethernet_by_gids_of_ipv4",
};

enum harness_ends harness_ends;

const char *const harness_ends_names[ENDS_COUNT] = {
        [ENDS_APART] = "ends_apart",
        [ENDS_IN_VM] = "both_ends_in_the_vm",
        [ENDS_ON_DEVICE] = "both_ends_of_one_open_device",
};

uint32_t harness_vm_lid(const struct harness *h)
{
	return h->ethernet ? gid_name(h->vm.gid.raw) : FAKE_LID_VM;
}

static void peer_open(struct harness *h)
{
	h->peer.shares_context = harness_ends == ENDS_ON_DEVICE;
	if (!h->peer.shares_context) {
		end_open(&h->peer, harness_peer_lid(), h->with_srq);
		return;
	}
	h->peer.context = h->vm.context;
	end_make(&h->peer, h->with_srq);
}

void harness_choose_gids(struct harness *h)
{
	end_choose_gid(&h->vm, h->gids);
	end_choose_gid(&h->peer, h->gids);
}

void harness_open(struct harness *h)
{
	fake_reset();
	fake.psns_are_live = !h->psns_are_dead;
	if (harness_link) {
		h->ethernet = true;
		h->gids = harness_link == LINK_ETHERNET_OF_IPV4 ? GIDS_OF_IPV4 : GIDS_LINK_LOCAL;
	}
	fake.ethernet = h->ethernet;
	fake.address_stays = h->address_stays;
	fake.second_address = h->second_address;
	fake.lacks_ipv4 = h->lacks_ipv4;
	h->now_ms = 1000;
	h->vm.with_channel = h->peer.with_channel = h->with_channel;
	end_open(&h->vm, FAKE_LID_VM, h->with_srq);
	peer_open(h);
	if (h->ethernet)
		harness_choose_gids(h);
}

void harness_connect(struct harness *h)
{
	end_create_qp(&h->vm, h);
	end_create_qp(&h->peer, h);
	end_connect(&h->vm, &h->peer, harness_peer_lid());
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
}

void harness_close(struct harness *h)
{
	end_close(&h->peer);
	end_close(&h->vm);
	harness_forget_answers(h);
	steps_forget();
	assert_int_equal(fake.live_objects, 0);
}

/* ---- for cmocka ---- */

void harness_begin(struct harness *h, struct harness wanted)
{
	*h = wanted;
	harness_open(h);
	harness_connect(h);
}

static struct harness only;

int harness_setup(void **state)
{
	harness_begin(&only, (struct harness){0});
	*state = &only;
	return 0;
}

int harness_setup_srq(void **state)
{
	harness_begin(&only, (struct harness){.with_srq = true});
	*state = &only;
	return 0;
}

int harness_setup_channel(void **state)
{
	harness_begin(&only, (struct harness){.with_channel = true});
	*state = &only;
	return 0;
}

int harness_setup_datagrams(void **state)
{
	harness_begin(&only, (struct harness){.type = IBV_QPT_UD});
	*state = &only;
	return 0;
}

int harness_setup_unconnected(void **state)
{
	only = (struct harness){0};
	harness_open(&only);
	*state = &only;
	return 0;
}

int harness_teardown(void **state)
{
	harness_close(*state);
	return 0;
}
