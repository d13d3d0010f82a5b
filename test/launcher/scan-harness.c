/*
 * Runs the launcher's scanner over many configurations, for scan.test.ts.
 *
 * stdin: for each configuration a u32 length, little-endian, and its bytes.
 * stdout: for each a line "VALID cniVersion socket ipam.socket", where VALID is
 * 0 or 1 and a text is "-" (absent), "!" (unusable) or "=" and hexadecimal digits.
 */
#include "scan.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void print_text(const struct text *text)
{
	if (!text->present) {
		printf(" -");
	} else if (!text->usable) {
		printf(" !");
	} else {
		printf(" =");
		for (size_t i = 0; i < text->length; i++)
			printf("%02x", (unsigned)(unsigned char)text->data[i]);
	}
}

int main(void)
{
	unsigned char header[4];

	while (fread(header, sizeof(header), 1, stdin) == 1) {
		size_t length = header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16 |
				(size_t)header[3] << 24;
		/* Of the exact size, so that the address sanitizer sees one byte too many. */
		unsigned char *data = malloc(length);
		struct scan found;

		if (length > 0 && (data == NULL || fread(data, length, 1, stdin) != 1))
			return 1;
		printf("%d", scan_config(data, length, &found));
		print_text(&found.cni_version);
		print_text(&found.socket);
		print_text(&found.ipam_socket);
		printf("\n");
		free(data);
	}
	return 0;
}
