/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program that asks for devices before libibverbs is there, and brings its own later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "preload/intercept_dlopen.h"
#include "preload/real_verbs.h"

static unsigned tries;

/* It is not where the loader looks. */
void *loader_dlopen(const char *file, int flags)
{
	(void)flags;
	assert_string_equal(file, "libibverbs.so.1");
	tries++;
	return NULL;
}

static void without_it_there_is_no_list_of_devices(void **state)
{
	errno = 0;
	assert_null(below.ibv_get_device_list(NULL));
	assert_int_equal(errno, ENOSYS);
	assert_true(tries > 0);
	assert_null(dlerror());
}

static void it_is_bound_when_the_program_opens_its_own(void **state)
{
	void *own = dlopen("libibverbs.so.1", RTLD_NOW | RTLD_LOCAL);

	assert_non_null(own);
	assert_null(below.ibv_get_device_list(NULL));
	real_verbs_are_in(own);
	assert_ptr_equal(*(void **)&below.ibv_get_device_list, dlsym(own, "ibv_get_device_list"));
	assert_ptr_equal(*(void **)&below.ibv_create_qp, dlsym(own, "ibv_create_qp"));
	assert_ptr_equal(real_verbs(), real_verbs());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(without_it_there_is_no_list_of_devices),
	        cmocka_unit_test(it_is_bound_when_the_program_opens_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
