/*
 * Small messages between two namespaces, which iperf3 does not measure.
 *
 *     echo serve PORT                         TCP and UDP: what comes is sent back
 *     echo round-trip ADDRESS PORT SECONDS    UDP, one message at a time
 *     echo transactions ADDRESS PORT SECONDS  TCP, one byte there and back on each of LANES connections
 *     echo connections ADDRESS PORT SECONDS   TCP, connect, one byte there and back, close; LANES at once
 *
 * Prints one line: how many were done, nanoseconds of it all, and of
 * `round-trip` the median in nanoseconds and how many were lost.
 *
 * A connection is closed by a reset: otherwise each leaves a port in TIME_WAIT
 * and an entry of connection tracking for two minutes, and after some seconds
 * the tables' ends are measured and not the way.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LANES 16
#define EVENTS 64
#define MESSAGE_BYTES 64
#define SAMPLES_MAX (1 << 20)
#define PATIENCE_S 1

static struct sockaddr_in peer;
static int events_fd;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void watch(int fd, uint32_t what)
{
	struct epoll_event event = { .events = what, .data.fd = fd };
	if (epoll_ctl(events_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static int listener(int kind, int port)
{
	int one = 1;
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, kind | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0)
		die("bind");
	if (kind == SOCK_STREAM && listen(fd, 1024) < 0)
		die("listen");
	watch(fd, EPOLLIN);
	return fd;
}

static void take(int tcp)
{
	int one = 1, fd;
	while ((fd = accept4(tcp, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(fd, EPOLLIN);
	}
}

static void serve(int port)
{
	char bytes[2048];
	int tcp = listener(SOCK_STREAM, port), udp = listener(SOCK_DGRAM, port);
	for (;;) {
		struct epoll_event events[EVENTS];
		int count = epoll_wait(events_fd, events, EVENTS, -1);
		for (int at = 0; at < count; at++) {
			int fd = events[at].data.fd;
			struct sockaddr_in from;
			socklen_t length = sizeof(from);
			if (fd == tcp) {
				take(tcp);
				continue;
			}
			ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &length);
			if (fd == udp) {
				if (got >= 0)
					sendto(fd, bytes, got, 0, (struct sockaddr *)&from, length);
			} else if (got > 0) {
				send(fd, bytes, got, MSG_NOSIGNAL);
			} else if (got == 0 || errno != EAGAIN) {
				close(fd);
			}
		}
	}
}

static int ascending(const void *left, const void *right)
{
	int64_t one = *(const int64_t *)left, two = *(const int64_t *)right;
	return one < two ? -1 : one > two;
}

static void round_trip(int64_t duration)
{
	char bytes[MESSAGE_BYTES] = { 0 };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int64_t *samples = malloc(SAMPLES_MAX * sizeof(*samples));
	int64_t count = 0, lost = 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (samples == NULL || fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0)
		die("connect");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	int64_t start = now_ns(), last = start;
	while (last - start < duration && count < SAMPLES_MAX) {
		if (send(fd, bytes, sizeof(bytes), 0) < 0)
			die("send");
		if (recv(fd, bytes, sizeof(bytes), 0) < 0) {
			if (errno != EAGAIN)
				die("recv");
			lost++;
			last = now_ns();
			continue;
		}
		int64_t at = now_ns();
		samples[count++] = at - last;
		last = at;
	}
	qsort(samples, count, sizeof(*samples), ascending);
	printf("%lld %lld %lld %lld\n", (long long)count, (long long)(last - start),
	       (long long)(count == 0 ? 0 : samples[count / 2]), (long long)lost);
}

/* Begins to connect; the answer comes as EPOLLOUT. */
static void open_lane(void)
{
	int one = 1;
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0 && errno != EINPROGRESS)
		die("connect");
	watch(fd, EPOLLOUT);
}

static void lanes(int64_t duration, int keep)
{
	char byte = 0;
	int64_t count = 0, start = now_ns(), last = start;
	for (int lane = 0; lane < LANES; lane++)
		open_lane();
	while (last - start < duration) {
		struct epoll_event events[EVENTS];
		int ready = epoll_wait(events_fd, events, EVENTS, PATIENCE_S * 1000);
		for (int at = 0; at < ready; at++) {
			int fd = events[at].data.fd;
			if (events[at].events & EPOLLOUT) {
				struct epoll_event wanted = { .events = EPOLLIN, .data.fd = fd };
				if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
					die("send to a new connection");
				epoll_ctl(events_fd, EPOLL_CTL_MOD, fd, &wanted);
				continue;
			}
			if (recv(fd, &byte, 1, 0) != 1)
				die("recv");
			count++;
			if (keep) {
				if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
					die("send");
			} else {
				close(fd);
				open_lane();
			}
		}
		last = now_ns();
	}
	printf("%lld %lld\n", (long long)count, (long long)(last - start));
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	events_fd = epoll_create1(EPOLL_CLOEXEC);
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(atoi(argv[2]));
	if (argc != 5 || inet_pton(AF_INET, argv[2], &peer.sin_addr) != 1) {
		fprintf(stderr, "usage: echo serve PORT | echo round-trip|transactions|connections ADDRESS PORT SECONDS\n");
		return 2;
	}
	peer.sin_family = AF_INET;
	peer.sin_port = htons(atoi(argv[3]));
	int64_t duration = (int64_t)(atof(argv[4]) * 1e9);
	if (strcmp(argv[1], "round-trip") == 0)
		round_trip(duration);
	else
		lanes(duration, strcmp(argv[1], "transactions") == 0);
	return 0;
}
