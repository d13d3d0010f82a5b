/*
 * The program that a container runtime executes as the CNI plugin `trivium` or
 * `trivium-ipam`.
 *
 * Starting Node costs 30 to 60 ms; this costs about one. It hands the request
 * to the agent over a Unix socket (agent.h) and prints the answer. Whenever no
 * agent took the request it becomes Node, which runs the same code in process.
 * With arguments it becomes the admin command line.
 *
 * Decides nothing about networks: it reads two names from the configuration
 * (scan.h), the version for its own errors and the path of the socket.
 *
 * Files, next to the real location of this program:
 *   .trivium/node        the Node executable
 *   .trivium/plugin.cjs  the plugin, in process
 *   .trivium/cli.cjs     the admin command line
 *
 * Environment:
 *   TRIVIUM_SOCKET             path of the agent's socket; wins over the configuration
 *   TRIVIUM_NO_AGENT=1         never ask the agent
 *   TRIVIUM_ACCEPT_TIMEOUT_MS  how long the agent may take to accept, default 5000
 *   TRIVIUM_PLUGIN             set for plugin.cjs: the plugin's name
 */
#include "agent.h"
#include "launcher.h"
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIBRARY_DIRECTORY ".trivium"
#define ACCEPT_MS_DEFAULT 5000
#define ACCEPT_MS_MAX 600000
/* VERSION needs no stdin (CNI 1.1.0), so it waits only this long for one that stays open. */
#define VERSION_STDIN_MS 1000
/* Longest version that is repeated in an error, in bytes. */
#define CNI_VERSION_BYTES_MAX 16

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* linux/memfd.h, since Linux 6.3 */
#endif

extern char **environ;

