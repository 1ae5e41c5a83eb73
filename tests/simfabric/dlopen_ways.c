/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * dlopen_ways WAY [FILE]: come to libibverbs in that way, under libtether.so, and look where its
 * symbols are found. Silent, exit status 0: all is as it should be.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef const char *status_string(int status);

static const char *file = "libibverbs.so.1";

static void check(bool holds, const char *format, ...)
{
	va_list args;

	if (holds)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* The file that holds @at; "" if none does. */
static const char *owner(const void *at)
{
	Dl_info info;

	return at && dladdr(at, &info) ? info.dli_fname : "";
}

static void is_of(const void *at, const char *library, const char *what)
{
	check(library && strstr(owner(at), library), "%s is of \"%s\"", what, owner(at));
}

/* It is a wrapper's, and libibverbs answers behind it. */
static void is_wrapped_and_works(void *symbol)
{
	status_string *verb;
	const char *said;

	is_of(symbol, "libtether.so", "ibv_wc_status_str");
	*(void **)&verb = symbol;
	said = verb(0);
	check(said && !strcmp(said, "success"), "it says \"%s\"", said ? said : "(null)");
	is_of(said, "libibverbs.so", "what it says");
}

static void has_all_versions(void *handle)
{
	static const struct {
		const char *name, *version;
	} symbols[] = {
#define SYMBOL(ret, name, version, params, args, test) {#name, #version},
#include "preload/wrapped_symbols.def"
	};
	char version[32];

	for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
		snprintf(version, sizeof(version), "IBVERBS_%s", symbols[i].version);
		if (strncmp(symbols[i].version, "PRIVATE_", 8))
			*strrchr(version, '_') = '.';
		is_of(dlvsym(handle, symbols[i].name, version), "libtether.so", symbols[i].name);
		is_of(dlsym(handle, symbols[i].name), "libtether.so", symbols[i].name);
	}
	check(!dlvsym(handle, "ibv_reg_mr_iova2", "IBVERBS_1.1"), "a version that it has not");
}

static void *opened(int flags)
{
	void *handle;

	dlerror();
	handle = dlopen(file, flags);
	check(handle && !dlerror(), "dlopen: no handle, or an error");
	return handle;
}

static void by_name(void)
{
	void *handle = opened(RTLD_NOW);

	has_all_versions(handle);
	is_wrapped_and_works(dlsym(handle, "ibv_wc_status_str"));
	check(!dlclose(handle), "dlclose");
	is_wrapped_and_works(dlsym(RTLD_DEFAULT, "ibv_wc_status_str"));
	is_wrapped_and_works(dlsym(opened(RTLD_LAZY | RTLD_GLOBAL), "ibv_wc_status_str"));
}

static void by_noload(void)
{
	check(!dlopen(file, RTLD_NOW | RTLD_NOLOAD), "it was there already");
	opened(RTLD_NOW);
	is_wrapped_and_works(dlsym(opened(RTLD_NOW | RTLD_NOLOAD), "ibv_wc_status_str"));
}

static void by_a_name_that_is_not_there(void)
{
	const char *error;

	check(!dlopen("libibverbs.so.99", RTLD_NOW), "there is a handle");
	error = dlerror();
	check(error, "there is no error");
	check(error && strstr(error, "libibverbs.so.99"), "the error is another");
}

/* Who has not read an error yet still finds it, though a verb is called first. */
static void by_name_with_an_error_unread(void)
{
	status_string *verb;
	const char *error;

	*(void **)&verb = dlsym(opened(RTLD_NOW), "ibv_wc_status_str");
	check(!dlopen("no-such-library.so", RTLD_NOW), "there is one");
	is_of(verb(0), "libibverbs.so", "what it says");
	error = dlerror();
	check(error && strstr(error, "no-such-library.so"), "the error is \"%s\"",
	        error ? error : "(null)");
}

static void by_the_base_namespace(void)
{
	void *handle = dlmopen(LM_ID_BASE, file, RTLD_NOW);

	has_all_versions(handle);
	is_wrapped_and_works(dlsym(handle, "ibv_wc_status_str"));
}

/* It goes unwrapped there, and is said to. */
static void by_another_namespace(void)
{
	void *handle = dlmopen(LM_ID_NEWLM, file, RTLD_NOW);

	check(handle, "%s", dlerror());
	is_of(dlsym(handle, "ibv_open_device"), "libibverbs.so", "ibv_open_device");
}

/* Until it is killed: for a migration to meet it. */
static void by_another_namespace_for_long(void)
{
	by_another_namespace();
	for (;;)
		pause();
}

/* As what was preloaded above the shim, or the program itself, looks for the next one. */
static void by_the_next(void)
{
	is_wrapped_and_works(dlsym(RTLD_NEXT, "ibv_wc_status_str"));
	is_wrapped_and_works(dlvsym(RTLD_NEXT, "ibv_wc_status_str", "IBVERBS_1.1"));
}

/* UCX's and Open MPI's modules are linked with libibverbs; the program is not, and opens them. */
static void by_a_library_of_its_own(void)
{
	check(dlopen("librdmacm.so.1", RTLD_NOW | RTLD_LOCAL), "%s", dlerror());
	is_wrapped_and_works(dlsym(RTLD_DEFAULT, "ibv_wc_status_str"));
}

/* This program's RUNPATH leads to a folder with another one. */
static void by_the_callers_runpath(void)
{
	void *handle = opened(RTLD_NOW);
	status_string *verb;

	is_wrapped_and_works(dlsym(handle, "ibv_wc_status_str"));
	*(void **)&verb = dlsym(handle, "ibv_wc_status_str");
	is_of(verb(0), getenv("EXPECTED_FOLDER"), "what is below");
}

static const struct {
	const char *name;
	void (*come)(void);
} ways[] = {
        {"name", by_name},
        {"noload", by_noload},
        {"missing", by_a_name_that_is_not_there},
        {"unread", by_name_with_an_error_unread},
        {"base", by_the_base_namespace},
        {"namespace", by_another_namespace},
        {"namespace-for-long", by_another_namespace_for_long},
        {"next", by_the_next},
        {"library", by_a_library_of_its_own},
        {"runpath", by_the_callers_runpath},
};

int main(int argc, char **argv)
{
	if (argc > 2)
		file = argv[2];
	for (size_t i = 0; argc > 1 && i < sizeof(ways) / sizeof(*ways); i++) {
		if (!strcmp(ways[i].name, argv[1])) {
			ways[i].come();
			return 0;
		}
	}
	check(false, "which way?");
}
