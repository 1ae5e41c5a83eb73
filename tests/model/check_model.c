/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * check-model [--programs N] [--seed S] [--jobs N] [--kept DIR] [--first] [--shrink] [FILE...]
 *
 * Runs the programs that are kept (DIR/NAME.txt) and N random ones, each in a process of its own,
 * and judges them. One that fails is made small and printed. The last line is a JSON object:
 * "excuses" are the ends whose error has no other cause than EVENT_EXCUSED; "empty_cells" and
 * "empty_kinds" and "empty_classes" what was never met at a stop though it can be (coverage.h),
 * "impossible_cells" what was met and cannot be.
 * --first: end with the first that fails, and say how many it took. FILEs, or seeds of programs
 * (0x...): only these, with all that is said of them, and made small with --shrink.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/chance.h"
#include "model/run_program.h"
#include "model/shrink.h"

enum {
	JOBS_MOST = 16,
	CPU_SECONDS = 30,   /* of one program: else it hangs */
	WALL_SECONDS = 600, /* the same of one that sleeps, however much runs beside it */
	SHRINK_ATTEMPTS = 300,
	SHRUNK_MOST = 3, /* more failures are named only */
	PROGRESS_EVERY = 1000,
	/* So many random programs reach each class in each state; each opcode with each flag in
	 * each; each cell. */
	ENOUGH_FOR_CLASSES = 1000,
	ENOUGH_FOR_KINDS = 2000,
	ENOUGH_FOR_CELLS = 10000,
};

struct job {
	pid_t pid; /* 0: none */
	struct program *program;
	struct run_result *result; /* shared with the child */
};

static struct {
	unsigned programs, job_count;
	uint64_t seed;
	const char *kept;
	bool first, shrinks;
} options = {.programs = 200, .seed = 1, .job_count = 2};

static struct job jobs[JOBS_MOST];
static struct coverage coverage;
static unsigned done, moved, in_vain, aborted, excuses, violations;

static struct run_result *shared_result(void)
{
	void *memory = mmap(NULL, sizeof(struct run_result), PROT_READ | PROT_WRITE,
	        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

static pid_t run_apart(const struct program *program, struct run_result *result)
{
	const struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS + 1}, core = {0, 0};
	pid_t pid;

	memset(result, 0, sizeof(*result));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		abort();
	if (pid)
		return pid;
	setrlimit(RLIMIT_CPU, &cpu);
	alarm(WALL_SECONDS);
	setrlimit(RLIMIT_CORE, &core);
	run_program(program, result);
	_exit(0);
}

static bool hangs(int status)
{
	return WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGALRM);
}

static void note_end(struct run_result *result, int status)
{
	if (result->is_complete && !status)
		return;
	snprintf(result->said[0], RESULT_LENGTH,
	        hangs(status) ? "it hangs" : "its process ends with status 0x%x", (unsigned)status);
	result->violations = 1;
}

/* ---- one that fails ---- */

struct failing {
	struct run_result *result;
	char said[RESULT_LENGTH];
};

/* What is said is the same but for the numbers in it. */
static bool is_same(const char *a, const char *b)
{
	while (*a && *b) {
		if (*a >= '0' && *a <= '9')
			a++;
		else if (*b >= '0' && *b <= '9')
			b++;
		else if (*a++ != *b++)
			return false;
	}
	return true;
}

static bool fails_likewise(const struct program *program, void *argument)
{
	struct failing *failing = argument;
	int status;

	waitpid(run_apart(program, failing->result), &status, 0);
	note_end(failing->result, status);
	return failing->result->violations && is_same(failing->result->said[0], failing->said);
}

static void say(const struct run_result *result)
{
	for (unsigned i = 0; i < result->violations && i < RESULT_SAID; i++)
		printf("#   %s\n", result->said[i]);
}

static void show_failure(const struct program *program, const struct run_result *result)
{
	struct failing failing = {.result = shared_result()};
	struct program *small;

	printf("# program 0x%" PRIx64 " fails:\n", program->seed);
	say(result);
	if (violations > SHRUNK_MOST || options.first)
		return;
	memcpy(failing.said, result->said[0], sizeof(failing.said));
	small = shrink(program, fails_likewise, &failing, SHRINK_ATTEMPTS);
	fails_likewise(small, &failing);
	printf("# made small:\n");
	say(failing.result);
	program_write(small, stdout);
	program_free(small);
	munmap(failing.result, sizeof(*failing.result));
}

/* ---- jobs ---- */

static void take(struct job *job, int status)
{
	struct run_result *result = job->result;

	note_end(result, status);
	done++;
	moved += result->moved;
	in_vain += result->in_vain;
	aborted += result->aborted;
	excuses += result->excuses;
	coverage_add(&coverage, &result->coverage);
	if (result->violations) {
		violations++;
		show_failure(job->program, result);
	}
	program_free(job->program);
	job->pid = 0;
	if (done % PROGRESS_EVERY == 0)
		printf("# %u programs, %u migrations, %u violations\n", done, moved, violations);
}

static bool wait_for_one(void)
{
	int status;
	pid_t pid = wait(&status);

	for (unsigned i = 0; pid > 0 && i < options.job_count; i++) {
		if (jobs[i].pid == pid)
			take(&jobs[i], status);
	}
	return pid > 0;
}

static struct job *free_job(void)
{
	for (;;) {
		for (unsigned i = 0; i < options.job_count; i++) {
			if (!jobs[i].pid)
				return &jobs[i];
		}
		wait_for_one();
	}
}

