/* recorder: preloaded into a process, it writes down whatever that does to the files below a folder, in order.
 *
 * RECORDER_ROOT is the folder, RECORDER_LOG the file that is written: for each call a struct line and its octets.
 * Standard output is written down too, so that what was told stands between the writes and syncs before and
 * after it. One lock is held over each call and its line: the order of the lines is that of the calls. A file
 * is known by its inode, which a rename does not change. A call that is missing here is not written down, so what
 * it writes is on no disk that is made of the lines: that is seen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct line {
    uint32_t what;   /* one of the letters below */
    uint32_t length; /* of the octets that follow */
    uint64_t inode;
    uint64_t offset;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;
static const char *root;

/* Among threads and among processes; the kernel gives it back for a process that ends. */
static void take_lock(void)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    pthread_mutex_lock(&lock);
    while (log_file >= 0 && syscall(SYS_fcntl, log_file, F_OFD_SETLKW, &whole) < 0)
        if (errno != EINTR)
            _exit(96);
}

static void give_lock(void)
{
    struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    int error = errno;
    if (log_file >= 0)
        syscall(SYS_fcntl, log_file, F_OFD_SETLK, &whole);
    errno = error;
    pthread_mutex_unlock(&lock);
}

static void raw(const void *octets, size_t length)
{
    const char *at = octets;
    while (length > 0) {
        long written = syscall(SYS_write, log_file, at, length);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            _exit(97); /* what nobody has written down would make every finding false */
        }
        at += written;
        length -= (size_t)written;
    }
}

static void note(char what, uint64_t inode, uint64_t offset, const void *octets, size_t length)
{
    struct line line = {(uint32_t)what, (uint32_t)length, inode, offset};
    struct iovec both[] = {{&line, sizeof line}, {(void *)octets, octets == NULL ? 0 : length}};
    int error = errno;
    size_t done;
    long written;
    do /* at once, so that a signal finds a line whole or not there */
        written = syscall(SYS_writev, log_file, both, 2);
    while (written < 0 && errno == EINTR);
    if (written < 0)
        _exit(97);
    done = (size_t)written;
    if (done < sizeof line)
        raw((const char *)&line + done, sizeof line - done);
    done = done < sizeof line ? 0 : done - sizeof line;
    if (done < both[1].iov_len)
        raw((const char *)octets + done, both[1].iov_len - done);
    errno = error;
}

static void __attribute__((constructor)) begin(void)
{
    const char *name = getenv("RECORDER_LOG");
    root = getenv("RECORDER_ROOT");
    if (name == NULL || root == NULL)
        _exit(98);
    log_file = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_file < 0)
        _exit(99);
}

static int ours(const char *path)
{
    return root != NULL && strncmp(path, root, strlen(root)) == 0;
}

