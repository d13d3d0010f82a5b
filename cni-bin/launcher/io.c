/*
 * Bounded reads, complete writes and the one error object the launcher itself
 * can print. See launcher.h.
 */
#include "launcher.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* First allocation of read_to_end: holds nearly every CNI configuration. */
#define READ_BYTES_FIRST ((size_t)64 * 1024)
/* Longest `details` printed, escapes included. */
#define DETAILS_BYTES_MAX 6000

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int poll_timeout(int64_t deadline_ms)
{
	int64_t left;

	if (deadline_ms == NO_DEADLINE)
		return -1;
	left = deadline_ms - now_ms();
	if (left < 0)
		return 0;
	return left > 1000000 ? 1000000 : (int)left;
}

bool wait_ready(int fd, short events, int64_t deadline_ms)
{
	struct pollfd wanted = { .fd = fd, .events = events };

	for (;;) {
		int ready = poll(&wanted, 1, poll_timeout(deadline_ms));

		/* An error or hang-up counts as ready: the read or write that follows tells which. */
		if (ready > 0)
			return true;
		if (ready < 0 && errno != EINTR)
			return false;
		if (deadline_ms != NO_DEADLINE && now_ms() >= deadline_ms)
			return false;
	}
}

static bool grow(struct buffer *out, size_t *room, size_t limit)
{
	/* One byte more than the limit is the proof that the input is larger. */
	size_t want = *room == 0 ? READ_BYTES_FIRST : *room * 2;
	unsigned char *data;

	if (want > limit + 1)
		want = limit + 1;
	data = realloc(out->data, want);
	if (data == NULL)
		return false;
	out->data = data;
	*room = want;
	return true;
}

enum read_outcome read_to_end(int fd, size_t limit, int64_t deadline_ms, struct buffer *out)
{
	size_t room = 0;

	out->data = NULL;
	out->length = 0;
	for (;;) {
		ssize_t got;

		if (out->length > limit) {
			out->length = limit;
			return READ_TOO_LARGE;
		}
		if (out->length == room && !grow(out, &room, limit))
			return READ_FAILED;
		if (!wait_ready(fd, POLLIN, deadline_ms))
			return READ_TIMED_OUT;
		got = read(fd, out->data + out->length, room - out->length);
		if (got == 0)
			return READ_COMPLETE;
		if (got > 0)
			out->length += (size_t)got;
		else if (errno != EINTR && errno != EAGAIN)
			return READ_FAILED;
	}
}

bool write_fully(int fd, const void *data, size_t length)
{
	const unsigned char *at = data;

	while (length > 0) {
		ssize_t put = write(fd, at, length);

		if (put > 0) {
			at += put;
			length -= (size_t)put;
		} else if (put < 0 && errno == EAGAIN) {
			if (!wait_ready(fd, POLLOUT, NO_DEADLINE))
				return false;
		} else if (put < 0 && errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* Makes `text` the inside of a JSON string. Control characters become '?'. */
static void escape(const char *text, char *out, size_t room)
{
	size_t used = 0;

	for (; *text != '\0' && used + 2 < room; text++) {
		if (*text == '"' || *text == '\\')
			out[used++] = '\\';
		out[used++] = (unsigned char)*text < 0x20 ? '?' : *text;
	}
	out[used] = '\0';
}

_Noreturn void fail_with(const char *cni_version, int code, const char *message,
			 const char *details)
{
	char escaped[DETAILS_BYTES_MAX];
	char object[DETAILS_BYTES_MAX + 512];
	int length;

	escape(details, escaped, sizeof(escaped));
	length = snprintf(object, sizeof(object),
			  "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"%s\",\"details\":\"%s\"}\n",
			  cni_version, code, message, escaped);
	if (length > 0)
		write_fully(STDOUT_FILENO, object, (size_t)length);
	_exit(1);
}
