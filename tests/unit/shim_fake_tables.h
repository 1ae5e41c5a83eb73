/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* GIDs and P_Keys of the fake HCAs: the VM's as the test says, the peer's one of each. */
#ifndef TEST_SHIM_FAKE_TABLES_H
#define TEST_SHIM_FAKE_TABLES_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

enum { FAKE_GIDS = 4, FAKE_PKEYS = 4 };

struct fake_tables {
	uint8_t gids[FAKE_GIDS]; /* which one stands there, 1 being that of the port's GUID; 0: none
	                          */
	uint16_t pkeys[FAKE_PKEYS];
	bool cannot_be_asked;
};
extern struct fake_tables fake_tables;

void fake_tables_reset(void);
union ibv_gid fake_gid(uint8_t which);
/* Of ports that are not Ethernet, where it changes nothing: as wished for in a test. */
uint32_t fake_gid_type(uint8_t which);

int fake_query_gid(struct ibv_context *context, uint8_t port, int index, union ibv_gid *gid);
int fake_query_gid_ex(struct ibv_context *context, uint32_t port, uint32_t index,
        struct ibv_gid_entry *entry, uint32_t flags, size_t size);
int fake_query_gid_type(struct ibv_context *context, uint8_t port, unsigned index, unsigned *type);
ssize_t fake_query_gid_table(struct ibv_context *context, struct ibv_gid_entry *entries,
        size_t count, uint32_t flags, size_t size);
int fake_query_pkey(struct ibv_context *context, uint8_t port, int index, __be16 *pkey);
int fake_get_pkey_index(struct ibv_context *context, uint8_t port, __be16 pkey);
int fake_init_ah_from_wc(struct ibv_context *context, uint8_t port, struct ibv_wc *wc,
        struct ibv_grh *grh, struct ibv_ah_attr *attr);

#endif
