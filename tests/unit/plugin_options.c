/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/plan/endpoint.h"
#include "sm-side/plugin/plugin_options.h"

static struct plugin_options options;

static void each_option_is_read(void **state)
{
	assert_null(plugin_options_read("socket=/a,endpoints=plain-ca\tsl=15", NULL, &options));
	assert_string_equal(options.socket, "/a");
	assert_ptr_equal(options.model, &endpoint_plain_ca);
	assert_true(options.has_sl);
	assert_int_equal(options.sl, 15);
	plugin_options_clear(&options);
}

static void what_is_not_said_has_its_usual_value(void **state)
{
	assert_null(plugin_options_read("somebody=else socket=/a", "/b", &options));
	assert_string_equal(options.socket, "/a");
	assert_ptr_equal(options.model, &endpoint_vswitch);
	assert_false(options.has_sl);
	plugin_options_clear(&options);
	assert_null(plugin_options_read(NULL, "/b", &options));
	assert_string_equal(options.socket, "/b");
	plugin_options_clear(&options);
}

static void what_cannot_be_is_named(void **state)
{
	static const char *const texts[] = {"", "socket=", "sokcet=/a", "xsocket=/a",
	        "socket=/a endpoints=", "socket=/a endpoints=vSwitch",
	        "socket=/a sl=", "socket=/a sl=16", "socket=/a sl=-1", "socket=/a sl=1x"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!plugin_options_read(texts[i], NULL, &options))
			fail_msg("taken: %s", texts[i]);
		assert_null(options.socket);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_option_is_read),
	        cmocka_unit_test(what_is_not_said_has_its_usual_value),
	        cmocka_unit_test(what_cannot_be_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
