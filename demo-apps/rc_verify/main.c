/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * rc-verify: does a reliable connection deliver everything once, in order and unchanged? A plain
 * verbs program; it knows nothing of migration.
 */
#include "demo-apps/rc_verify/report.h"
#include "demo-apps/rc_verify/self_test.h"
#include "demo-apps/verify/process.h"

int main(int argc, char **argv)
{
	static struct run run;
	struct options options;
	int error = options_parse(&options, argc, argv);
	bool good;

	if (error)
		return error < 0 ? 2 : 0;
	if (options.self_test)
		return self_test() ? 1 : 0;
	stop_signals_catch();
	error = run_execute(&run, &options);
	if (error) {
		run.findings.errors++;
		run.has_failed = true;
	}
	good = run_is_exact(&run) && run.peer_ok == 1;
	report_print(&run);
	run_destroy(&run);
	return good ? 0 : 1;
}
