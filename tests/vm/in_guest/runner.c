/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Runs what the lab asks for inside a guest, several commands at a time. Over the device argv[1]
 * come "start ID LENGTH\n" with LENGTH bytes for a shell, and "signal ID NUMBER\n" for such a
 * command and all that it has started. Back go "said ID LENGTH\n" with output and errors as they
 * come, and "ended ID STATUS\n" with what a shell would call the status. The other end of the
 * device comes and goes; commands go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMMANDS = 64, LONGEST = 1 << 20, CHUNK = 16384, AWAY_MS = 20 };

struct command {
	unsigned id;
	pid_t pid;  /* 0: ended */
	int output; /* -1: closed */
};

struct inbox {
	char bytes[LONGEST + 64];
	size_t length;
};

static struct command commands[COMMANDS];
static int port;

static void send_all(const char *bytes, size_t length)
{
	while (length) {
		ssize_t sent = write(port, bytes, length);

		if (sent > 0) {
			bytes += sent;
			length -= (size_t)sent;
		} else if (sent < 0 && errno != EINTR && errno != EAGAIN) {
			exit(1);
		}
	}
}

static void say(unsigned id, const char *bytes, size_t length)
{
	char frame[64 + CHUNK];
	int head = snprintf(frame, 64, "said %u %zu\n", id, length);

	memcpy(frame + head, bytes, length);
	send_all(frame, (size_t)head + length);
}

static void say_end(unsigned id, int status)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "ended %u %d\n", id, status);

	send_all(line, (size_t)length);
}

static struct command *free_place(void)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!commands[i].pid && commands[i].output < 0)
			return &commands[i];
	return NULL;
}

static void become_command(const char *text, int output)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	dup2(output, 1);
	dup2(output, 2);
	execl("/bin/sh", "sh", "-c", text, (char *)NULL);
	_exit(127);
}

static void start(unsigned id, const char *text)
{
	struct command *place = free_place();
	int ends[2];
	pid_t pid;

	if (!place || pipe2(ends, O_CLOEXEC)) {
		say_end(id, 126);
		return;
	}
	pid = fork();
	if (!pid)
		become_command(text, ends[1]);
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*place = (struct command){.id = id, .pid = pid, .output = ends[0]};
}

static void signal_command(unsigned id, int number)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (commands[i].pid && commands[i].id == id)
			kill(-commands[i].pid, number);
}

/* How many bytes were taken from the front; 0: not all of it is there yet. */
static size_t take_order(struct inbox *inbox)
{
	char *end = memchr(inbox->bytes, '\n', inbox->length);
	char word[16];
	unsigned id, number;
	size_t head;
	char *text;

	if (!end)
		return 0;
	*end = '\0';
	head = (size_t)(end - inbox->bytes) + 1;
	if (sscanf(inbox->bytes, "%15s %u %u", word, &id, &number) != 3)
		return head;
	if (!strcmp(word, "signal"))
		signal_command(id, (int)number);
	if (strcmp(word, "start") != 0)
		return head;
	if (inbox->length - head < number) {
		*end = '\n';
		return 0;
	}
	text = strndup(inbox->bytes + head, number);
	start(id, text);
	free(text);
	return head + number;
}

/* False: nobody is at the other end. */
static int read_orders(struct inbox *inbox)
{
	ssize_t got = read(port, inbox->bytes + inbox->length, LONGEST - inbox->length);
	size_t taken;

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	inbox->length += (size_t)got;
	while ((taken = take_order(inbox))) {
		inbox->length -= taken;
		memmove(inbox->bytes, inbox->bytes + taken, inbox->length);
	}
	return 1;
}

static void pass_output(struct command *command)
{
	char bytes[CHUNK];
	ssize_t got;

	while ((got = read(command->output, bytes, sizeof(bytes))) > 0)
		say(command->id, bytes, (size_t)got);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(command->output);
	command->output = -1;
}

/* What a command has said is passed before its end, whoever still holds its output. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < COMMANDS; i++) {
			if (commands[i].pid != pid)
				continue;
			if (commands[i].output >= 0)
				pass_output(&commands[i]);
			commands[i].pid = 0;
			say_end(commands[i].id,
			        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		}
}

static int block_child_signal(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void run(int children)
{
	static struct inbox inbox;
	struct signalfd_siginfo told;
	int is_here = 1;

	for (;;) {
		struct pollfd fds[2 + COMMANDS] = {
		        {.fd = is_here ? port : -1, .events = POLLIN},
		        {.fd = children, .events = POLLIN},
		};

		for (size_t i = 0; i < COMMANDS; i++)
			fds[2 + i] = (struct pollfd){.fd = commands[i].output, .events = POLLIN};
		if (poll(fds, 2 + COMMANDS, is_here ? -1 : AWAY_MS) < 0)
			continue;
		for (size_t i = 0; i < COMMANDS; i++)
			if (fds[2 + i].revents)
				pass_output(&commands[i]);
		if (fds[1].revents) {
			while (read(children, &told, sizeof(told)) > 0)
				;
			reap();
		}
		is_here = !fds[0].revents || read_orders(&inbox);
	}
}

int main(int argc, char **argv)
{
	port = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	if (port < 0)
		return 2;
	for (size_t i = 0; i < COMMANDS; i++)
		commands[i].output = -1;
	run(block_child_signal());
}
