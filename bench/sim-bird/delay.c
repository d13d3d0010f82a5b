/*
 * Latency between addresses of one network namespace, packet by packet, where the kernel
 * has no netem.
 *
 *     delay DEVICE TABLE
 *
 * Every router's address is local, and known to its peers by another one that is routed to
 * DEVICE, a TUN device: the two differ in one bit of the second octet. What comes out there
 * from A to B' goes back in, as from A' to B, as many microseconds later as a line of TABLE
 * says (`A B MICROSECONDS`, text). The bit moves from destination to source, so checksums
 * stay what they are. Without a line a packet is dropped.
 *
 * SIGTERM ends it; it prints how late packets were, in microseconds: their number, median,
 * 99th percentile and the latest.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { WAYS_MAX = 1024, OCTETS_MAX = 2048, LATE_MAX = 1 << 20, BIT = 2 };

struct way {
  uint8_t ends[32];
  int size;
  int64_t delay;
};

struct packet {
  struct packet *next;
  int64_t due;
  int size;
  uint8_t octets[OCTETS_MAX];
};

static struct way ways[WAYS_MAX];
static int way_count;
static struct packet *first, *spare;
static int32_t late[LATE_MAX];
static int late_count;
static volatile sig_atomic_t is_over;

static void end(int number) {
  (void)number;
  is_over = 1;
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void read_table(const char *path) {
  FILE *file = fopen(path, "r");
  char from[64], to[64];
  long long microseconds;
  if (file == NULL) {
    perror(path);
    exit(2);
  }
  while (way_count < WAYS_MAX && fscanf(file, "%63s %63s %lld", from, to, &microseconds) == 3) {
    struct way *way = &ways[way_count++];
    int family = strchr(from, ':') ? AF_INET6 : AF_INET;
    way->size = family == AF_INET ? 4 : 16;
    way->delay = microseconds * 1000;
    if (inet_pton(family, from, way->ends) != 1 || inet_pton(family, to, way->ends + way->size) != 1) {
      fprintf(stderr, "%s: not two addresses: %s %s\n", path, from, to);
      exit(2);
    }
  }
  fclose(file);
}

/* To the addresses that the other end knows; the delay, or -1: there is no such way. */
static int64_t turn(uint8_t *octets, int length) {
  int is_ip4 = length >= 20 && octets[0] >> 4 == 4;
  int size = is_ip4 ? 4 : 16;
  uint8_t *ends = octets + (is_ip4 ? 12 : 8);
  if (!is_ip4 && (length < 40 || octets[0] >> 4 != 6)) return -1;
  ends[size + 1] &= ~BIT;
  for (int at = 0; at < way_count; at++) {
    if (ways[at].size != size || memcmp(ways[at].ends, ends, 2 * size) != 0) continue;
    ends[1] |= BIT;
    return ways[at].delay;
  }
  return -1;
}

static void take(int device) {
  struct packet *packet = spare;
  if (packet != NULL) spare = packet->next;
  else packet = malloc(sizeof *packet);
  if (packet == NULL) exit(3);
  packet->size = read(device, packet->octets, OCTETS_MAX);
  int64_t delay = packet->size <= 0 ? -1 : turn(packet->octets, packet->size);
  if (delay < 0) {
    packet->next = spare;
    spare = packet;
    return;
  }
  packet->due = now() + delay;
  struct packet **place = &first;
  while (*place != NULL && (*place)->due <= packet->due) place = &(*place)->next;
  packet->next = *place;
  *place = packet;
}

static void give(int device) {
  int64_t time = now();
  while (first != NULL && first->due <= time) {
    struct packet *packet = first;
    first = packet->next;
    if (write(device, packet->octets, packet->size) < 0 && errno != EINVAL) perror("write");
    if (late_count < LATE_MAX) late[late_count++] = (now() - packet->due) / 1000;
    packet->next = spare;
    spare = packet;
  }
}

static int by_size(const void *left, const void *right) {
  return *(const int32_t *)left - *(const int32_t *)right;
}

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "usage: delay DEVICE TABLE\n");
    return 2;
  }
  read_table(words[2]);
  int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strncpy(request.ifr_name, words[1], IFNAMSIZ - 1);
  if (device < 0 || ioctl(device, TUNSETIFF, &request) < 0) {
    perror(words[1]);
    return 2;
  }
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGTERM, &action, NULL);
  prctl(PR_SET_TIMERSLACK, 1);
  while (!is_over) {
    struct pollfd waited = {.fd = device, .events = POLLIN};
    int64_t left = first == NULL ? 1000000000 : first->due - now();
    struct timespec limit = {.tv_sec = left < 0 ? 0 : left / 1000000000, .tv_nsec = left < 0 ? 0 : left % 1000000000};
    if (ppoll(&waited, 1, &limit, NULL) > 0) take(device);
    give(device);
  }
  qsort(late, late_count, sizeof *late, by_size);
  int last = late_count - 1;
  if (last >= 0) printf("%d %d %d %d\n", late_count, late[last / 2], late[(int)(last * 0.99)], late[last]);
  return 0;
}
