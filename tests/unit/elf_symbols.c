/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/elf_symbols.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION_HIDDEN = 0x8000, VERSIONS_MAX = 64 };

struct image {
	const unsigned char *bytes;
	const Elf64_Shdr *symbols, *versions, *definitions;
};

static const void *at(const struct image *image, size_t offset)
{
	return image->bytes + offset;
}

static const unsigned char *map_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	void *bytes;

	if (fd < 0)
		return NULL;
	bytes = fstat(fd, &stat) || stat.st_size < (off_t)sizeof(Elf64_Ehdr)
	                ? MAP_FAILED
	                : mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	return bytes == MAP_FAILED ? NULL : bytes;
}

static const Elf64_Shdr *section(const struct image *image, unsigned type)
{
	const Elf64_Ehdr *header = at(image, 0);
	const Elf64_Shdr *sections = at(image, header->e_shoff);

	for (unsigned i = 0; i < header->e_shnum; i++) {
		if (sections[i].sh_type == type)
			return &sections[i];
	}
	return NULL;
}

static const char *strings_of(const struct image *image, const Elf64_Shdr *of)
{
	const Elf64_Ehdr *header = at(image, 0);
	const Elf64_Shdr *sections = at(image, header->e_shoff);

	return at(image, sections[of->sh_link].sh_offset);
}

static bool image_open(struct image *image, const char *path)
{
	image->bytes = map_file(path);
	if (!image->bytes || memcmp(image->bytes, ELFMAG, SELFMAG) ||
	        image->bytes[EI_CLASS] != ELFCLASS64)
		return false;
	image->symbols = section(image, SHT_DYNSYM);
	image->versions = section(image, SHT_GNU_versym);
	image->definitions = section(image, SHT_GNU_verdef);
	return image->symbols;
}

static void read_versions(const struct image *image, const char *names[VERSIONS_MAX])
{
	const unsigned char *next = at(image, image->definitions->sh_offset);
	const char *strings = strings_of(image, image->definitions);

	for (unsigned i = 0; i < image->definitions->sh_info; i++) {
		const Elf64_Verdef *definition = (const void *)next;
		const Elf64_Verdaux *name = (const void *)(next + definition->vd_aux);

		if (definition->vd_ndx < VERSIONS_MAX && !(definition->vd_flags & VER_FLG_BASE))
			names[definition->vd_ndx] = strings + name->vda_name;
		next += definition->vd_next;
	}
}

static bool is_for_others(const Elf64_Sym *symbol)
{
	return symbol->st_shndx != SHN_UNDEF && symbol->st_shndx != SHN_ABS &&
	       ELF64_ST_BIND(symbol->st_info) != STB_LOCAL;
}

struct elf_symbol *elf_symbols_read(const char *path, size_t *count)
{
	const char *versions[VERSIONS_MAX] = {0}, *strings;
	const Elf64_Half *version_of;
	struct elf_symbol *found;
	const Elf64_Sym *symbols;
	struct image image;
	size_t all;

	if (!image_open(&image, path))
		return NULL;
	symbols = at(&image, image.symbols->sh_offset);
	strings = strings_of(&image, image.symbols);
	version_of = image.versions ? at(&image, image.versions->sh_offset) : NULL;
	if (image.definitions)
		read_versions(&image, versions);
	all = image.symbols->sh_size / sizeof(*symbols);
	found = calloc(all, sizeof(*found));
	*count = 0;
	for (size_t i = 0; found && i < all; i++) {
		unsigned version = version_of ? version_of[i] : 0,
		         index = version & ~VERSION_HIDDEN;

		if (!is_for_others(&symbols[i]))
			continue;
		found[(*count)++] = (struct elf_symbol){
		        .name = strings + symbols[i].st_name,
		        .version = index < VERSIONS_MAX && versions[index] ? versions[index] : "",
		        .is_default = !(version & VERSION_HIDDEN),
		};
	}
	return found;
}

struct elf_symbol *elf_symbols_installed(const char *library, size_t *count)
{
	void *handle = dlopen(library, RTLD_NOW);
	struct elf_symbol *symbols;
	struct link_map *map;

	assert_non_null(handle);
	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	symbols = elf_symbols_read(map->l_name, count);
	dlclose(handle);
	assert_non_null(symbols);
	return symbols;
}

struct elf_symbol *elf_symbols_ours(size_t *count)
{
	static const char library[] = "../lib/libtether.so";
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(library));
	struct elf_symbol *symbols;

	assert_in_range(length, 1, sizeof(path) - sizeof(library) - 1);
	path[length] = '\0';
	strcpy(strrchr(path, '/') + 1, library);
	symbols = elf_symbols_read(path, count);
	assert_non_null(symbols);
	return symbols;
}

bool elf_version_is(const char *named, const char *version)
{
	for (; *named && *version; named++, version++) {
		if (*named != *version && !(*named == '_' && *version == '.'))
			return false;
	}
	return *named == *version;
}