/* @program is taken over. */
static void begin(struct program *program)
{
	struct job *job = free_job();

	job->program = program;
	job->pid = run_apart(program, job->result);
}

static bool is_over(void)
{
	return options.first && violations;
}

static void run_kept(void)
{
	struct dirent **names;
	int count = options.kept ? scandir(options.kept, &names, NULL, alphasort) : 0;

	for (int i = 0; i < count; i++) {
		const char *dot = strrchr(names[i]->d_name, '.');
		char path[1024], error[128];
		struct program *program;
		FILE *file;

		if (!dot || strcmp(dot, ".txt"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", options.kept, names[i]->d_name);
		file = fopen(path, "r");
		program = file ? program_read(file, error, sizeof(error)) : NULL;
		if (file)
			fclose(file);
		if (program) {
			begin(program);
		} else {
			printf("# %s: %s\n", path, file ? error : strerror(errno));
			violations++;
		}
	}
}

static void run_random(void)
{
	struct chance chance = {options.seed};

	for (unsigned i = 0; i < options.programs && !is_over(); i++)
		begin(program_make(chance_next(&chance)));
	while (wait_for_one())
		;
}

static int run_file(const char *path)
{
	struct run_result *result = shared_result();
	char error[128] = "";
	FILE *file = fopen(path, "r");
	struct program *program = NULL;
	int status;

	if (!file && !strncmp(path, "0x", 2))
		program = program_make(strtoull(path, NULL, 0));
	else if (file)
		program = program_read(file, error, sizeof(error));
	if (!program) {
		printf("# %s: %s\n", path, *error ? error : strerror(errno));
		return 1;
	}
	waitpid(run_apart(program, result), &status, 0);
	note_end(result, status);
	if (getenv("MODEL_TEXT"))
		program_write(program, stdout);
	printf("# %s: %u moved, %u in vain, %u aborted, %" PRIu64
	       " turns, %u excuses, %u violations, 0x%" PRIx64 "\n",
	        path, result->moved, result->in_vain, result->aborted, result->turns,
	        result->excuses, result->violations, result->hash);
	if (result->violations && options.shrinks)
		show_failure(program, result);
	else
		say(result);
	program_free(program);
	return result->violations != 0;
}

static void usage(FILE *file)
{
	fprintf(file,
	        "usage: check-model [--programs N] [--seed S] [--jobs N] [--kept DIR] "
	        "[--first] [--shrink] "
	        "[FILE|0xSEED...]\n"
	        "--first: end with the first program that fails. FILEs, or seeds of "
	        "programs: only these;\n"
	        "--shrink makes one that fails small. TETHER_LOG=stderr "
	        "TETHER_LOG_LEVEL=debug shows what the\n"
	        "program sees and the library says; MODEL_TEXT=1 the program.\n"
	        "Exit: 0; 1 for a violation, for what was met at a stop and cannot be, and for "
	        "what was not met:\n"
	        "a class by 1,000 programs or more, an opcode with a flag by 2,000, a cell by "
	        "10,000; 2.\n");
}

static void read_options(int argc, char **argv)
{
	static const struct option known[] = {{"programs", required_argument, NULL, 'p'},
	        {"seed", required_argument, NULL, 's'}, {"jobs", required_argument, NULL, 'j'},
	        {"kept", required_argument, NULL, 'k'}, {"first", no_argument, NULL, 'f'},
	        {"shrink", no_argument, NULL, 'm'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'p')
			options.programs = (unsigned)strtoul(optarg, NULL, 0);
		else if (option == 's')
			options.seed = strtoull(optarg, NULL, 0);
		else if (option == 'j')
			options.job_count = (unsigned)strtoul(optarg, NULL, 0);
		else if (option == 'k')
			options.kept = optarg;
		else if (option == 'f')
			options.first = true;
		else if (option == 'm')
			options.shrinks = true;
		else if (option == 'h')
			exit((usage(stdout), 0));
		else
			exit((usage(stderr), 2));
	}
	if (!options.job_count || options.job_count > JOBS_MOST)
		options.job_count = 2;
}

/* Of what is to be covered by so many. */
static bool has_enough(void)
{
	if (options.first)
		return true;
	if (coverage_impossible(&coverage))
		return false;
	if (options.programs >= ENOUGH_FOR_CLASSES && coverage_empty_classes(&coverage))
		return false;
	if (options.programs >= ENOUGH_FOR_KINDS && coverage_empty_kinds(&coverage))
		return false;
	return options.programs < ENOUGH_FOR_CELLS || !coverage_empty(&coverage);
}

int main(int argc, char **argv)
{
	int status = 0;

	read_options(argc, argv);
	for (int i = optind; i < argc; i++)
		status |= run_file(argv[i]);
	if (optind < argc)
		return status;
	for (unsigned i = 0; i < options.job_count; i++)
		jobs[i].result = shared_result();
	run_kept();
	run_random();
	if (!options.first)
		coverage_print(&coverage, "# | ", stdout);
	if (!options.first && options.programs >= ENOUGH_FOR_CELLS)
		coverage_print_empty(&coverage, "# | ", stdout);
	printf("# %u migrations were in vain, %u aborted\n", in_vain, aborted);
	printf("{\"programs\": %u, \"migrations\": %u, \"violations\": %u, \"empty_cells\": %u, "
	       "\"empty_kinds\": %u, \"empty_classes\": %u, \"impossible_cells\": %u, \"excuses\": "
	       "%u}\n",
	        done, moved, violations, coverage_empty(&coverage), coverage_empty_kinds(&coverage),
	        coverage_empty_classes(&coverage), coverage_impossible(&coverage), excuses);
	return violations || !has_enough();
}
