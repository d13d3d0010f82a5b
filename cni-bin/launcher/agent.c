/*
 * Request, accepted, response. See agent.h for the bytes and the promise.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PROTOCOL_VERSION 2
#define REQUEST_HEADER_BYTES 40
#define ACCEPTED_BYTES 8
#define RESPONSE_HEADER_BYTES 16
#define MAGIC_BYTES 4
/* Longest wait for a place in the agent's backlog. */
#define CONNECT_MS_MAX 1000

extern char **environ;

static unsigned char *put_le(unsigned char *at, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*at++ = (unsigned char)(value >> (8 * i));
	return at;
}

static uint32_t get_le(const unsigned char *at, int bytes)
{
	uint32_t value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint32_t)at[i] << (8 * i);
	return value;
}

/* Whether the agent needs this "NAME=value": what a runtime says, trace context, our own settings. */
static bool is_sent(const char *entry)
{
	static const char *const prefixes[] = { "CNI_", "TRIVIUM_", "TRACE" };

	/* Without '=' it is no variable; environ may hold such things. */
	if (strchr(entry, '=') == NULL)
		return false;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strncmp(entry, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

static size_t env_bytes(void)
{
	size_t bytes = 0;

	for (char **entry = environ; *entry != NULL; entry++) {
		if (is_sent(*entry))
			bytes += strlen(*entry) + 1;
	}
	return bytes;
}

static unsigned char *put_env(unsigned char *at)
{
	for (char **entry = environ; *entry != NULL; entry++) {
		size_t bytes = strlen(*entry) + 1;

		if (!is_sent(*entry))
			continue;
		memcpy(at, *entry, bytes);
		at += bytes;
	}
	return at;
}

/* Writes what names the pod's network namespace. stat never opens, so a FIFO cannot hang us. */
static unsigned char *put_netns(unsigned char *at)
{
	const char *path = getenv("CNI_NETNS");
	struct stat found;

	if (path == NULL || *path == '\0' || stat(path, &found) != 0)
		memset(&found, 0, sizeof(found));
	at = put_le(at, found.st_dev, 8);
	return put_le(at, found.st_ino, 8);
}

static bool build_request(enum plugin plugin, const struct buffer *config, struct buffer *out)
{
	size_t env = env_bytes();
	unsigned char *at;

	if (env > ENV_BYTES_MAX || config->length > CONFIG_BYTES_MAX)
		return false;
	out->length = REQUEST_HEADER_BYTES + env + config->length;
	out->data = malloc(out->length);
	if (out->data == NULL)
		return false;
	memcpy(out->data, "TRVM", MAGIC_BYTES);
	at = put_le(out->data + MAGIC_BYTES, PROTOCOL_VERSION, 2);
	at = put_le(at, plugin, 2);
	at = put_le(at, (uint64_t)getpid(), 4);
	at = put_le(at, 0, 4);
	at = put_netns(at);
	at = put_le(at, env, 4);
	at = put_le(at, config->length, 4);
	at = put_env(at);
	if (config->length > 0)
		memcpy(at, config->data, config->length);
	return true;
}

/* Whether who listens there may speak for this node: root, or ourselves. */
static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

/*
 * Connects, or returns -1. A blocking connect under SO_SNDTIMEO waits for a
 * place in the backlog; a non-blocking one would have to be repeated in a loop.
 */
static int connect_agent(const char *path, int64_t timeout_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	if (timeout_ms > CONNECT_MS_MAX)
		timeout_ms = CONNECT_MS_MAX;
	timeout.tv_sec = timeout_ms / 1000;
	timeout.tv_usec = timeout_ms % 1000 * 1000;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || !is_trusted(fd) ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Sends all of it; returns how much the kernel took before the deadline or an error. */
static size_t send_all(int fd, const void *data, size_t length, int64_t deadline_ms)
{
	const unsigned char *at = data;
	size_t sent = 0;

	while (sent < length) {
		ssize_t put = send(fd, at + sent, length - sent, MSG_NOSIGNAL);

		if (put >= 0)
			sent += (size_t)put;
		else if (errno == EAGAIN && !wait_ready(fd, POLLOUT, deadline_ms))
			return sent;
		else if (errno != EAGAIN && errno != EINTR)
			return sent;
	}
	return sent;
}

/* Receives all of it; returns how much came before the deadline, the end or an error. */
static size_t receive_all(int fd, void *data, size_t length, int64_t deadline_ms)
{
	unsigned char *at = data;
	size_t received = 0;

	while (received < length) {
		ssize_t got;

		if (!wait_ready(fd, POLLIN, deadline_ms))
			return received;
		got = recv(fd, at + received, length - received, 0);
		if (got > 0)
			received += (size_t)got;
		else if (got == 0 || (errno != EAGAIN && errno != EINTR))
			return received;
	}
	return received;
}

static bool is_accepted(const unsigned char *frame)
{
	return memcmp(frame, "TRVA", MAGIC_BYTES) == 0 &&
	       get_le(frame + 4, 2) == PROTOCOL_VERSION && get_le(frame + 6, 2) == 0;
}

/* Waits until the deadline for the agent to take the request; ANSWERED: now it will. */
static enum agent_outcome receive_verdict(int fd, int64_t deadline_ms)
{
	unsigned char frame[ACCEPTED_BYTES];
	size_t got = receive_all(fd, frame, sizeof(frame), deadline_ms);
	bool late = got < sizeof(frame);

	if (late) {
		/*
		 * The agent may be about to take it. From here on it cannot: its write
		 * fails. If it was quicker its word is there, but its answer will not come.
		 */
		if (shutdown(fd, SHUT_RD) != 0)
			return AGENT_LOST;
		got += receive_all(fd, frame + got, sizeof(frame) - got, NO_DEADLINE);
	}
	if (got < sizeof(frame) || !is_accepted(frame))
		return AGENT_UNAVAILABLE;
	return late ? AGENT_LOST : AGENT_ANSWERED;
}

static bool receive_buffer(int fd, size_t length, struct buffer *out)
{
	out->length = length;
	out->data = malloc(length + 1);
	return out->data != NULL && receive_all(fd, out->data, length, NO_DEADLINE) == length;
}

static bool receive_response(int fd, struct agent_answer *answer)
{
	unsigned char header[RESPONSE_HEADER_BYTES];
	size_t out;
	size_t err;

	if (receive_all(fd, header, sizeof(header), NO_DEADLINE) < sizeof(header) ||
	    memcmp(header, "TRVR", MAGIC_BYTES) != 0)
		return false;
	answer->exit_status = get_le(header + 4, 4);
	out = get_le(header + 8, 4);
	err = get_le(header + 12, 4);
	/* An exit status has eight bits. Source: wait(2). */
	if (answer->exit_status > 255 || out > ANSWER_BYTES_MAX || err > ANSWER_BYTES_MAX)
		return false;
	return receive_buffer(fd, out, &answer->out) && receive_buffer(fd, err, &answer->err);
}

/* Everything up to and including "accepted". */
static enum agent_outcome ask(int fd, const struct buffer *request, int64_t deadline_ms)
{
	/* Nobody takes half a request. */
	if (send_all(fd, request->data, request->length, deadline_ms) < request->length)
		return AGENT_UNAVAILABLE;
	return receive_verdict(fd, deadline_ms);
}

enum agent_outcome agent_call(const char *path, enum plugin plugin, const struct buffer *config,
			      int64_t accept_ms, struct agent_answer *answer)
{
	int64_t deadline_ms = now_ms() + accept_ms;
	enum agent_outcome outcome = AGENT_UNAVAILABLE;
	struct buffer request;
	int fd;

	if (!build_request(plugin, config, &request))
		return AGENT_UNAVAILABLE;
	fd = connect_agent(path, accept_ms);
	if (fd >= 0) {
		outcome = ask(fd, &request, deadline_ms);
		if (outcome == AGENT_ANSWERED && !receive_response(fd, answer))
			outcome = AGENT_LOST;
		close(fd);
	}
	free(request.data);
	return outcome;
}
