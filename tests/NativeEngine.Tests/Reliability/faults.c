// Loaded before the C library (LD_PRELOAD), this lets the n-th change a process makes below a folder fail, or ends the process there, without a word of
// it in the program. A change is a write, a new file or folder, a rename, an allocation of space, an fsync; where the process is to end, also a deletion.
//   FAULTS_UNDER   only paths that begin with this count
//   FAULTS_AT      the change that is hit, from 1; 0 counts only
//   FAULTS_ERRNO   what it fails with; 0 ends the process (SIGKILL) with half of a write written
//   FAULTS_STAYS   set: every later change fails too, as on a disk that stays full
//   FAULTS_TOLD    a file that gets the name and the path of what was hit
//   FAULTS_COUNT   a file that gets the numbers of changes and of deletions when the process ends
//   FAULTS_CLOCK_JUMP, FAULTS_CLOCK_BY   after so many looks at it the clock is so many seconds off
// gcc -shared -fPIC -O1 -o faults.so faults.c
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long changes, deletions, looks;
static const char *under, *told, *count;
static long at, jump, by;
static int error, stays;

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void note(const char *file, const char *first, const char *second)
{
    char line[2 * PATH_MAX];
    int length = snprintf(line, sizeof line, "%s %s\n", first, second);
    int fd = file ? (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
    if (fd >= 0) {
        syscall(SYS_write, fd, line, (size_t)length);
        syscall(SYS_close, fd);
    }
}

__attribute__((constructor)) static void begin(void)
{
    under = getenv("FAULTS_UNDER");
    told = getenv("FAULTS_TOLD");
    count = getenv("FAULTS_COUNT");
    at = getenv("FAULTS_AT") ? atol(getenv("FAULTS_AT")) : 0;
    error = getenv("FAULTS_ERRNO") ? atoi(getenv("FAULTS_ERRNO")) : 0;
    jump = getenv("FAULTS_CLOCK_JUMP") ? atol(getenv("FAULTS_CLOCK_JUMP")) : 0;
    by = getenv("FAULTS_CLOCK_BY") ? atol(getenv("FAULTS_CLOCK_BY")) : 0;
    stays = getenv("FAULTS_STAYS") != NULL;
}

__attribute__((destructor)) static void end(void)
{
    char number[32];
    snprintf(number, sizeof number, "%ld", (long)deletions);
    char made[32];
    snprintf(made, sizeof made, "%ld", (long)changes);
    note(count, made, number);
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

// 1: this change is to fail, 2: the process is to end in it.
static int hit(const char *what, const char *path)
{
    if (!under || !path || strncmp(path, under, strlen(under)) != 0) return 0;
    long n = atomic_fetch_add(&changes, 1) + 1;
    if (at == 0 || (n != at && !(stays && n > at))) return 0;
    if (n == at) note(told, what, path);
    return error == 0 ? 2 : 1;
}

static int hit_open(const char *what, int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = under ? readlink(link, path, sizeof path - 1) : -1;
    if (length < 0) return 0;
    path[length] = 0;
    return hit(what, path);
}

#define FAIL(found) do { int f_ = (found); if (f_ == 2) die(); if (f_ == 1) { errno = error; return -1; } } while (0)

ssize_t write(int fd, const void *bytes, size_t length)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    int found = hit_open("write", fd);
    if (found == 2) { real(fd, bytes, length / 2); die(); }
    FAIL(found);
    return real(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    int found = hit_open("write", fd);
    if (found == 2) { real(fd, bytes, length / 2, offset); die(); }
    FAIL(found);
    return real(fd, bytes, length, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t offset)
{
    REAL(ssize_t, "pwritev64", int, const struct iovec *, int, off64_t);
    FAIL(hit_open("write", fd));
    return real(fd, parts, n, offset);
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t length)
{
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    FAIL(hit_open("write", to));
    return real(to, from, offset, length);
}

int open64(const char *path, int flags, ...)
{
    REAL(int, "open64", const char *, int, ...);
    va_list more;
    va_start(more, flags);
    int mode = (flags & O_CREAT) ? va_arg(more, int) : 0;
    va_end(more);
    if (flags & O_CREAT) FAIL(hit("create", path));
    return real(path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(int, "mkdir", const char *, mode_t);
    FAIL(hit("mkdir", path));
    return real(path, mode);
}

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *);
    FAIL(hit("rename", to));
    return real(from, to);
}

int link(const char *from, const char *to)
{
    REAL(int, "link", const char *, const char *);
    FAIL(hit("link", to));
    return real(from, to);
}

int fsync(int fd)
{
    REAL(int, "fsync", int);
    FAIL(hit_open("fsync", fd));
    return real(fd);
}

int ftruncate64(int fd, off64_t length)
{
    REAL(int, "ftruncate64", int, off64_t);
    FAIL(hit_open("truncate", fd));
    return real(fd, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
    REAL(int, "fallocate64", int, int, off64_t, off64_t);
    FAIL(hit_open("allocate", fd));
    return real(fd, mode, offset, length);
}

// Deletions never want for space.
static int hit_deletion(const char *what, const char *path)
{
    if (at == 0 && under && strncmp(path, under, strlen(under)) == 0) atomic_fetch_add(&deletions, 1);
    return at == 0 || error != 0 ? 0 : hit(what, path);
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *);
    FAIL(hit_deletion("unlink", path));
    return real(path);
}

int rmdir(const char *path)
{
    REAL(int, "rmdir", const char *);
    FAIL(hit_deletion("rmdir", path));
    return real(path);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int answer = real(clock, time);
    if (answer == 0 && clock == CLOCK_REALTIME && jump > 0 && atomic_fetch_add(&looks, 1) >= jump) time->tv_sec += by;
    return answer;
}
