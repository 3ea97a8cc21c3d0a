/* smtpload: how long an SMTP server takes to say 250, at a load that is the same for every server.
 *
 * Letters are due at fixed intervals, whatever the server does, and go over whichever connection
 * is idle; one that finds none waits its turn. Its time runs from the moment it was due, for a sender
 * in the world does not wait until the server is free, until the 250 to its end-of-data. EHLO is
 * said once per connection, before; MAIL, RCPT, DATA and the letter go one by one, as smtp-source
 * sends them. A reply that is not what it must be ends the program with a sentence and status 1,
 * and so does a server that falls behind by more than BEHIND_LIMIT.
 */
#define _GNU_SOURCE
#include "load.h"

enum { BUFFER = 8 * 1024, SILENCE_MS = 60000 };

static const double BEHIND_LIMIT = 10.0; /* seconds */

enum state { GREETING, EHLO, IDLE, MAIL, RCPT, DATA, LETTER, QUIT, CLOSED };

struct connection {
    int fd;
    enum state state;
    char buffer[BUFFER];
    size_t end;
    double due;
};

static const char *recipient;
static int port, connections = 1;
static double letters_per_second = 100.0, duration = 1.0;
static unsigned long octets = 4096;

static struct connection *all;
static int epoll_fd, idle;
static unsigned long done;
static char *letter;
static size_t letter_length;

static void send_all(struct connection *c, enum state next, const char *text, size_t length)
{
    c->state = next;
    while (length > 0) {
        ssize_t sent = send(c->fd, text, length, MSG_NOSIGNAL);
        if (sent < 0)
            die("send: %s", strerror(errno));
        text += sent;
        length -= (size_t)sent;
    }
}

static void say(struct connection *c, enum state next, const char *text)
{
    send_all(c, next, text, strlen(text));
}

static void be_idle(struct connection *c)
{
    c->state = IDLE;
    idle++;
}

static void read_reply(struct connection *c, const char *line)
{
    static const char *const expected[] = {
        [GREETING] = "220", [EHLO] = "250", [MAIL] = "250", [RCPT] = "250",
        [DATA] = "354",     [LETTER] = "250", [QUIT] = "221",
    };
    if (c->state == IDLE || c->state == CLOSED || strncmp(line, expected[c->state], 3) != 0)
        die("an unexpected reply: %s", line);
    if (line[3] == '-')
        return;
    char command[512];
    switch (c->state) {
    case GREETING:
        say(c, EHLO, "EHLO client.example.com\r\n");
        break;
    case MAIL:
        snprintf(command, sizeof command, "RCPT TO:<%s>\r\n", recipient);
        say(c, RCPT, command);
        break;
    case RCPT:
        say(c, DATA, "DATA\r\n");
        break;
    case DATA:
        send_all(c, LETTER, letter, letter_length);
        break;
    case LETTER:
        sample(now() - c->due);
        done++;
        be_idle(c);
        break;
    case EHLO:
        be_idle(c);
        break;
    default:
        c->state = CLOSED;
    }
}

static void readable(struct connection *c)
{
    ssize_t got = recv(c->fd, c->buffer + c->end, BUFFER - c->end, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 && c->state == CLOSED) {
        close(c->fd);
        return;
    }
    if (got <= 0)
        die("the server closed in the middle of a session");
    c->end += (size_t)got;
    char *at = c->buffer, *limit = c->buffer + c->end, *newline;
    while ((newline = memchr(at, '\n', (size_t)(limit - at))) != NULL) {
        if (newline == at || newline[-1] != '\r')
            die("a reply that does not end in CRLF");
        newline[-1] = '\0';
        read_reply(c, at);
        at = newline + 1;
    }
    c->end = (size_t)(limit - at);
    if (c->end == BUFFER)
        die("a reply without end");
    memmove(c->buffer, at, c->end);
}

/* Serve what comes until `until`, or until something came when it is 0. */
static void turn(double until)
{
    struct epoll_event events[64];
    struct timespec wait = {.tv_sec = SILENCE_MS / 1000};
    if (until > 0) {
        double left = until - now();
        if (left < 0)
            left = 0;
        wait.tv_sec = (time_t)left;
        wait.tv_nsec = (long)((left - (double)wait.tv_sec) * 1e9);
    }
    int count = epoll_pwait2(epoll_fd, events, 64, &wait, NULL);
    if (count < 0 && errno != EINTR)
        die("epoll_pwait2: %s", strerror(errno));
    if (count == 0 && until == 0)
        die("the server was silent for %d seconds", SILENCE_MS / 1000);
    for (int i = 0; i < count; i++)
        readable(events[i].data.ptr);
}

static struct connection *idle_connection(void)
{
    static int last;
    for (int tried = 0; tried < connections; tried++) {
        last = (last + 1) % connections;
        if (all[last].state == IDLE)
            return &all[last];
    }
    die("no connection is idle");
}

static double work(void)
{
    double begun = now(), interval = 1.0 / letters_per_second;
    unsigned long letters = (unsigned long)(duration * letters_per_second);
    for (unsigned long next = 0; next < letters; next++) {
        double due = begun + (double)next * interval;
        while (now() < due)
            turn(due);
        while (idle == 0)
            turn(0);
        if (now() - due > BEHIND_LIMIT)
            die("the server cannot take %.0f letters a second", letters_per_second);
        struct connection *c = idle_connection();
        idle--;
        c->due = due;
        say(c, MAIL, "MAIL FROM:<sender@example.com>\r\n");
    }
    while (idle < connections)
        turn(0);
    return now() - begun;
}

static void write_letter(void)
{
    static const char header[] = "From: <sender@example.com>\r\nSubject: load\r\n\r\n";
    enum { LINE = 78 };
    unsigned long lines = octets / LINE;
    letter = need(malloc(sizeof header + lines * LINE + 8));
    char *at = stpcpy(letter, header);
    for (unsigned long i = 0; i < lines; i++) {
        memset(at, 'X', LINE - 2);
        at = stpcpy(at + LINE - 2, "\r\n");
    }
    at = stpcpy(at, ".\r\n");
    letter_length = (size_t)(at - letter);
}

static void options(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "p:t:c:r:s:l:")) != -1)
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 't': recipient = optarg; break;
        case 'c': connections = atoi(optarg); break;
        case 'r': letters_per_second = atof(optarg); break;
        case 's': duration = atof(optarg); break;
        case 'l': octets = strtoul(optarg, NULL, 10); break;
        default: exit(2);
        }
    if (optind != argc || !port || !recipient || connections < 1 || letters_per_second <= 0)
        die("usage: smtpload -p PORT -t RECIPIENT [-c CONNECTIONS] [-r LETTERS_PER_SECOND] "
            "[-s SECONDS] [-l OCTETS]");
}

int main(int argc, char **argv)
{
    options(argc, argv);
    write_letter();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    all = need(calloc((size_t)connections, sizeof *all));
    for (int i = 0; i < connections; i++)
        all[i].fd = connect_loopback(port, epoll_fd, &all[i]);
    while (idle < connections)
        turn(0);
    say_ready();
    double seconds = work();
    report(done, seconds, done * letter_length, 0);
    wait_for_line();
    for (int i = 0; i < connections; i++) {
        say(&all[i], QUIT, "QUIT\r\n");
        while (all[i].state != CLOSED)
            turn(0);
    }
    return 0;
}
