/* What the load programs share: failing with a sentence, the clock, samples, a loopback connection,
 * and the two moments at which the caller looks at the server.
 */
#ifndef LOAD_H
#define LOAD_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void *need(void *memory)
{
    if (memory == NULL)
        die("out of memory");
    return memory;
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static double *samples;
static size_t samples_count, samples_room;

static void sample(double seconds)
{
    if (samples_count == samples_room) {
        samples_room = samples_room ? samples_room * 2 : 4096;
        samples = need(realloc(samples, samples_room * sizeof *samples));
    }
    samples[samples_count++] = seconds;
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double quantile(double part)
{
    return samples_count ? samples[(size_t)(part * (double)(samples_count - 1))] : 0.0;
}

/* Seconds between two lines about what came since the one before; none when it is 0. */
static double interval;
static double next_line;
static unsigned long told;

/* One line of JSON when it is time for it; its samples are told, and forgotten. */
static void report_interval(unsigned long done)
{
    if (interval <= 0 || now() < next_line)
        return;
    next_line += interval;
    qsort(samples, samples_count, sizeof *samples, by_size);
    printf("{\"done\": %lu, \"p50\": %.9f, \"p99\": %.9f, \"max\": %.9f}\n",
           done - told, quantile(0.5), quantile(0.99), quantile(1));
    fflush(stdout);
    told = done;
    samples_count = 0;
}

/* One line of JSON for the caller. */
static void report(unsigned long done, double seconds, unsigned long octets, unsigned long resumed)
{
    qsort(samples, samples_count, sizeof *samples, by_size);
    printf("{\"done\": %lu, \"seconds\": %.6f, \"octets\": %lu, \"p50\": %.9f, \"p90\": %.9f, "
           "\"p99\": %.9f, \"max\": %.9f, \"client_cpu\": %.6f, \"resumed\": %lu}\n",
           done, seconds, octets, quantile(0.5), quantile(0.9), quantile(0.99), quantile(1),
           seconds_of(CLOCK_PROCESS_CPUTIME_ID), resumed);
    fflush(stdout);
}

/* The caller looks at the server now, and says by a line that it has seen enough. */
static void wait_for_line(void)
{
    char line[16];
    if (fgets(line, sizeof line, stdin) == NULL)
        exit(1);  /* the caller has gone; so does the load */
}

static void say_ready(void)
{
    puts("ready");
    fflush(stdout);
    wait_for_line();
}

static int connect_loopback(int port, int epoll_fd, void *owner)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect: %s", strerror(errno));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
    return fd;
}

#endif
