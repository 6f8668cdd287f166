/* The C library's file calls, counted, recorded and made to fail: preloaded below everything that a command does.

   Only calls on FAULTS_ROOT and on paths below it count. A process arms itself with `faults_arm` and may record what it did
   with `faults_record`: a line a call that succeeded, tab-separated, the bytes of a write behind its line. With `faults_lack`
   the disk has some calls no more, as vfat, CIFS, NFS and FUSE have them not.
   Built by shim.py: gcc -shared -fPIC -o shim.so shim.c -ldl */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

enum kind { NONE, FAIL_EIO, FULL_DISK, SHORT_WRITE, KILL, KILL_IN_WRITE, FAIL_FORK }; /* as shim.py has them */

/* What a disk may lack, a bit each, as shim.py has them */
enum call { FSYNC_FOLDER = 1, FSYNC_FILE = 2, CHMOD = 4, FLOCK_ENOLCK = 8, FLOCK_ENOSYS = 16, SYMLINK = 32, LINK = 64 };

static int lacking, missed; /* calls */
static long count, writes, forks, nth; /* for SHORT_WRITE and KILL_IN_WRITE nth counts the writes */
static enum kind kind;
static int record = -1;
static char *paths[4096]; /* of the files that are open, by descriptor */

void faults_arm(long n, int k) { count = writes = forks = 0, nth = n, kind = k; }
void faults_lack(int calls) { lacking = calls, missed = 0; }
int faults_missed(void) { return missed; } /* the lacking calls that were tried */
long faults_count(void) { return count; }
long faults_writes(void) { return writes; }

static void note(const char *text, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    while (size > 0) {
        ssize_t done = real(record, text, size);
        if (done <= 0) abort();
        text += done, size -= done;
    }
}