/* Whether a descriptor is one of ours; its inode, and whether it is a folder. */
static int known(int fd, uint64_t *inode, int *folder)
{
    char link[64], path[4096];
    struct stat found;
    ssize_t length;
    if (log_file < 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (!ours(path) || fstat(fd, &found) != 0)
        return 0;
    *inode = found.st_ino;
    *folder = S_ISDIR(found.st_mode);
    return 1;
}

static int opened(int at, const char *path, int flags, mode_t mode)
{
    struct stat found;
    int fresh, fd;
    if (!ours(path))
        return (int)syscall(SYS_openat, at, path, flags, mode);
    take_lock();
    fresh = (flags & O_CREAT) && stat(path, &found) != 0;
    fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && fresh && fstat(fd, &found) == 0)
        note('C', found.st_ino, 0, path, strlen(path));
    if (fd >= 0 && !fresh && (flags & O_TRUNC) && fstat(fd, &found) == 0)
        note('T', found.st_ino, 0, NULL, 0);
    give_lock();
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = (mode_t)va_arg(rest, int); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags)
    return opened(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    MODE(flags)
    return opened(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
    MODE(flags)
    return opened(at, path, flags, mode);
}

static ssize_t placed(int fd, const void *octets, size_t length, off_t offset)
{
    uint64_t inode;
    int folder;
    ssize_t written;
    if (!known(fd, &inode, &folder))
        return syscall(SYS_pwrite64, fd, octets, length, offset);
    take_lock();
    written = syscall(SYS_pwrite64, fd, octets, length, offset);
    if (written > 0)
        note('W', inode, (uint64_t)offset, octets, (size_t)written);
    give_lock();
    return written;
}

ssize_t pwrite(int fd, const void *octets, size_t length, off_t offset)
{
    return placed(fd, octets, length, offset);
}

ssize_t pwrite64(int fd, const void *octets, size_t length, off_t offset)
{
    return placed(fd, octets, length, offset);
}

ssize_t write(int fd, const void *octets, size_t length)
{
    uint64_t inode = 0;
    int folder;
    ssize_t written;
    off_t offset;
    if (fd != STDOUT_FILENO && !known(fd, &inode, &folder))
        return syscall(SYS_write, fd, octets, length);
    take_lock();
    offset = fd == STDOUT_FILENO ? 0 : lseek(fd, 0, SEEK_CUR);
    written = syscall(SYS_write, fd, octets, length);
    if (written > 0)
        note(fd == STDOUT_FILENO ? 'A' : 'W', inode, (uint64_t)offset, octets, (size_t)written);
    give_lock();
    return written;
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    uint64_t inode;
    int folder;
    ssize_t written, left;
    off_t offset;
    if (!known(fd, &inode, &folder))
        return syscall(SYS_writev, fd, pieces, count);
    take_lock();
    offset = lseek(fd, 0, SEEK_CUR);
    written = syscall(SYS_writev, fd, pieces, count);
    left = written;
    for (int i = 0; i < count && left > 0; i++) {
        size_t length = pieces[i].iov_len < (size_t)left ? pieces[i].iov_len : (size_t)left;
        if (length > 0)
            note('W', inode, (uint64_t)offset, pieces[i].iov_base, length);
        offset += (off_t)length;
        left -= (ssize_t)length;
    }
    give_lock();
    return written;
}

/* A line for a call that succeeded on one of our descriptors. */
#define RECORDED(fd, call, what, place, length) \
    uint64_t inode; \
    int folder = 0, result; \
    if (!known(fd, &inode, &folder)) \
        return (int)(call); \
    take_lock(); \
    result = (int)(call); \
    if (result == 0) \
        note(what, inode, (uint64_t)(place), NULL, length); \
    give_lock(); \
    return result;

int ftruncate(int fd, off_t size)
{
    RECORDED(fd, syscall(SYS_ftruncate, fd, size), 'T', size, 0)
}

int ftruncate64(int fd, off_t size)
{
    RECORDED(fd, syscall(SYS_ftruncate, fd, size), 'T', size, 0)
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    RECORDED(fd, syscall(SYS_fallocate, fd, 0, offset, length) == 0 ? 0 : errno, 'E', offset + length, 0)
}

int posix_fallocate64(int fd, off_t offset, off_t length)
{
    RECORDED(fd, syscall(SYS_fallocate, fd, 0, offset, length) == 0 ? 0 : errno, 'E', offset + length, 0)
}

int fsync(int fd)
{
    RECORDED(fd, syscall(SYS_fsync, fd), folder ? 'D' : 'S', 0, 0)
}

int fdatasync(int fd)
{
    RECORDED(fd, syscall(SYS_fdatasync, fd), folder ? 'D' : 'S', 0, 0)
}

/* A line for a call that succeeded on a name of ours. */
#define NAMED(path, call, what, inode, octets, length) \
    int result; \
    if (!ours(path)) \
        return (int)(call); \
    take_lock(); \
    result = (int)(call); \
    if (result == 0) \
        note(what, inode, 0, octets, length); \
    give_lock(); \
    return result;

int rename(const char *old, const char *new)
{
    char both[8192];
    int length = snprintf(both, sizeof both, "%s\n%s", old, new);
    NAMED(old, syscall(SYS_rename, old, new), 'R', 0, both, (size_t)length)
}

int unlink(const char *path)
{
    NAMED(path, syscall(SYS_unlink, path), 'U', 0, path, strlen(path))
}

int mkdir(const char *path, mode_t mode)
{
    struct stat found;
    NAMED(path, syscall(SYS_mkdir, path, mode), 'M', stat(path, &found) == 0 ? found.st_ino : 0, path,
          strlen(path))
}
