/*
 * Preloaded: what happens to a file data.mdb goes to the file named by RECORD_WRITES, in order:
 *
 *     W OFFSET LENGTH DSYNC and the bytes   written; DSYNC 1: on disk when the call returned
 *     S                                     what was written before is on disk
 *     T LENGTH                              cut, or made longer
 *     R                                     renamed
 *     M                                     written through a mapping
 *
 * A write is told before it is made, what makes it durable after: a cut between
 * two lines is a moment at which all of the lines before may have happened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_data(const char *path)
{
    const char *end = strrchr(path, '/');
    return end != NULL && strcmp(end, "/data.mdb") == 0;
}

static int is_ours(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_data(path);
}

/* One call a record, so that those of two threads do not mix. */
static void tell(const char *head, const void *bytes, size_t size)
{
    static int log = -1;
    if (log < 0) log = open(getenv("RECORD_WRITES"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct iovec parts[] = {{(void *)head, strlen(head)}, {(void *)bytes, size}};
    if (REAL(writev)(log, parts, size > 0 ? 2 : 1) < 0) abort();
}

static void tell_write(int fd, const void *bytes, size_t size, off64_t offset)
{
    char head[96];
    if (!is_ours(fd)) return;
    snprintf(head, sizeof head, "W %lld %zu %d\n", (long long)offset, size,
             (fcntl(fd, F_GETFL) & O_DSYNC) != 0);
    tell(head, bytes, size);
}

static void tell_vector(int fd, const struct iovec *parts, int count, off64_t offset)
{
    for (int n = 0; n < count; n++) {
        tell_write(fd, parts[n].iov_base, parts[n].iov_len, offset);
        offset += (off64_t)parts[n].iov_len;
    }
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    tell_write(fd, bytes, size, offset);
    return REAL(pwrite64)(fd, bytes, size, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite64(fd, bytes, size, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    tell_vector(fd, parts, count, offset);
    return REAL(pwritev64)(fd, parts, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return pwritev64(fd, parts, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    off64_t offset = lseek64(fd, 0, SEEK_CUR);
    if (offset >= 0) tell_write(fd, bytes, size, offset);
    return REAL(write)(fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    off64_t offset = lseek64(fd, 0, SEEK_CUR);
    if (offset >= 0) tell_vector(fd, parts, count, offset);
    return REAL(writev)(fd, parts, count);
}

int fdatasync(int fd)
{
    int result = REAL(fdatasync)(fd);
    if (result == 0 && is_ours(fd)) tell("S\n", NULL, 0);
    return result;
}

int fsync(int fd)
{
    int result = REAL(fsync)(fd);
    if (result == 0 && is_ours(fd)) tell("S\n", NULL, 0);
    return result;
}

int ftruncate64(int fd, off64_t length)
{
    char head[64];
    snprintf(head, sizeof head, "T %lld\n", (long long)length);
    if (is_ours(fd)) tell(head, NULL, 0);
    return REAL(ftruncate64)(fd, length);
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int msync(void *address, size_t length, int flags)
{
    tell("M\n", NULL, 0);
    return REAL(msync)(address, length, flags);
}

int rename(const char *from, const char *to)
{
    if (is_data(to)) tell("R\n", NULL, 0);
    return REAL(rename)(from, to);
}
