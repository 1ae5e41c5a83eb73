/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Programs of before libibverbs 1.1: what IBVERBS_1.0 calls ibv_open_device and the like is the
 * installed library's, beside this one. It adapts them to the verbs of 1.1, and finds ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <string.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

static void *of_1_0(const char *name)
{
	static void *library;
	void *found;
	Dl_info info;

	if (!library)
		library = dlopen("libibverbs.so.1", RTLD_NOW);
	assert_non_null(library);
	found = dlvsym(library, name, "IBVERBS_1.0");
	assert_non_null(found);
	assert_true(dladdr(found, &info));
	assert_non_null(strstr(info.dli_fname, "libibverbs.so"));
	return found;
}

#define CALL_1_0(ret, name, ...) ((ret(*)(__VA_ARGS__))(uintptr_t)of_1_0(#name))

static void they_reach_the_wrappers(void **state)
{
	struct context *context;
	void **list, *opened, *pd;
	int count = 0;

	fake_reset();
	list = CALL_1_0(void **, ibv_get_device_list, int *)(&count);
	assert_int_equal(count, 2);
	opened = CALL_1_0(void *, ibv_open_device, void *)(list[0]);
	assert_non_null(opened);
	context = TAILQ_FIRST(&contexts);
	assert_non_null(context);
	pd = CALL_1_0(void *, ibv_alloc_pd, void *)(opened);
	assert_non_null(pd);
	assert_non_null(TAILQ_FIRST(&context->pds));
	assert_int_equal(CALL_1_0(int, ibv_dealloc_pd, void *)(pd), 0);
	assert_null(TAILQ_FIRST(&context->pds));
	assert_int_equal(CALL_1_0(int, ibv_close_device, void *)(opened), 0);
	assert_null(TAILQ_FIRST(&contexts));
	CALL_1_0(void, ibv_free_device_list, void **)(list);
	assert_int_equal(fake.live_objects, 0);
}

static const struct {
	const char *name, *version;
} beside[] = {
#define BESIDE(name, version, why, test) {#name, #version},
#include "preload/wrapped_symbols.def"
};

static void each_is_found_in_libibverbs(void **state)
{
	for (size_t i = 0; i < sizeof(beside) / sizeof(*beside); i++) {
		if (!strcmp(beside[i].version, "1_0"))
			of_1_0(beside[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_is_found_in_libibverbs),
	        cmocka_unit_test(they_reach_the_wrappers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
