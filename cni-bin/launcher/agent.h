/*
 * The launcher's side of the conversation with the agent.
 *
 * Over a Unix stream socket, every integer little-endian:
 *
 *   launcher -> agent  request    0  "TRVM"
 *                                 4  u16 protocol version, 2
 *                                 6  u16 plugin: 1 trivium, 2 trivium-ipam
 *                                 8  u32 process id of the launcher
 *                                12  u32 flags, 0
 *                                16  u64 st_dev of CNI_NETNS  (both 0 when it
 *                                24  u64 st_ino of CNI_NETNS   cannot be looked at)
 *                                32  u32 bytes of environment, at most 1 MiB
 *                                36  u32 bytes of configuration, at most 16 MiB
 *                                40  environment, "NAME=value\0" each; configuration
 *   agent -> launcher  accepted   0  "TRVA"
 *                                 4  u16 protocol version
 *                                 6  u16 0 accepted, 1 version unsupported,
 *                                        2 malformed, 3 shutting down
 *   agent -> launcher  response   0  "TRVR"
 *                                 4  u32 exit status
 *                                 8  u32 bytes of stdout, at most 16 MiB
 *                                12  u32 bytes of stderr, at most 16 MiB
 *                                16  stdout; stderr
 *
 * The agent executes nothing unless its "accepted" went through. The launcher
 * runs the request elsewhere only after it has shut its end for reading and found
 * no "accepted" there. Both happen under the lock of the launcher's socket in the
 * kernel (net/unix/af_unix.c: unix_stream_sendmsg, unix_shutdown), so one of them
 * is first, and no request runs twice, not even when a hung agent wakes up later.
 * src/wire/frame.ts is the agent's side of this.
 */
#ifndef TRIVIUM_AGENT_H
#define TRIVIUM_AGENT_H

#include "launcher.h"

enum plugin { PLUGIN_TRIVIUM = 1, PLUGIN_TRIVIUM_IPAM = 2 };

enum agent_outcome {
	/* Nothing was executed and nothing will be: run the request elsewhere. */
	AGENT_UNAVAILABLE,
	/* It may have been executed: report, never repeat. */
	AGENT_LOST,
	AGENT_ANSWERED,
};

struct agent_answer {
	uint32_t exit_status;
	struct buffer out;
	struct buffer err;
};

/*
 * Has the agent at `path` (absolute, at most 107 bytes) execute one request.
 * `accept_ms` bounds everything up to "accepted"; after it there is no limit, for
 * the runtime has its own.
 */
enum agent_outcome agent_call(const char *path, enum plugin plugin, const struct buffer *config,
			      int64_t accept_ms, struct agent_answer *answer);

#endif
