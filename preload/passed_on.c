/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Symbols that have no room of their own: refused, or passed on. */
#include <errno.h>

#include "preload/objects.h"

/* What could not be rebuilt is not made: answered here for our objects. */
#define SYMBOL(ret, name, version, params, args, test)
#define HIDDEN(ret, name, version, params, args, owner, failure, why, test)                        \
	WRAPPER ret name params                                                                    \
	{                                                                                          \
		if (!context_of(owner))                                                            \
			return below.name args;                                                    \
		errno = EOPNOTSUPP;                                                                \
		return failure;                                                                    \
	}
/* They are defined all the same: who looks symbols up in one library gets this one. */
#define PASSED(ret, name, version, params, args, why, test)                                        \
	WRAPPER ret name params;                                                                   \
	WRAPPER ret name params                                                                    \
	{                                                                                          \
		return below.name args;                                                            \
	}
#include "preload/wrapped_symbols.def"
