/*
 * Finds the three strings the launcher needs in a network configuration.
 */
#ifndef TRIVIUM_SCAN_H
#define TRIVIUM_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* Longest string kept, in bytes: what sun_path holds with its final NUL. Source: unix(7). */
#define TEXT_BYTES_MAX 107

/*
 * Most objects and arrays inside each other, which bounds the stack. A CNI
 * configuration with a previous result nests about six deep.
 */
#define SCAN_DEPTH_MAX 64

/* A decoded JSON string. */
struct text {
	/* The key is there and its value is a string. */
	bool present;
	/* It fits, and has no NUL inside; `data` then holds it, NUL-terminated. */
	bool usable;
	size_t length;
	char data[TEXT_BYTES_MAX + 1];
};

struct scan {
	/* Top-level "cniVersion". */
	struct text cni_version;
	/* Top-level "socket". */
	struct text socket;
	/* "socket" of the object in top-level "ipam". */
	struct text ipam_socket;
};

/*
 * Scans one JSON document. As in JSON.parse the last of equal keys counts.
 * Returns false when it is not exactly one JSON object or nests deeper than
 * SCAN_DEPTH_MAX; what was found until then stays in `found`. Strings may hold
 * broken UTF-8: whoever executes the request parses it again.
 */
bool scan_config(const unsigned char *data, size_t length, struct scan *found);

#endif
