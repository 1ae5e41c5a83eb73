/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/issm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "simfabric/topology.h"

int issm_offer(struct fabric *fabric, uint32_t port, char *path, size_t bytes)
{
	char whole[PATH_MAX];

	fabric_side_path(fabric, "issm", port, whole, sizeof(whole));
	if (strlen(whole) >= bytes)
		return -ENAMETOOLONG;
	memcpy(path, whole, strlen(whole) + 1);
	if (mkfifo(path, 0600) && errno != EEXIST)
		return -errno;
	__atomic_store_n(&fabric->ports[port].is_issm_asked, 1, __ATOMIC_RELEASE);
	return 0;
}

bool issm_is_open(const struct fabric *fabric, uint32_t port)
{
	char path[PATH_MAX];
	int fd;

	if (!__atomic_load_n(&fabric->ports[port].is_issm_asked, __ATOMIC_ACQUIRE))
		return false;
	fabric_side_path(fabric, "issm", port, path, sizeof(path));
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC); /* ENXIO: no reader */
	if (fd < 0)
		return false;
	close(fd);
	return true;
}
