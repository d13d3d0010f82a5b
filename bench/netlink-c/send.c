/*
 * Sends prepared batches of rtnetlink requests and takes one answer for each.
 *
 *     send NETNS FILE
 *
 * FILE holds batches: bytes u32, requests u32 (host order), then the datagram.
 * Prints "nanoseconds refused" of the sending and receiving alone. It is what a
 * C programmer would write for speed: recvmmsg, no allocation, no encoding.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 64
#define SLOT_BYTES 4096

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static char *read_all(const char *path, size_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	char *bytes = malloc(st.st_size);
	for (size_t at = 0; at < (size_t)st.st_size;) {
		ssize_t got = read(fd, bytes + at, st.st_size - at);
		if (got <= 0)
			die(path);
		at += got;
	}
	close(fd);
	*size = st.st_size;
	return bytes;
}

static int open_socket(void)
{
	int one = 1, rcvbuf = 4 << 20, sndbuf = 1 << 20;
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0)
		die("socket");
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf));
	return fd;
}

static char slots[SLOTS][SLOT_BYTES];
static struct iovec iovecs[SLOTS];
static struct mmsghdr headers[SLOTS];

/* Takes `count` answers and returns how many of them are refusals. */
static uint32_t take(int fd, uint32_t count)
{
	uint32_t refused = 0;
	while (count > 0) {
		int got = recvmmsg(fd, headers, SLOTS, MSG_WAITFORONE, NULL);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			die("recvmmsg");
		for (int i = 0; i < got; i++) {
			struct nlmsghdr *h = (struct nlmsghdr *)slots[i];
			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			if (((struct nlmsgerr *)NLMSG_DATA(h))->error != 0)
				refused++;
			count--;
		}
	}
	return refused;
}

int main(int argc, char **argv)
{
	size_t size;
	struct timespec start, end;
	uint32_t refused = 0;
	if (argc != 3) {
		fprintf(stderr, "usage: send NETNS FILE\n");
		return 2;
	}
	char *bytes = read_all(argv[2], &size);
	int netns = open(argv[1], O_RDONLY);
	if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
		die(argv[1]);
	int fd = open_socket();
	for (int i = 0; i < SLOTS; i++) {
		iovecs[i] = (struct iovec){ slots[i], SLOT_BYTES };
		headers[i].msg_hdr.msg_iov = &iovecs[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (size_t at = 0; at < size;) {
		uint32_t length, count;
		memcpy(&length, bytes + at, 4);
		memcpy(&count, bytes + at + 4, 4);
		at += 8;
		if (send(fd, bytes + at, length, 0) < 0)
			die("send");
		refused += take(fd, count);
		at += length;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	long long ns = (end.tv_sec - start.tv_sec) * 1000000000LL + (end.tv_nsec - start.tv_nsec);
	printf("%lld %u\n", ns, refused);
	return 0;
}