static void say(const char *format, ...) {
    if (record < 0) return;
    char line[3 * PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    note(line, size);
}

void faults_mark(long number) { say("mark\t%ld\n", number); }

void faults_record(const char *path) {
    REAL(int, "open", const char *, int, ...);
    record = real(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

static int below_root(const char *path) {
    const char *root = getenv("FAULTS_ROOT");
    size_t size = root ? strlen(root) : 0;
    return size && path && strncmp(path, root, size) == 0 && (path[size] == '/' || path[size] == 0);
}

static const char *of(int fd) { return fd >= 0 && fd < 4096 ? paths[fd] : NULL; }

/* Whether the call that comes now is to fail, with errno set; `grows`: it would need room on the disk. */
static int fails(int counts, int grows) {
    if (!counts) return 0;
    count++;
    if (kind == KILL && count == nth) kill(getpid(), SIGKILL);
    if (kind == FAIL_EIO && count == nth) { errno = EIO; return 1; }
    if (kind == FULL_DISK && count >= nth && grows) { errno = ENOSPC; return 1; }
    return 0;
}

/* Whether the disk lacks this call, with errno set. */
static int lacks(enum call call, const char *path, int number) {
    if (!(lacking & call) || !path) return 0;
    missed |= call;
    errno = number;
    return 1;
}

static int is_folder(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

static int opened(int fd, const char *path, int flags) {
    if (fd < 0 || fd >= 4096) return fd;
    free(paths[fd]);
    paths[fd] = NULL;
    if (below_root(path)) {
        paths[fd] = strdup(path);
        say("open\t%s\t%d\t%d\n", path, (flags & O_CREAT) != 0, (flags & O_TRUNC) != 0);
    }
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, #name, const char *, int, ...); \
        va_list arguments; \
        va_start(arguments, flags); \
        int mode = va_arg(arguments, int); \
        va_end(arguments); \
        if (fails(below_root(path), flags & O_CREAT)) return -1; \
        return opened(real(path, flags, mode), path, flags); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int, #name, int, const char *, int, ...); \
        va_list arguments; \
        va_start(arguments, flags); \
        int mode = va_arg(arguments, int); \
        va_end(arguments); \
        if (fails(below_root(path), flags & O_CREAT)) return -1; \
        return opened(real(folder, path, flags, mode), path, flags); \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    REAL(int, "close", int);
    if (of(fd)) free(paths[fd]), paths[fd] = NULL;
    return real(fd);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    const char *path = of(fd);
    if (fails(path != NULL, 1)) return -1;
    int half = path && ++writes == nth && (kind == SHORT_WRITE || kind == KILL_IN_WRITE);
    ssize_t done = real(fd, bytes, half ? (size + 1) / 2 : size);
    if (half && kind == KILL_IN_WRITE) kill(getpid(), SIGKILL);
    if (path && done > 0 && record >= 0) {
        say("write\t%s\t%ld\t%zd\n", path, (long)lseek(fd, 0, SEEK_CUR) - (long)done, done);
        note(bytes, done);
    }
    return done;
}

pid_t fork(void) {
    REAL(pid_t, "fork", void);
    if (kind == FAIL_FORK && ++forks == nth) { errno = EAGAIN; return -1; }
    return real();
}

#define ON_DESCRIPTOR(name) \
    int name(int fd) { \
        REAL(int, #name, int); \
        if (fails(of(fd) != NULL, 0)) return -1; \
        if (lacks(is_folder(fd) ? FSYNC_FOLDER : FSYNC_FILE, of(fd), EINVAL)) return -1; \
        int result = real(fd); \
        if (of(fd) && result == 0) say("fsync\t%s\n", of(fd)); \
        return result; \
    }
ON_DESCRIPTOR(fsync)
ON_DESCRIPTOR(fdatasync)

#define ON_ONE(name, word, grows) \
    int name(const char *path) { \
        REAL(int, #name, const char *); \
        if (fails(below_root(path), grows)) return -1; \
        int result = real(path); \
        if (below_root(path) && result == 0) say(word "\t%s\n", path); \
        return result; \
    }
ON_ONE(unlink, "unlink", 0)
ON_ONE(rmdir, "rmdir", 0)

#define ON_TWO(name, word, grows, mine, call) \
    int name(const char *from, const char *to) { \
        REAL(int, #name, const char *, const char *); \
        if (fails(below_root(mine), grows)) return -1; \
        if (lacks(call, below_root(mine) ? mine : NULL, EPERM)) return -1; \
        int result = real(from, to); \
        if (below_root(mine) && result == 0) say(word "\t%s\t%s\n", from, to); \
        return result; \
    }
ON_TWO(rename, "rename", 0, from, 0)
ON_TWO(symlink, "symlink", 1, to, SYMLINK)
ON_TWO(link, "link", 1, to, LINK)

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    if (fails(below_root(path), 1)) return -1;
    int result = real(path, mode);
    if (below_root(path) && result == 0) say("mkdir\t%s\n", path);
    return result;
}

#define TRUNCATE(name) \
    int name(const char *path, off64_t size) { \
        REAL(int, #name, const char *, off64_t); \
        if (fails(below_root(path), 0)) return -1; \
        int result = real(path, size); \
        if (below_root(path) && result == 0) say("truncate\t%s\t%ld\n", path, (long)size); \
        return result; \
    }
TRUNCATE(truncate)
TRUNCATE(truncate64)

int chmod(const char *path, mode_t mode) {
    REAL(int, "chmod", const char *, mode_t);
    return lacks(CHMOD, below_root(path) ? path : NULL, EPERM) ? -1 : real(path, mode);
}

int fchmod(int fd, mode_t mode) {
    REAL(int, "fchmod", int, mode_t);
    return lacks(CHMOD, of(fd), EPERM) ? -1 : real(fd, mode);
}

int flock(int fd, int operation) {
    REAL(int, "flock", int, int);
    if (lacks(FLOCK_ENOLCK, of(fd), ENOLCK) || lacks(FLOCK_ENOSYS, of(fd), ENOSYS)) return -1;
    return real(fd, operation);
}
