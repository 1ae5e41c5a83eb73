/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What cppcheck has to know of sys/queue.h, since system headers are not shown to it. */
#define LIST_HEAD(name, type)                                                                      \
	struct name {                                                                              \
		struct type *first;                                                                \
	}
#define LIST_ENTRY(type)                                                                           \
	struct {                                                                                   \
		struct type *next;                                                                 \
	}
#define TAILQ_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *first;                                                                \
	}
#define TAILQ_ENTRY(type)                                                                          \
	struct {                                                                                   \
		struct type *next;                                                                 \
	}
#define TAILQ_HEAD_INITIALIZER(head)                                                               \
	{                                                                                          \
		0                                                                                  \
	}
#define TAILQ_FOREACH(at, head, field) for (at = (head)->first; at; at = at->field.next)
