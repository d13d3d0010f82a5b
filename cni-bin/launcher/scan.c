/*
 * A JSON scanner without allocation: one pass, bounded depth, every read
 * checked against the end. See scan.h. Source: RFC 8259.
 */
#include "scan.h"

#include <stdint.h>
#include <string.h>

/* What a lone surrogate becomes, as in every WHATWG encoder. */
#define REPLACEMENT 0xfffdu

struct cursor {
	const unsigned char *at;
	const unsigned char *end;
};

/* Reads the value of the member `key`; `depth` counts the containers around it. */
typedef bool read_member(struct cursor *c, const struct text *key, int depth, void *context);

static bool skip_value(struct cursor *c, int depth);

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

/* Takes `wanted` if it comes next. */
static bool take(struct cursor *c, unsigned char wanted)
{
	if (c->at >= c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

static bool take_word(struct cursor *c, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
		return false;
	c->at += length;
	return true;
}

static void put_byte(struct text *out, unsigned byte)
{
	if (byte == 0 || out->length >= TEXT_BYTES_MAX)
		out->usable = false;
	else
		out->data[out->length++] = (char)byte;
}

/* Appends `point` as UTF-8. */
static void put_point(struct text *out, uint32_t point)
{
	if (point < 0x80) {
		put_byte(out, point);
		return;
	}
	if (point < 0x800) {
		put_byte(out, 0xc0 | point >> 6);
	} else if (point < 0x10000) {
		put_byte(out, 0xe0 | point >> 12);
		put_byte(out, 0x80 | (point >> 6 & 0x3f));
	} else {
		put_byte(out, 0xf0 | point >> 18);
		put_byte(out, 0x80 | (point >> 12 & 0x3f));
		put_byte(out, 0x80 | (point >> 6 & 0x3f));
	}
	put_byte(out, 0x80 | (point & 0x3f));
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads the four digits of \uXXXX. */
static bool read_hex4(struct cursor *c, uint32_t *out)
{
	*out = 0;
	if (c->end - c->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(*c->at++);

		if (digit < 0)
			return false;
		*out = *out << 4 | (uint32_t)digit;
	}
	return true;
}

/* Reads a \u escape after its 'u', and the second half of a pair with it. */
static bool read_unicode(struct cursor *c, struct text *out)
{
	struct cursor ahead;
	uint32_t high;
	uint32_t low;

	if (!read_hex4(c, &high))
		return false;
	if (high < 0xd800 || high > 0xdfff) {
		put_point(out, high);
		return true;
	}
	ahead = *c;
	if (high < 0xdc00 && take(&ahead, '\\') && take(&ahead, 'u') && read_hex4(&ahead, &low) &&
	    low >= 0xdc00 && low <= 0xdfff) {
		*c = ahead;
		put_point(out, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
		return true;
	}
	put_point(out, REPLACEMENT);
	return true;
}

/* Reads an escape after its backslash. */
static bool read_escape(struct cursor *c, struct text *out)
{
	/* Each name stands before the byte it means. */
	static const char names[] = "\"\"\\\\//b\bf\fn\nr\rt\t";

	if (c->at >= c->end)
		return false;
	if (take(c, 'u'))
		return read_unicode(c, out);
	for (size_t i = 0; i + 1 < sizeof(names); i += 2) {
		if (take(c, (unsigned char)names[i])) {
			put_byte(out, (unsigned char)names[i + 1]);
			return true;
		}
	}
	return false;
}

static bool read_string(struct cursor *c, struct text *out)
{
	/* Present only once it is whole: a string cut short has no final NUL. */
	out->present = false;
	out->usable = true;
	out->length = 0;
	if (!take(c, '"'))
		return false;
	while (c->at < c->end && *c->at >= 0x20) {
		unsigned char next = *c->at++;

		if (next == '"') {
			out->data[out->length] = '\0';
			out->present = true;
			return true;
		}
		if (next != '\\')
			put_byte(out, next);
		else if (!read_escape(c, out))
			return false;
	}
	return false;
}

static bool read_object(struct cursor *c, int depth, read_member *read, void *context)
{
	struct text key;

	if (depth >= SCAN_DEPTH_MAX || !take(c, '{'))
		return false;
	skip_space(c);
	if (take(c, '}'))
		return true;
	for (;;) {
		skip_space(c);
		if (!read_string(c, &key))
			return false;
		skip_space(c);
		if (!take(c, ':'))
			return false;
		skip_space(c);
		if (!read(c, &key, depth + 1, context))
			return false;
		skip_space(c);
		if (take(c, '}'))
			return true;
		if (!take(c, ','))
			return false;
	}
}

static bool skip_array(struct cursor *c, int depth)
{
	if (depth >= SCAN_DEPTH_MAX || !take(c, '['))
		return false;
	skip_space(c);
	if (take(c, ']'))
		return true;
	for (;;) {
		skip_space(c);
		if (!skip_value(c, depth + 1))
			return false;
		skip_space(c);
		if (take(c, ']'))
			return true;
		if (!take(c, ','))
			return false;
	}
}

static bool skip_digits(struct cursor *c)
{
	const unsigned char *start = c->at;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
		c->at++;
	return c->at > start;
}

static bool skip_number(struct cursor *c)
{
	take(c, '-');
	if (!take(c, '0') && !skip_digits(c))
		return false;
	if (take(c, '.') && !skip_digits(c))
		return false;
	if (!take(c, 'e') && !take(c, 'E'))
		return true;
	if (!take(c, '+'))
		take(c, '-');
	return skip_digits(c);
}

static bool skip_member(struct cursor *c, const struct text *key, int depth, void *context)
{
	(void)key;
	(void)context;
	return skip_value(c, depth);
}

static bool skip_value(struct cursor *c, int depth)
{
	struct text ignored;

	if (c->at >= c->end)
		return false;
	switch (*c->at) {
	case '{':
		return read_object(c, depth, skip_member, NULL);
	case '[':
		return skip_array(c, depth);
	case '"':
		return read_string(c, &ignored);
	case 't':
		return take_word(c, "true");
	case 'f':
		return take_word(c, "false");
	case 'n':
		return take_word(c, "null");
	default:
		return skip_number(c);
	}
}

/* Keeps a string value; any other kind means the key says nothing. */
static bool read_text(struct cursor *c, int depth, struct text *out)
{
	out->present = false;
	if (c->at < c->end && *c->at == '"')
		return read_string(c, out);
	return skip_value(c, depth);
}

static bool key_is(const struct text *key, const char *name)
{
	return key->usable && strcmp(key->data, name) == 0;
}

static bool read_ipam_member(struct cursor *c, const struct text *key, int depth, void *context)
{
	struct scan *found = context;

	if (key_is(key, "socket"))
		return read_text(c, depth, &found->ipam_socket);
	return skip_value(c, depth);
}

static bool read_top_member(struct cursor *c, const struct text *key, int depth, void *context)
{
	struct scan *found = context;

	if (key_is(key, "cniVersion"))
		return read_text(c, depth, &found->cni_version);
	if (key_is(key, "socket"))
		return read_text(c, depth, &found->socket);
	if (!key_is(key, "ipam"))
		return skip_value(c, depth);
	found->ipam_socket.present = false;
	if (c->at < c->end && *c->at == '{')
		return read_object(c, depth, read_ipam_member, found);
	return skip_value(c, depth);
}

bool scan_config(const unsigned char *data, size_t length, struct scan *found)
{
	struct cursor c = { data, data + length };

	memset(found, 0, sizeof(*found));
	/* An empty buffer may have no memory behind it at all. */
	if (length == 0)
		return false;
	skip_space(&c);
	if (!read_object(&c, 0, read_top_member, found))
		return false;
	skip_space(&c);
	return c.at == c.end;
}
