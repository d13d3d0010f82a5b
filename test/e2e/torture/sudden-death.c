/*
 * Preloaded into agents and Node entries: counts what they are about to do to the kernel and to
 * the disk, and kills them with SIGKILL before the n-th. A verb's steps are some 0.1 ms apart;
 * no kill from outside meets each of them.
 *
 * n comes from SUDDEN_DEATH_IN, or later from whoever writes an int to the file with the
 * process's id in the directory SUDDEN_DEATH; 0 is never. With SLOW_DISK added to it, each sync
 * takes long until then, and the kernel gets ahead of the disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SLOW_DISK 0x10000
#define SLOW_DISK_US 4000

static atomic_int own;
static atomic_int *left = &own;

__attribute__((constructor)) static void begin(void)
{
    const char *in = getenv("SUDDEN_DEATH_IN"), *folder = getenv("SUDDEN_DEATH");
    char path[4096];
    if (strcmp(program_invocation_short_name, "node") != 0) return;
    if (in) atomic_store(&own, atoi(in));
    if (!folder) return;
    snprintf(path, sizeof path, "%s/%d", folder, (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof own) != 0) abort();
    void *shared = mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) abort();
    left = shared;
    atomic_store(left, 0); /* what is left of another process that had this id */
    close(fd);
}

static void moment(void)
{
    if (atomic_load(left) > 0 && (atomic_fetch_sub(left, 1) & ~SLOW_DISK) == 1) kill(getpid(), SIGKILL);
}

static int is_socket_of(int fd, int wanted)
{
    int domain = 0;
    socklen_t length = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == wanted;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int) =
        (ssize_t (*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
    if (is_socket_of(fd, AF_NETLINK)) moment();
    return real(fd, bytes, size, flags);
}

/* LMDB's pages, and the one that makes them visible. */
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    moment();
    return real(fd, bytes, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t (*real)(int, const struct iovec *, int) =
        (ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
    moment();
    return real(fd, parts, count);
}

/* What a launcher or the runtime is told. */
ssize_t write(int fd, const void *bytes, size_t size)
{
    ssize_t (*real)(int, const void *, size_t) =
        (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (fd == STDOUT_FILENO || is_socket_of(fd, AF_UNIX)) moment();
    return real(fd, bytes, size);
}

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    moment();
    if (atomic_load(left) & SLOW_DISK) usleep(SLOW_DISK_US);
    return real(fd);
}

/* The answer is out. */
void _exit(int status)
{
    void (*real)(int) = (void (*)(int))dlsym(RTLD_NEXT, "_exit");
    moment();
    real(status);
    __builtin_unreachable();
}
