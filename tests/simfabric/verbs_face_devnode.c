/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * /dev/infiniband/uverbsN: UCX asks libc, before it opens a device, whether the file is there, is a
 * character device and may be read and written. These two answer for the device that this process
 * sees and go to the kernel for everything else. They stand without a version (verbs_face.map): one
 * with a version would not be bound to.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "simfabric/process.h"
#include "simfabric/verbs_face.h"

enum { UVERBS_MAJOR = 231, UVERBS_MINOR = 192 };

static bool is_our_node(const char *path)
{
	static const char node[] = "/dev/infiniband/" FACE_DEV_NAME;
	struct hca_place place;
	struct fabric *fabric;
	int before = errno;
	bool is_ours = path && !strcmp(path, node) && !process_fabric(&fabric) &&
	               !attach_current(fabric, &place);

	errno = before;
	return is_ours;
}

ENTRY int stat(const char *restrict path, struct stat *restrict st)
{
	if (!is_our_node(path))
		return fstatat(AT_FDCWD, path, st, 0);
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFCHR | 0666;
	st->st_nlink = 1;
	st->st_rdev = makedev(UVERBS_MAJOR, UVERBS_MINOR);
	return 0;
}

ENTRY int access(const char *path, int mode)
{
	if (!is_our_node(path))
		return faccessat(AT_FDCWD, path, mode, 0);
	if (mode & X_OK) {
		errno = EACCES;
		return -1;
	}
	return 0;
}
