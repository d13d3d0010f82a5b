/*
 * Calls plugins as a container runtime does, and times it.
 *
 * Runtimes are written in Go, which starts programs by clone(CLONE_VM |
 * CLONE_VFORK), as posix_spawn does here: nothing of the caller is copied. A
 * caller in Node forks, and the copy of its page tables would be most of what
 * is measured: 3 ms a call on a machine where this takes half a millisecond.
 *
 * Standard input, any number of times:
 *   COUNT\n, then for each call
 *   ARGUMENTS VARIABLES INPUT_BYTES\n, the arguments and variables each ended by
 *   a NUL, and the input.
 * Standard output, for each:
 *   NANOSECONDS\n, then for each call STATUS OUTPUT_BYTES\n and the output.
 *
 * All calls of one group run at once. The time is from before the first start
 * until all have closed their output and are waited for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS_MAX 1024
#define STRINGS_MAX 256
#define OUTPUT_BYTES_MAX ((size_t)1 << 20)
/* What a pipe holds without a reader. Source: pipe(7). */
#define INPUT_BYTES_MAX 65536

struct call {
	char *strings[STRINGS_MAX + 2];
	char **arguments;
	char **variables;
	char *input;
	size_t input_bytes;
	pid_t pid;
	int from_child;
	char *output;
	size_t output_bytes;
	int status;
};

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "cni-caller: cannot go on: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *room(size_t bytes)
{
	void *data = malloc(bytes + 1);

	if (data == NULL)
		give_up("no memory");
	return data;
}

static char *read_string(void)
{
	char *text = NULL;
	size_t size = 0;

	if (getdelim(&text, &size, '\0', stdin) < 0)
		give_up("a string ended early");
	return text;
}

static void read_call(struct call *call)
{
	unsigned arguments;
	unsigned variables;
	unsigned at = 0;

	memset(call, 0, sizeof(*call));
	if (scanf("%u %u %zu", &arguments, &variables, &call->input_bytes) != 3 || getchar() != '\n' ||
	    arguments + variables > STRINGS_MAX || call->input_bytes > INPUT_BYTES_MAX)
		give_up("a call is malformed or too large");
	call->arguments = call->strings;
	for (unsigned i = 0; i < arguments; i++)
		call->strings[at++] = read_string();
	at++;
	call->variables = call->strings + at;
	for (unsigned i = 0; i < variables; i++)
		call->strings[at++] = read_string();
	call->input = room(call->input_bytes);
	if (fread(call->input, 1, call->input_bytes, stdin) != call->input_bytes)
		give_up("an input ended early");
	call->output = room(OUTPUT_BYTES_MAX);
}

static void start(struct call *call)
{
	posix_spawn_file_actions_t actions;
	int in[2];
	int out[2];

	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		give_up("pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	errno = posix_spawn(&call->pid, call->arguments[0], &actions, NULL, call->arguments,
			    call->variables);
	if (errno != 0)
		give_up(call->arguments[0]);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	/* It may end without reading: SIGPIPE is ignored, and EPIPE is no news. */
	if (write(in[1], call->input, call->input_bytes) < 0 && errno != EPIPE)
		give_up("write");
	close(in[1]);
	call->from_child = out[0];
}

/* Reads what there is; false once the output is closed. */
static int take(struct call *call)
{
	size_t left = OUTPUT_BYTES_MAX - call->output_bytes;
	ssize_t got = read(call->from_child, call->output + call->output_bytes, left);

	if (got > 0) {
		call->output_bytes += (size_t)got;
		return 1;
	}
	close(call->from_child);
	return 0;
}

static void collect(struct call *calls, unsigned count)
{
	static struct pollfd waiting[CALLS_MAX];
	unsigned open = count;

	for (unsigned i = 0; i < count; i++)
		waiting[i] = (struct pollfd){ .fd = calls[i].from_child, .events = POLLIN };
	while (open > 0) {
		if (poll(waiting, count, -1) < 0 && errno != EINTR)
			give_up("poll");
		for (unsigned i = 0; i < count; i++) {
			if (waiting[i].fd < 0 || waiting[i].revents == 0 || take(&calls[i]))
				continue;
			waiting[i].fd = -1;
			open--;
		}
	}
	for (unsigned i = 0; i < count; i++) {
		if (waitpid(calls[i].pid, &calls[i].status, 0) < 0)
			give_up("waitpid");
	}
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void answer(struct call *calls, unsigned count, long long ns)
{
	printf("%lld\n", ns);
	for (unsigned i = 0; i < count; i++) {
		struct call *call = &calls[i];
		int status = WIFEXITED(call->status) ? WEXITSTATUS(call->status) :
						       128 + WTERMSIG(call->status);

		printf("%d %zu\n", status, call->output_bytes);
		fwrite(call->output, 1, call->output_bytes, stdout);
		for (unsigned at = 0; at < STRINGS_MAX + 2; at++)
			free(call->strings[at]);
		free(call->input);
		free(call->output);
	}
	fflush(stdout);
}

int main(void)
{
	static struct call calls[CALLS_MAX];
	unsigned count;

	signal(SIGPIPE, SIG_IGN);
	while (scanf("%u", &count) == 1 && getchar() == '\n' && count <= CALLS_MAX) {
		long long started;

		for (unsigned i = 0; i < count; i++)
			read_call(&calls[i]);
		started = now_ns();
		for (unsigned i = 0; i < count; i++)
			start(&calls[i]);
		collect(calls, count);
		answer(calls, count, now_ns() - started);
	}
	return 0;
}
