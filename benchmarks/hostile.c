/* hostile: one kind of attack on a mail server, over many connections from many addresses.
 *
 * Each connection begins with a PROXY header (version 1) that names an address of 198.18.0.0/15, which is
 * there for benchmarks (RFC 2544): a server that believes it counts, limits and bans by that address, as it
 * would in the world. Connections come from many addresses of 127.0.0.0/8, or the ports of one would run out.
 *
 * Once the server has greeted, the lines of -L are said, each when the one before was answered. What follows is
 * the attack:
 *
 *     drip      an octet of a line that never ends, every -i seconds
 *     flood     the text of -F again and again, as much as is taken; what is answered is thrown away
 *     mute      the text of -F, -n times, and then not one octet is read
 *     guess     -F as it is, with a number in place of each '#', and the next when that was answered
 *     storm     closed as soon as it was greeted
 *
 * A connection that ends is made anew, after -w seconds. When every one of them has come so far, or was turned
 * away, that is said, and goes on until a line comes; then it is told what happened.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>

#include "load.h"

enum { LINE_LIMIT = 2048, TEXT_LIMIT = 64 * 1024, TICK_MS = 10, AT_ONCE = 500, SMALL_WINDOW = 4096 };

enum attack { DRIP, FLOOD, MUTE, GUESS, STORM };
enum state { CLOSED, CONNECTING, GREETING, LEADING, ATTACKING };

struct connection {
    int fd;
    enum state state;
    bool watched;               /* for room to write */
    unsigned step;              /* of the lines that lead to the attack */
    size_t sent;                /* of the text */
    double again;               /* when it is made anew, or its next octet is due */
    char line[8];               /* the beginning of the reply that comes */
    unsigned length;
};

static int port, connections = 1, addresses = 1, repetitions = 1, first;
static enum attack attack;
static double interval = 1.0, pause_between = 1.0;
static const char *lead = "", *text = "";

static struct connection *all;
static int epoll_fd, opening;
static char *flood;
static size_t flood_length;
static unsigned long tried, greeted, refused, ended, reached, guesses, octets_sent, octets_read;
static bool *settled;           /* has come so far once, or was turned away */
static int unsettled;

static void settle(struct connection *c)
{
    size_t number = (size_t)(c - all);
    if (!settled[number]) {
        settled[number] = true;
        unsettled--;
    }
}

static void close_one(struct connection *c, double wait)
{
    if (c->state == CLOSED)
        return;
    if (c->state == CONNECTING || c->state == GREETING)
        opening--;
    close(c->fd);
    c->state = CLOSED;
    c->again = now() + wait;
}

/* By itself: the server has closed, or is not there. */
static void lost(struct connection *c)
{
    if (c->state == ATTACKING)
        ended++;
    settle(c);
    close_one(c, pause_between);
}

static void watch(struct connection *c, bool write)
{
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};
    if (attack == MUTE && c->state == ATTACKING)
        event.events &= ~(uint32_t)EPOLLIN;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
    c->watched = write;
}

static void open_one(struct connection *c)
{
    unsigned number = (unsigned)(c - all);
    struct sockaddr_in here = {.sin_family = AF_INET}, there = here;
    here.sin_addr.s_addr = htonl(0x7f010000u + number % 60000u + 1u);
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    there.sin_port = htons((uint16_t)port);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        die("socket: %s", strerror(errno));
    int yes = 1, window = SMALL_WINDOW;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (attack == MUTE)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    if (attack == STORM) {      /* closed by a reset, as scanners do: no port waits */
        struct linger at_once = {.l_onoff = 1};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    if (bind(c->fd, (struct sockaddr *)&here, sizeof here) != 0)
        die("bind: %s", strerror(errno));
    c->state = CONNECTING;
    c->step = c->length = 0;
    c->sent = 0;
    tried++;
    opening++;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    c->watched = true;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&there, sizeof there) != 0 && errno != EINPROGRESS)
        lost(c);
}