/* One run: who we are and what we were told. */
struct run {
	enum plugin plugin;
	const char *plugin_name;
	bool is_version;
	/* Directory of this program, without a final slash. */
	char directory[PATH_MAX];
	struct buffer config;
	struct scan scan;
	bool scanned;
	/* For our own errors. */
	const char *cni_version;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* Opens what is missing of stdin, stdout and stderr, so that no socket takes its number. */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static bool name_plugin(const char *name, struct run *run)
{
	if (strcmp(name, "trivium-ipam") == 0) {
		run->plugin = PLUGIN_TRIVIUM_IPAM;
		run->plugin_name = "trivium-ipam";
	} else {
		run->plugin = PLUGIN_TRIVIUM;
		run->plugin_name = "trivium";
	}
	return strcmp(name, run->plugin_name) == 0;
}

/* Finds where we are installed and, by the name we were called with, which plugin we are. */
static void identify(const char *called, struct run *run)
{
	ssize_t length = readlink("/proc/self/exe", run->directory, sizeof(run->directory) - 1);
	char *slash;

	if (length < 0)
		fail_with(CNI_VERSION_DEFAULT, CNI_INTERNAL, "cannot find the plugin's own files",
			  "/proc/self/exe cannot be read; is /proc mounted?");
	run->directory[length] = '\0';
	/* A file replaced during an upgrade has " (deleted)" behind its name, never in its directory. */
	slash = strrchr(run->directory, '/');
	if (!name_plugin(base_name(called), run) && slash != NULL)
		name_plugin(slash + 1, run);
	if (slash != NULL)
		*slash = '\0';
}

/* Writes the path of a file in the library directory. */
static void library_path(const struct run *run, const char *name, char out[PATH_MAX])
{
	int length = snprintf(out, PATH_MAX, "%s/" LIBRARY_DIRECTORY "/%s", run->directory, name);

	if (length < 0 || length >= PATH_MAX)
		fail_with(run->cni_version, CNI_INTERNAL, "the plugin's directory has too long a name",
			  run->directory);
}

/* Becomes Node on `script`. Returns, with errno and the path that failed in `failed`, if it cannot. */
static void become_node(const struct run *run, const char *script, char **arguments,
			char failed[PATH_MAX])
{
	static char node[PATH_MAX];
	static char entry[PATH_MAX];

	library_path(run, "node", node);
	library_path(run, script, entry);
	arguments[0] = node;
	arguments[1] = entry;
	/* Ignored signals stay ignored across exec; Node and its children expect the default. */
	signal(SIGPIPE, SIG_DFL);
	/* Looked at first, because Node's own words for a missing script are no CNI error. */
	if (access(entry, R_OK) == 0) {
		execve(node, arguments, environ);
		strcpy(failed, node);
	} else {
		strcpy(failed, entry);
	}
}

static _Noreturn void become_cli(const struct run *run, int argc, char **argv)
{
	char **arguments = calloc((size_t)argc + 2, sizeof(*arguments));
	char failed[PATH_MAX];

	if (arguments == NULL)
		_exit(1);
	memcpy(arguments + 2, argv + 1, ((size_t)argc - 1) * sizeof(*arguments));
	become_node(run, "cli.cjs", arguments, failed);
	fprintf(stderr, "trivium: cannot start %s: %s; install it again\n", failed, strerror(errno));
	_exit(1);
}

static _Noreturn void become_plugin(const struct run *run)
{
	char *arguments[3] = { NULL, NULL, NULL };
	char failed[PATH_MAX];
	char details[PATH_MAX + 256];

	if (setenv("TRIVIUM_PLUGIN", run->plugin_name, 1) != 0)
		fail_with(run->cni_version, CNI_INTERNAL, "cannot start the plugin", strerror(errno));
	become_node(run, "plugin.cjs", arguments, failed);
	snprintf(details, sizeof(details), "%s: %s; install the plugin again", failed, strerror(errno));
	fail_with(run->cni_version, CNI_INTERNAL, "cannot start the plugin", details);
}

/*
 * Makes what was read from stdin readable from it again. MFD_NOEXEC_SEAL is
 * needed where vm.memfd_noexec is 2, and unknown before Linux 6.3.
 */
static void replay_stdin(const struct run *run)
{
	int fd = memfd_create("cni-config", MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("cni-config", 0);
	if (fd < 0 || !write_fully(fd, run->config.data, run->config.length) ||
	    lseek(fd, 0, SEEK_SET) != 0 || dup2(fd, STDIN_FILENO) < 0)
		fail_with(run->cni_version, CNI_TRY_AGAIN_LATER,
			  "cannot hand the configuration on", strerror(errno));
	if (fd != STDIN_FILENO)
		close(fd);
}

static void note_cni_version(struct run *run)
{
	const struct text *version = &run->scan.cni_version;

	if (version->present && version->usable && version->length > 0 &&
	    version->length <= CNI_VERSION_BYTES_MAX &&
	    strspn(version->data, "0123456789.") == version->length)
		run->cni_version = version->data;
}

/* Reads the configuration from stdin and what we need out of it. */
static void read_config(struct run *run)
{
	int64_t deadline_ms = run->is_version ? now_ms() + VERSION_STDIN_MS : NO_DEADLINE;
	enum read_outcome outcome = READ_COMPLETE;
	int error;

	if (!run->is_version || !isatty(STDIN_FILENO))
		outcome = read_to_end(STDIN_FILENO, CONFIG_BYTES_MAX, deadline_ms, &run->config);
	error = errno;
	run->scanned = scan_config(run->config.data, run->config.length, &run->scan);
	note_cni_version(run);
	if (outcome == READ_TOO_LARGE)
		fail_with(run->cni_version, CNI_IO_FAILURE, "cannot read the configuration from stdin",
			  "it is larger than 16 MiB");
	if (outcome == READ_COMPLETE)
		return;
	if (!run->is_version)
		fail_with(run->cni_version, CNI_IO_FAILURE, "cannot read the configuration from stdin",
			  strerror(error));
	/* VERSION goes on without: half a configuration is worse than none. */
	run->config.length = 0;
	run->scanned = false;
}

/* Returns the path of the agent's socket, or NULL when nobody named a usable one. */
static const char *socket_path(const struct run *run)
{
	const char *path = getenv("TRIVIUM_SOCKET");
	/* As a delegate we are configured in "ipam"; the rest is the main plugin's. */
	const struct text *named = run->plugin == PLUGIN_TRIVIUM_IPAM ? &run->scan.ipam_socket
								      : &run->scan.socket;

	if (path == NULL || *path == '\0') {
		if (!run->scanned || !named->present || !named->usable)
			return NULL;
		path = named->data;
	}
	/* A relative path would mean another socket in every working directory. */
	return *path == '/' && strlen(path) <= TEXT_BYTES_MAX ? path : NULL;
}

static int64_t accept_ms(void)
{
	const char *text = getenv("TRIVIUM_ACCEPT_TIMEOUT_MS");
	char *end;
	long value;

	if (text == NULL)
		return ACCEPT_MS_DEFAULT;
	value = strtol(text, &end, 10);
	return end == text || *end != '\0' || value < 1 || value > ACCEPT_MS_MAX ? ACCEPT_MS_DEFAULT
										  : value;
}

static _Noreturn void print_answer(const struct agent_answer *answer)
{
	/* Logs first: when stdout is closed early they may be all there is to read. */
	write_fully(STDERR_FILENO, answer->err.data, answer->err.length);
	if (!write_fully(STDOUT_FILENO, answer->out.data, answer->out.length))
		_exit(1);
	_exit((int)answer->exit_status);
}

/* Returns only if no agent took the request. */
static void ask_agent(const struct run *run)
{
	const char *off = getenv("TRIVIUM_NO_AGENT");
	const char *path = socket_path(run);
	struct agent_answer answer;
	char details[TEXT_BYTES_MAX + 256];

	if (path == NULL || (off != NULL && strcmp(off, "1") == 0))
		return;
	switch (agent_call(path, run->plugin, &run->config, accept_ms(), &answer)) {
	case AGENT_UNAVAILABLE:
		return;
	case AGENT_LOST:
		snprintf(details, sizeof(details),
			 "the connection to %s ended after the agent had begun; the request may "
			 "have been carried out in part, the next one for this container finds out",
			 path);
		fail_with(run->cni_version, CNI_TRY_AGAIN_LATER,
			  "the trivium agent went away during the request", details);
	case AGENT_ANSWERED:
		print_answer(&answer);
	}
}

int main(int argc, char **argv)
{
	static struct run run = { .cni_version = CNI_VERSION_DEFAULT };
	const char *command = getenv("CNI_COMMAND");

	fill_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	identify(argc > 0 ? argv[0] : "", &run);
	if (argc > 1)
		become_cli(&run, argc, argv);
	if (command == NULL || *command == '\0')
		become_plugin(&run);
	run.is_version = strcmp(command, "VERSION") == 0;
	read_config(&run);
	ask_agent(&run);
	replay_stdin(&run);
	become_plugin(&run);
}
