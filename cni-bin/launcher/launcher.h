/*
 * What the files of the launcher share: limits, byte buffers and the few
 * helpers for bounded input and output.
 */
#ifndef TRIVIUM_LAUNCHER_H
#define TRIVIUM_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIB ((size_t)1024 * 1024)

/* Most bytes taken from stdin, and most of each of stdout and stderr taken from the agent. */
#define CONFIG_BYTES_MAX (16 * MIB)
#define ANSWER_BYTES_MAX (16 * MIB)
/* Most bytes of environment sent to the agent. */
#define ENV_BYTES_MAX (1 * MIB)

/* Reported when the configuration names no usable version. */
#define CNI_VERSION_DEFAULT "1.1.0"

/* Error codes. Source: CNI specification 1.1.0, section "Error"; 999 is libcni's "internal". */
#define CNI_IO_FAILURE 5
#define CNI_TRY_AGAIN_LATER 11
#define CNI_INTERNAL 999

/* A deadline that never passes. */
#define NO_DEADLINE ((int64_t)-1)

/* Bytes on the heap. The owner is whoever filled it; a process this short frees nothing. */
struct buffer {
	unsigned char *data;
	size_t length;
};

/* Milliseconds of the monotonic clock. */
int64_t now_ms(void);

/* Waits until `fd` is ready for `events` (as in poll). False: the deadline passed or poll failed. */
bool wait_ready(int fd, short events, int64_t deadline_ms);

enum read_outcome { READ_COMPLETE, READ_TOO_LARGE, READ_TIMED_OUT, READ_FAILED };

/*
 * Reads `fd` to its end. Never keeps more than `limit` bytes; on READ_TOO_LARGE
 * the first `limit` bytes are in `out`. On READ_FAILED errno says why.
 */
enum read_outcome read_to_end(int fd, size_t limit, int64_t deadline_ms, struct buffer *out);

/* Writes everything, also to a non-blocking descriptor. False: errno says why. */
bool write_fully(int fd, const void *data, size_t length);

/*
 * Prints the CNI error object on stdout, where runtimes look for it, and exits
 * with status 1. `details` may hold any bytes: it is escaped and cut if too long.
 */
_Noreturn void fail_with(const char *cni_version, int code, const char *message,
			 const char *details);

#endif
