/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a shared library of this machine's kind defines for others, with versions. */
#ifndef TEST_ELF_SYMBOLS_H
#define TEST_ELF_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>

struct elf_symbol {
	const char *name, *version; /* version "": it has none */
	bool is_default;            /* of the versions of its name, the one that is linked with */
};

/* Strings are in the file's image, which stays. NULL: it is no such library. */
struct elf_symbol *elf_symbols_read(const char *path, size_t *count);
/* Of the library of that name that the loader finds, and of libtether.so beside the test's folder;
 * the test fails where there is none. */
struct elf_symbol *elf_symbols_installed(const char *library, size_t *count);
struct elf_symbol *elf_symbols_ours(size_t *count);

/* @named as preload/'s tables have versions: 1_10 there is 1.10. */
bool elf_version_is(const char *named, const char *version);

#endif
