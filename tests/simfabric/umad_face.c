/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * libibumad over the fabric: the functions that reach for sysfs or a device are defined here and,
 * preloaded, take the library's place; those that only move bytes in a umad header stay its own.
 * Returns are those of rdma-core 44's man pages and source.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/umad.h>

#include "simfabric/issm.h"
#include "simfabric/mad_fields.h"
#include "simfabric/umad_devices.h"
#include "simfabric/umad_port.h"

#define EXPORT __attribute__((visibility("default")))

enum { OPENIB_OUI = 0x001405 };

EXPORT int umad_init(void)
{
	return 0;
}

EXPORT int umad_done(void)
{
	return 0;
}

EXPORT int umad_get_cas_names(char cas[][UMAD_CA_NAME_LEN], int max)
{
	struct fabric *fabric;
	struct hca_place place;

	if (max < 1 || umad_device(NULL, &fabric, &place))
		return 0;
	snprintf(cas[0], UMAD_CA_NAME_LEN, "%.19s", place.device_name);
	return 1;
}

EXPORT struct umad_device_node *umad_get_ca_device_list(void)
{
	char name[1][UMAD_CA_NAME_LEN];
	struct umad_device_node *node;

	errno = 0;
	if (!umad_get_cas_names(name, 1))
		return NULL;
	node = calloc(1, sizeof(*node) + sizeof(name[0]));
	if (!node)
		return NULL;
	memcpy(node + 1, name[0], sizeof(name[0]));
	node->ca_name = (char *)(node + 1);
	return node;
}

EXPORT void umad_free_ca_device_list(struct umad_device_node *head)
{
	while (head) {
		struct umad_device_node *next = head->next;

		free(head);
		head = next;
	}
}

EXPORT int umad_release_port(umad_port_t *port)
{
	free(port->pkeys);
	port->pkeys = NULL;
	port->pkeys_size = 0;
	return 0;
}

EXPORT int umad_release_ca(umad_ca_t *ca)
{
	for (int i = 0; i <= ca->numports; i++) {
		if (!ca->ports[i])
			continue;
		umad_release_port(ca->ports[i]);
		free(ca->ports[i]);
		ca->ports[i] = NULL;
	}
	return 0;
}

EXPORT int umad_get_ca(const char *ca_name, umad_ca_t *ca)
{
	int r = umad_device_describe(ca_name, ca);

	if (r && r != -ENODEV)
		umad_release_ca(ca);
	return r;
}

EXPORT int umad_get_port(const char *ca_name, int portnum, umad_port_t *port)
{
	return umad_device_describe_port(ca_name, portnum, port);
}

EXPORT int umad_get_ca_portguids(const char *ca_name, __be64 *portguids, int max)
{
	umad_ca_t ca;
	int r = umad_get_ca(ca_name, &ca), ports = 0;

	if (r)
		return r;
	if (portguids && ca.numports + 1 > max) {
		umad_release_ca(&ca);
		return -ENOMEM;
	}
	for (int i = 0; portguids && i <= ca.numports; i++)
		portguids[ports++] = ca.ports[i] ? ca.ports[i]->port_guid : htobe64(0);
	umad_release_ca(&ca);
	return ports;
}

EXPORT int umad_get_issm_path(const char *ca_name, int portnum, char path[], int max)
{
	struct fabric *fabric;
	struct hca_place place;
	uint32_t port;
	int r = umad_device_port(ca_name, &portnum, &fabric, &place, &port);

	return r || max <= 0 ? r : issm_offer(fabric, port, path, max);
}

EXPORT int umad_open_port(const char *ca_name, int portnum)
{
	struct fabric *fabric;
	struct hca_place place;
	uint32_t port;
	int r = umad_device_port(ca_name, &portnum, &fabric, &place, &port);

	return r ? r : umad_port_open(fabric, &place, port);
}

EXPORT int umad_close_port(int fd)
{
	struct umad_open_port *port = umad_port_find(fd);

	if (port)
		umad_port_close(port);
	return 0;
}

EXPORT int umad_get_fd(int fd)
{
	return fd;
}

/* The header has room for a P_Key index, as with every kernel since 2.6.24. */
EXPORT void *umad_get_mad(void *umad)
{
	return ((struct ib_user_mad *)umad)->data;
}

EXPORT size_t umad_size(void)
{
	return sizeof(struct ib_user_mad);
}

EXPORT int umad_set_pkey(void *umad, int pkey_index)
{
	((struct ib_user_mad *)umad)->addr.pkey_index = pkey_index;
	return 0;
}

EXPORT int umad_get_pkey(void *umad)
{
	return ((struct ib_user_mad *)umad)->addr.pkey_index;
}