/* What is short always goes at once into an empty socket. */
static void say(struct connection *c, const char *what, size_t length)
{
    ssize_t sent = send(c->fd, what, length, MSG_NOSIGNAL);
    if (sent > 0)
        octets_sent += (size_t)sent;
    else if (sent < 0 && errno != EAGAIN)
        lost(c);
}

static void pour(struct connection *c)
{
    size_t wanted = attack == MUTE ? flood_length * (size_t)repetitions : SIZE_MAX;
    while (c->state == ATTACKING && c->sent < wanted) {
        size_t at = c->sent % flood_length;
        ssize_t sent = send(c->fd, flood + at, flood_length - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            if (!c->watched)
                watch(c, true);
            return;
        }
        if (sent < 0) {
            lost(c);
            return;
        }
        octets_sent += (size_t)sent;
        c->sent += (size_t)sent;
        if (attack == FLOOD && c->sent % flood_length == 0) {
            if (!c->watched)
                watch(c, true);
            return;             /* the others' turn */
        }
    }
    if (c->state == ATTACKING && c->watched)
        watch(c, false);
}

static void guess(struct connection *c)
{
    char line[LINE_LIMIT];
    size_t length = 0;
    guesses++;
    for (const char *at = text; *at != '\0' && length < sizeof line - 24; at++)
        if (*at == '#')
            length += (size_t)snprintf(line + length, 24, "%lu", guesses);
        else
            line[length++] = *at;
    say(c, line, length);
}

static void begin_attack(struct connection *c)
{
    c->state = ATTACKING;
    reached++;
    settle(c);
    switch (attack) {
    case DRIP:
        c->again = now() + interval * (double)rand() / RAND_MAX;
        break;
    case FLOOD:
    case MUTE:
        if (attack == MUTE)
            watch(c, false);
        pour(c);
        break;
    case GUESS:
        guess(c);
        break;
    case STORM:
        close_one(c, pause_between);
    }
}

/* The next line that leads to the attack. Lines are parted by '|'; '%' is the connection's number, from -f on. */
static void lead_on(struct connection *c)
{
    const char *at = lead;
    for (unsigned skipped = 0; skipped < c->step && at != NULL; skipped++)
        at = (at = strchr(at, '|')) != NULL ? at + 1 : NULL;
    if (at == NULL || *at == '\0') {
        begin_attack(c);
        return;
    }
    char line[LINE_LIMIT];
    size_t length = 0;
    for (; *at != '\0' && *at != '|' && length < sizeof line - 24; at++)
        if (*at == '%')
            length += (size_t)snprintf(line + length, 24, "%d", first + (int)(c - all));
        else
            line[length++] = *at;
    c->step++;
    c->state = LEADING;
    say(c, line, length);
    say(c, "\r\n", 2);
}

/* A whole reply has come; its first octets are in c->line. */
static void replied(struct connection *c)
{
    bool good = c->line[0] == '2' || c->line[0] == '3' || c->line[0] == '+';
    if (c->state == GREETING) {
        if (!good) {
            refused++;
            lost(c);
            return;
        }
        opening--;
        greeted++;
        c->state = LEADING;
        lead_on(c);
    } else if (c->state == LEADING) {
        if (good)
            lead_on(c);
        else
            lost(c);
    } else if (attack == GUESS && c->line[0] != '+') {
        guess(c);               /* POP3's +OK to USER is followed by another reply */
    }
}

static void readable(struct connection *c)
{
    static char buffer[TEXT_LIMIT];
    ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lost(c);
        return;
    }
    octets_read += (size_t)got;
    for (ssize_t i = 0; i < got && c->state != CLOSED; i++) {
        if (c->state == ATTACKING && attack != GUESS)
            return;             /* thrown away */
        if (buffer[i] == '\n') {
            bool whole = c->length < 4 || c->line[3] != '-' || c->line[0] == '-';
            c->length = 0;
            if (whole)
                replied(c);
        } else if (c->length < sizeof c->line) {
            c->line[c->length++] = buffer[i];
        }
    }
}

