/*
 * Preloaded: what makes a commit durable is written to the file named by HELD_SYNC, a line an
 * event, and stands still while HELD_SYNC.hold exists; while HELD_SYNC.EVENT exists it fails.
 * That is fdatasync, and writing through a descriptor with O_DSYNC, by which LMDB makes a commit
 * durable. While HELD_SYNC.late exists it stands still right after that, before LMDB says so to others.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_US = 500 };

static int is(const char *what)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", getenv("HELD_SYNC"), what);
    return access(path, F_OK) == 0;
}

/* Whether it may go on. */
static int event(const char *name)
{
    int log = open(getenv("HELD_SYNC"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    dprintf(log, "%s\n", name);
    close(log);
    while (is("hold")) usleep(LOOK_US);
    if (!is(name)) return 1;
    errno = EIO;
    return 0;
}

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return event("sync") ? real(fd) : -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    if ((fcntl(fd, F_GETFL) & O_DSYNC) == 0) return real(fd, bytes, size, offset);
    if (!event("meta")) return -1;
    ssize_t written = real(fd, bytes, size, offset);
    if (is("late")) event("made");
    while (is("late")) usleep(LOOK_US);
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite64(fd, bytes, size, offset);
}
