/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_hca.h"

#include "preload/real_verbs.h"
#include "tests/unit/shim_fake_clocks.h"
#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_fake_devices.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_loss.h"
#include "tests/unit/shim_fake_memory.h"
#include "tests/unit/shim_fake_queue_pairs.h"
#include "tests/unit/shim_fake_rarities.h"
#include "tests/unit/shim_fake_shared_queues.h"
#include "tests/unit/shim_fake_tables.h"
#include "tests/unit/shim_fake_windows.h"

struct fake fake;

void fake_reset(void)
{
	fake = (struct fake){.post_fails_at = -1,
	        .err_flushes_receives = true,
	        .reset_purges = true,
	        .psns_are_live = true};
	fake_tables_reset();
	fake_clocks_reset();
	fake_devices_reset();
	fake_memory_reset();
	fake_windows_reset();
	fake_completions_reset();
	TAILQ_INIT(&fake_qps);
	TAILQ_INIT(&fake_srqs);
}

const struct real_verbs *real_verbs(void)
{
	static const struct real_verbs verbs = {
	        .ibv_get_device_list = fake_get_device_list,
	        .ibv_free_device_list = fake_free_device_list,
	        .ibv_get_device_guid = fake_get_device_guid,
	        .ibv_get_device_name = fake_get_device_name,
	        .ibv_get_device_index = fake_get_device_index,
	        .ibv_open_device = fake_open_device,
	        .ibv_close_device = fake_close_device,
	        .ibv_query_device = fake_query_device,
	        .ibv_query_gid = fake_query_gid,
	        ._ibv_query_gid_ex = fake_query_gid_ex,
	        .ibv_query_gid_type = fake_query_gid_type,
	        ._ibv_query_gid_table = fake_query_gid_table,
	        .ibv_query_pkey = fake_query_pkey,
	        .ibv_get_pkey_index = fake_get_pkey_index,
	        .ibv_init_ah_from_wc = fake_init_ah_from_wc,
	        .ibv_alloc_pd = fake_alloc_pd,
	        .ibv_dealloc_pd = lost_dealloc_pd,
	        .ibv_reg_mr = fake_reg_mr,
	        .ibv_reg_mr_iova2 = fake_reg_mr_iova2,
	        .ibv_rereg_mr = fake_rereg_mr,
	        .ibv_dereg_mr = lost_dereg_mr,
	        .ibv_create_cq = fake_create_cq,
	        .ibv_resize_cq = fake_resize_cq,
	        .ibv_destroy_cq = lost_destroy_cq,
	        .ibv_create_qp = fake_create_qp,
	        .ibv_modify_qp = lost_modify_qp,
	        .ibv_query_qp = lost_query_qp,
	        .ibv_destroy_qp = lost_destroy_qp,
	        .ibv_create_ah = fake_create_ah,
	        .ibv_destroy_ah = lost_destroy_ah,
	        .ibv_create_srq = fake_create_srq,
	        .ibv_modify_srq = fake_modify_srq,
	        .ibv_query_srq = fake_query_srq,
	        .ibv_destroy_srq = lost_destroy_srq,
	        .ibv_create_comp_channel = fake_create_comp_channel,
	        .ibv_destroy_comp_channel = lost_destroy_comp_channel,
	        .ibv_get_cq_event = fake_get_cq_event,
	        .ibv_ack_cq_events = fake_ack_cq_events,
	        .ibv_get_async_event = fake_get_async_event,
	        .ibv_ack_async_event = fake_ack_async_event,
	        .ibv_set_ece = fake_set_ece,
	        .ibv_attach_mcast = fake_attach_mcast,
	        .ibv_detach_mcast = fake_detach_mcast,
	        .ibv_import_device = fake_import_device,
	};

	return &verbs;
}
