/* slowdisk: preloaded into a server, it makes each fsync and fdatasync take DELAY_US longer, and counts them.
 *
 * A disk that turns, or one in a network, takes milliseconds for a sync; what a server gains by syncing
 * once for many letters is seen only there. The count lies in COUNT_FILE, which all processes of all servers
 * map; both names are given by the compiler's command line. A process that cannot map it ends at once: a sync
 * that nobody counts would make the figure false.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t *count;

static void __attribute__((constructor)) map_count(void)
{
    int fd = open(COUNT_FILE, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED)
            count = page;
    }
    if (count == NULL) {
        fprintf(stderr, "slowdisk: %s: %s\n", COUNT_FILE, strerror(errno));
        _exit(1);
    }
    close(fd);
}

static int delayed(const char *name, int fd)
{
    struct timespec left = {.tv_nsec = DELAY_US * 1000L};
    int (*sync)(int);
    *(void **)&sync = dlsym(RTLD_NEXT, name);
    atomic_fetch_add(count, 1);
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    return sync(fd);
}

int fsync(int fd)
{
    return delayed("fsync", fd);
}

int fdatasync(int fd)
{
    return delayed("fdatasync", fd);
}
