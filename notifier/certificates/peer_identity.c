/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/certificates/peer_identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/cleanup.h"

static const char prefix[] = "tether:";

static const struct {
	enum peer_role role;
	const char *name;
} roles[] = {
        {PEER_SM, "sm"},
        {PEER_HOST, "host"},
        {PEER_RELAY, "relay"},
};

bool peer_identity_is_meant(const char *text, size_t length)
{
	return length >= strlen(prefix) && !strncasecmp(text, prefix, strlen(prefix));
}

bool peer_identity_equal(const struct peer_identity *a, const struct peer_identity *b)
{
	return a->role == b->role && !strcmp(a->name, b->name);
}

const char *peer_identity_role_name(enum peer_role role)
{
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (roles[i].role == role)
			return roles[i].name;
	return "?";
}

/* An end within @length would hide what follows it from whoever looks at the name as text. */
static int name_take(const char *text, size_t length, char name[static NAME_MOST + 1])
{
	if (length > NAME_MOST || memchr(text, 0, length))
		return -EINVAL;
	memcpy(name, text, length);
	name[length] = 0;
	return name_is_fit(name) ? 0 : -EINVAL;
}

int peer_identity_parse_short(const char *text, size_t length, struct peer_identity *identity)
{
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		size_t role = strlen(roles[i].name);
		struct peer_identity parsed = {.role = roles[i].role};

		if (length <= role || memcmp(text, roles[i].name, role) != 0 || text[role] != '/')
			continue;
		if (name_take(text + role + 1, length - role - 1, parsed.name))
			return -EINVAL;
		*identity = parsed;
		return 0;
	}
	return -EINVAL;
}

int peer_identity_parse(const char *text, size_t length, struct peer_identity *identity)
{
	size_t start = strlen(prefix);

	if (length < start || memcmp(text, prefix, start) != 0)
		return -EINVAL;
	return peer_identity_parse_short(text + start, length - start, identity);
}

void peer_identity_write(const struct peer_identity *identity, char text[static PEER_TEXT_BYTES])
{
	snprintf(text, PEER_TEXT_BYTES, "%s/%s", peer_identity_role_name(identity->role),
	        identity->name);
}