EXPORT int umad_send(int fd, int agentid, void *umad, int length, int timeout_ms, int retries)
{
	struct umad_open_port *port = umad_port_find(fd);
	struct ib_user_mad *mad = umad;
	int r;

	mad->timeout_ms = timeout_ms;
	mad->retries = retries;
	mad->agent_id = agentid;
	r = !port ? -EBADF : length < 0 ? -EINVAL : umad_port_send(port, mad, length);
	errno = -r;
	return r ? -EIO : 0;
}

EXPORT int umad_recv(int fd, void *umad, int *length, int timeout_ms)
{
	struct umad_open_port *port = umad_port_find(fd);
	size_t bytes;
	int r = 0;

	errno = EINVAL;
	if (!umad || !length || *length < 0)
		return -EINVAL;
	errno = EBADF;
	if (!port)
		return -EBADF;
	do {
		if (timeout_ms)
			r = umad_port_wait(port, timeout_ms);
		bytes = *length;
		if (!r)
			r = umad_port_receive(port, umad, &bytes);
		/* Another thread may have been quicker. */
	} while (r == -EAGAIN && timeout_ms < 0);
	if (!r || r == -ENOSPC)
		*length = (int)bytes;
	errno = -r;
	return r ? r : (int)((struct ib_user_mad *)umad)->agent_id;
}

EXPORT int umad_poll(int fd, int timeout_ms)
{
	struct umad_open_port *port = umad_port_find(fd);
	int r = port ? umad_port_wait(port, timeout_ms) : -EIO;

	return !r || r == -ETIMEDOUT ? r : -EIO;
}

static struct agent make_agent(uint8_t mgmt_class, uint8_t version, uint8_t rmpp_version,
        uint32_t oui, const void *method_mask)
{
	struct agent agent = {
	        .mgmt_class = mgmt_class,
	        .class_version = version,
	        .rmpp_version = rmpp_version,
	        .oui = {(uint8_t)(oui >> 16), (uint8_t)(oui >> 8), (uint8_t)oui},
	};

	if (method_mask)
		memcpy(agent.methods, method_mask, sizeof(agent.methods));
	return agent;
}

static int register_agent(int fd, const struct agent *agent)
{
	struct umad_open_port *port = umad_port_find(fd);
	int r = port ? umad_port_register(port, agent) : -EBADF;

	errno = r < 0 ? -r : 0;
	return r;
}

EXPORT int umad_register(int fd, int mgmt_class, int mgmt_version, uint8_t rmpp_version,
        long method_mask[16 / sizeof(long)])
{
	struct agent agent =
	        make_agent(mgmt_class, mgmt_version, rmpp_version, OPENIB_OUI, method_mask);
	int r = register_agent(fd, &agent);

	return r < 0 ? -EPERM : r;
}

static int is_vendor_class_with_oui(int mgmt_class)
{
	return mgmt_class >= CLASS_VENDOR_OUI_FIRST && mgmt_class <= CLASS_VENDOR_OUI_LAST;
}

EXPORT int umad_register_oui(int fd, int mgmt_class, uint8_t rmpp_version, uint8_t oui[3],
        long method_mask[16 / sizeof(long)])
{
	uint32_t number = (uint32_t)oui[0] << 16 | oui[1] << 8 | oui[2];
	struct agent agent = make_agent(mgmt_class, 1, rmpp_version, number, method_mask);
	int r;

	if (!is_vendor_class_with_oui(mgmt_class))
		return -EINVAL;
	r = register_agent(fd, &agent);
	return r < 0 ? -EPERM : r;
}

EXPORT int umad_register2(int fd, struct umad_reg_attr *attr, uint32_t *agent_id)
{
	struct agent agent;
	int r;

	if (!attr || !agent_id)
		return EINVAL;
	if (is_vendor_class_with_oui(attr->mgmt_class) && (!attr->oui || attr->oui >> 24))
		return EINVAL;
	if (attr->flags & ~(uint32_t)UMAD_USER_RMPP) {
		attr->flags = UMAD_USER_RMPP;
		return EINVAL;
	}
	agent = make_agent(attr->mgmt_class, attr->mgmt_class_version,
	        attr->flags & UMAD_USER_RMPP ? 0 : attr->rmpp_version, attr->oui,
	        attr->method_mask);
	r = register_agent(fd, &agent);
	if (r < 0)
		return -r;
	*agent_id = r;
	return 0;
}

EXPORT int umad_unregister(int fd, int agentid)
{
	struct umad_open_port *port = umad_port_find(fd);
	int r = !port ? -EBADF : agentid < 0 ? -EINVAL : umad_port_unregister(port, agentid);

	errno = -r;
	return r ? -1 : 0;
}