static void writable(struct connection *c)
{
    if (c->state != CONNECTING) {
        pour(c);
        return;
    }
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        lost(c);
        return;
    }
    c->state = GREETING;
    watch(c, false);
    char header[108];
    unsigned who = (unsigned)(c - all) % (unsigned)addresses;
    int length = snprintf(header, sizeof header, "PROXY TCP4 198.%u.%u.%u 198.51.100.1 40000 25\r\n",
                          18 + (who >> 16 & 1), who >> 8 & 255, who & 255);
    say(c, header, (size_t)length);
}

static void tick(void)
{
    double time = now();
    for (int i = 0; i < connections; i++) {
        struct connection *c = &all[i];
        if (c->state == CLOSED && opening < AT_ONCE && time >= c->again) {
            open_one(c);
        } else if (c->state == ATTACKING && attack == DRIP && time >= c->again) {
            c->again += interval;
            say(c, "x", 1);
        }
    }
}

/* Whether a line has come from our caller, which ends the attack. */
static bool told_to_end(void)
{
    struct epoll_event events[256];
    int count = epoll_wait(epoll_fd, events, 256, TICK_MS);
    if (count < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (c == NULL)
            return true;
        uint32_t what = events[i].events;
        if (c->state != CLOSED && what & EPOLLOUT)
            writable(c);
        if (c->state != CLOSED && what & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            if (what & EPOLLIN)
                readable(c);
            else
                lost(c);
        }
    }
    return false;
}

static void options(int argc, char **argv)
{
    static const char *const names[] = {"drip", "flood", "mute", "guess", "storm"};
    int option;
    while ((option = getopt(argc, argv, "p:c:a:n:f:i:w:L:F:")) != -1)
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 'a': addresses = atoi(optarg); break;
        case 'n': repetitions = atoi(optarg); break;
        case 'f': first = atoi(optarg); break;
        case 'i': interval = atof(optarg); break;
        case 'w': pause_between = atof(optarg); break;
        case 'L': lead = optarg; break;
        case 'F': text = optarg; break;
        default: exit(2);
        }
    bool known = false;
    for (unsigned i = 0; optind < argc && i < sizeof names / sizeof *names; i++)
        if (strcmp(argv[optind], names[i]) == 0) {
            attack = (enum attack)i;
            known = true;
        }
    if (!known || !port || connections < 1 || addresses < 1 || repetitions < 1)
        die("usage: hostile -p PORT [-c CONNECTIONS] [-a ADDRESSES] [-L LINES] [-F TEXT] [-n TIMES] "
            "[-f NUMBER] [-i SECONDS] [-w SECONDS] drip|flood|mute|guess|storm");
}

static void prepare(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < (rlim_t)connections + 20)
        die("%d connections need more open files than this system allows (ulimit -n)", connections);
    size_t length = strlen(text);
    if (length > 0) {
        flood_length = attack == MUTE ? length : TEXT_LIMIT / length * length;
        flood = need(malloc(flood_length));
        for (size_t at = 0; at < flood_length; at += length)
            memcpy(flood + at, text, length);
    }
    all = need(calloc((size_t)connections, sizeof *all));
    settled = need(calloc((size_t)connections, sizeof *settled));
    unsettled = connections;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    options(argc, argv);
    prepare();
    double started = now(), ticked = 0;
    bool said = false;
    while (!told_to_end()) {
        if (now() - ticked >= TICK_MS / 1000.0) {
            ticked = now();
            tick();
        }
        if (!said && unsettled == 0) {
            said = true;
            puts("ready");
            fflush(stdout);
        }
    }
    unsigned long held = 0;
    for (int i = 0; i < connections; i++)
        held += all[i].state == ATTACKING;
    printf("{\"seconds\": %.3f, \"held\": %lu, \"tried\": %lu, \"greeted\": %lu, \"refused\": %lu, "
           "\"ended\": %lu, \"reached\": %lu, \"guesses\": %lu, \"sent\": %lu, \"read\": %lu, "
           "\"cpu\": %.3f}\n", now() - started, held, tried, greeted, refused, ended, reached, guesses,
           octets_sent, octets_read, seconds_of(CLOCK_PROCESS_CPUTIME_ID));
    return 0;
}
