/* pop3load: load for a POP3 server, at less cost than the server's own.
 *
 * Many connections are driven by one thread and one epoll set. What comes back is checked, and
 * anything that is not what RFC 1939 promises ends the program with a sentence and status 1:
 * a rate is printed only when every reply was +OK, every letter had as many octets as LIST had
 * announced, and every multi-line reply had its end.
 *
 *   sessions  each connection logs in, asks STAT, says QUIT, waits for the close, and begins again
 *   retr      each connection logs in, asks LIST, and then RETR of letter 1..n, again and again,
 *             with up to WINDOW commands under way
 *   idle      each connection logs in, asks STAT, and is silent
 *   collect   each connection logs in every PAUSE seconds, retrieves what came, deletes it, says QUIT
 *   handshakes  each connection shakes hands, reads the greeting, says QUIT, and begins again
 *
 * With -t it speaks TLS 1.3 with one cipher suite and one group, the same to every server: from the
 * first octet (implicit), or after STLS. Each handshake is a full one unless -r asks to resume; then
 * every connection has had a session before the work begins, and the server is told its ticket.
 *
 * The caller can look at the server at two moments without disturbing it: the program prints
 * "ready" when all is prepared and waits for a line on standard input; then it works, prints one
 * line of JSON, waits for another line, and only then says QUIT.
 */
#define _GNU_SOURCE
#include "load_tls.h"

enum { BUFFER = 256 * 1024, LINE_LIMIT = 512, LOGINS_AT_ONCE = 32, SILENCE_MS = 120000 };
enum { MOST_TAKEN = 1000 };  /* by one session that collects: its DELEs fit into a socket */

enum tls { NO_TLS, IMPLICIT, STLS };
enum mode { SESSIONS, RETR, IDLE, HANDSHAKES, COLLECT };

/* What the next octets answer. BODY and LISTING are inside a multi-line reply. */
enum state {
    CLOSED, GREETING, UPGRADE, HANDSHAKE,
    USER, PASS, STAT, LIST, LISTING, PREPARED, REPLY, BODY, DELE, QUIT, BYE
};

struct connection {
    int fd;
    SSL *ssl;                       /* none in the clear */
    SSL_SESSION *ticket;            /* the last one that the server gave */
    enum state state;
    char *buffer;
    size_t start, end;
    long letters, asked, answered;  /* in the maildrop; RETRs sent; RETRs done */
    double due;                     /* the next session that collects */
    long taken, deleted;            /* of them that this session collects; that it has deleted */
    double connected;
    unsigned long *sizes;           /* as LIST gave them */
    unsigned long octets;           /* of the letter that is coming in, unstuffed */
    bool line_start;
    double begun;                   /* connected; then when PASS, or the single RETR, was sent */
};

static enum mode mode;
static enum tls tls = NO_TLS;
static bool resume;
static const char *user_prefix, *password;
static int port, connections = 1, first_user = 0, window = 1;
static long expected = -1;
static double duration = 1.0, pause_seconds = 1.0;

static struct connection *all;
static int epoll_fd, prepared, open_now, next_to_open;
static bool running;
static double started, deadline, finished;
static unsigned long done, total_octets, resumed;

/* Whether a connection that was closed in order is followed by the next. */
static bool again_and_again(void)
{
    return mode == SESSIONS || mode == HANDSHAKES;
}

static int number_of(const struct connection *c)
{
    return first_user + (int)(c - all);
}

static void send_all(struct connection *c, const char *text, size_t length)
{
    if (c->ssl != NULL) {
        tls_send(c->ssl, text, length);
        return;
    }
    /* Commands are few and short: a socket that cannot take them is a server that does not read. */
    ssize_t sent = send(c->fd, text, length, MSG_NOSIGNAL);
    if (sent != (ssize_t)length)
        die("user %d: a command of %zu octets could not be sent: %s", number_of(c), length,
            sent < 0 ? strerror(errno) : "only in part");
}

static void __attribute__((format(printf, 3, 4)))
command(struct connection *c, enum state next, const char *format, ...)
{
    char line[LINE_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line)
        die("a command is too long");
    c->state = next;
    send_all(c, line, (size_t)length);
}

static void ask_letters(struct connection *c)
{
    /* Refilled by halves of the window, so that commands share packets as a real client's do. */
    long under_way = c->asked - c->answered;
    if (under_way > window / 2)
        return;
    char lines[64 * 1024];
    size_t length = 0;
    while (under_way < window && (mode != COLLECT || c->asked < c->taken)) {
        length += (size_t)sprintf(lines + length, "RETR %ld\r\n", c->asked % c->letters + 1);
        c->asked++;
        under_way++;
    }
    c->begun = now();
    if (length > 0)
        send_all(c, lines, length);
}

static void delete_all(struct connection *c)
{
    char lines[MOST_TAKEN * 16];
    size_t length = 0;
    for (long i = 1; i <= c->taken; i++)
        length += (size_t)sprintf(lines + length, "DELE %ld\r\n", i);
    c->deleted = 0;
    c->state = DELE;
    send_all(c, lines, length);
}

static void log_in(struct connection *c)
{
    command(c, USER, "USER %s%d\r\n", user_prefix, number_of(c));
}

static void shake_hands(struct connection *c)
{
    if (!tls_done(c->ssl))
        return;
    if (SSL_session_reused(c->ssl) && running)
        resumed++;
    if (tls == STLS)
        log_in(c);
    else
        c->state = GREETING;
}

static void begin_tls(struct connection *c)
{
    c->ssl = tls_on(c->fd, &c->ticket);
    c->state = HANDSHAKE;
    shake_hands(c);
}

static void connect_one(struct connection *c)
{
    c->begun = c->connected = now();
    c->fd = connect_loopback(port, epoll_fd, c);
    c->state = GREETING;
    c->start = c->end = 0;
    c->taken = 0;
    open_now++;
    if (tls == IMPLICIT)
        begin_tls(c);
}

static void close_one(struct connection *c)
{
    if (c->ssl != NULL) {
        tls_end(c->ssl);
        c->ssl = NULL;
    }
    close(c->fd);
    c->state = CLOSED;
    open_now--;
}

static void be_prepared(struct connection *c)
{
    c->state = PREPARED;
    prepared++;
    /* Logins come a few at a time: a queue of pending connections is not what is measured. */
    if (next_to_open < connections)
        connect_one(&all[next_to_open++]);
}

static void session_over(struct connection *c)
{
    close_one(c);
    if (mode == COLLECT)
        sample(now() - c->connected);
    if (!running || !again_and_again())
        return;
    done++;
    finished = now();
    if (finished < deadline)
        connect_one(c);
}

static void read_stat(struct connection *c, const char *line)
{
    if (sscanf(line, "+OK %ld", &c->letters) != 1)
        die("user %d: no count in the reply to STAT: %s", number_of(c), line);
    if (expected >= 0 && c->letters != expected)
        die("user %d: %ld letters in the maildrop, not %ld", number_of(c), c->letters, expected);
    if (mode == SESSIONS) {
        sample(now() - c->begun);
        command(c, QUIT, "QUIT\r\n");
    } else if (mode == IDLE) {
        be_prepared(c);
    } else if (mode == COLLECT && c->letters == 0) {
        command(c, QUIT, "QUIT\r\n");
    } else {
        if (c->letters < 1)
            die("user %d: there is nothing to retrieve", number_of(c));
        free(c->sizes);
        c->sizes = need(calloc((size_t)c->letters + 1, sizeof *c->sizes));
        command(c, LIST, "LIST\r\n");
    }
}

static void read_listing(struct connection *c, const char *line)
{
    if (strcmp(line, ".") == 0) {
        for (long i = 1; i <= c->letters; i++)
            if (c->sizes[i] == 0)
                die("user %d: LIST left out letter %ld", number_of(c), i);
        if (mode == COLLECT) {
            c->taken = c->letters < MOST_TAKEN ? c->letters : MOST_TAKEN;
            c->asked = c->answered = 0;
            c->state = REPLY;
            ask_letters(c);
        } else {
            be_prepared(c);
        }
        return;
    }
    long letter;
    unsigned long octets;
    if (sscanf(line, "%ld %lu", &letter, &octets) != 2 || letter < 1 || letter > c->letters)
        die("user %d: a strange line in LIST: %s", number_of(c), line);
    c->sizes[letter] = octets;
}

static void read_line(struct connection *c, const char *line)
{
    if (c->state == LISTING) {
        read_listing(c, line);
        return;
    }
    if (strncmp(line, "+OK", 3) != 0)
        die("user %d: instead of +OK came: %s", number_of(c), line);
    switch (c->state) {
    case GREETING:
        if (tls == STLS) {
            command(c, UPGRADE, "STLS\r\n");
        } else if (mode == HANDSHAKES) {
            sample(now() - c->begun);
            command(c, QUIT, "QUIT\r\n");
        } else {
            log_in(c);
        }
        break;
    case UPGRADE:
        if (c->start != c->end)
            die("user %d: octets in the clear after the reply to STLS", number_of(c));
        begin_tls(c);
        break;
    case USER:
        c->begun = now();
        command(c, PASS, "PASS %s\r\n", password);
        break;
    case PASS:
        command(c, STAT, "STAT\r\n");
        break;
    case STAT:
        read_stat(c, line);
        break;
    case LIST:
        c->state = LISTING;
        break;
    case REPLY:
        c->state = BODY;
        c->octets = 0;
        c->line_start = true;
        break;
    case DELE:
        if (++c->deleted == c->taken)
            command(c, QUIT, "QUIT\r\n");
        break;
    case QUIT:
        done += mode == COLLECT ? (unsigned long)c->taken : 0;
        c->state = BYE;
        break;
    default:
        die("user %d: an unexpected line: %s", number_of(c), line);
    }
}

static void letter_done(struct connection *c)
{
    unsigned long size = c->sizes[c->answered % c->letters + 1];
    if (c->octets != size)
        die("user %d: letter %ld had %lu octets, LIST said %lu", number_of(c),
            c->answered % c->letters + 1, c->octets, size);
    c->answered++;
    total_octets += c->octets;
    finished = now();
    c->state = REPLY;
    if (mode == COLLECT) {  /* done is what QUIT has let go of */
        if (c->answered == c->taken)
            delete_all(c);
        else
            ask_letters(c);
        return;
    }
    done++;
    if (window == 1)
        sample(finished - c->begun);
    if (finished < deadline)
        ask_letters(c);
    else if (c->asked == c->answered)
        be_prepared(c);
}

/* Take what is there of a letter; false when more must come first. */
static bool read_body(struct connection *c)
{
    while (c->start < c->end) {
        char *at = c->buffer + c->start;
        size_t left = c->end - c->start;
        if (c->line_start && *at == '.') {
            if (left < 3)
                return false;
            if (at[1] == '\r' && at[2] == '\n') {
                c->start += 3;
                letter_done(c);
                return true;
            }
            c->start++;  /* RFC 1939 section 3: the stuffed dot is not part of the letter */
            c->line_start = false;
            continue;
        }
        char *newline = memchr(at, '\n', left);
        size_t taken = newline == NULL ? left : (size_t)(newline - at) + 1;
        c->octets += taken;
        c->start += taken;
        c->line_start = newline != NULL;
    }
    return false;
}

static void consume(struct connection *c)
{
    while (c->start < c->end && c->state != PREPARED) {
        if (c->state == BODY) {
            if (!read_body(c))
                break;
            continue;
        }
        char *at = c->buffer + c->start;
        char *newline = memchr(at, '\n', c->end - c->start);
        if (newline == NULL) {
            if (c->end - c->start > LINE_LIMIT)
                die("user %d: a reply line without end", number_of(c));
            break;
        }
        if (newline == at || newline[-1] != '\r')
            die("user %d: a line that does not end in CRLF", number_of(c));
        newline[-1] = '\0';
        c->start += (size_t)(newline - at) + 1;
        read_line(c, at);
    }
    size_t left = c->end - c->start;
    if (left > 0 && c->state == PREPARED)
        die("user %d: octets that nobody asked for", number_of(c));
    if (c->start > 0)
        memmove(c->buffer, c->buffer + c->start, left);
    c->start = 0;
    c->end = left;
}

/* Take what one read gives; false when there is nothing more for now. */
static bool receive(struct connection *c)
{
    ssize_t got = c->ssl != NULL
                      ? tls_receive(c->ssl, c->buffer + c->end, BUFFER - c->end)
                      : recv(c->fd, c->buffer + c->end, BUFFER - c->end, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got < 0)
        die("user %d: recv: %s", number_of(c), strerror(errno));
    if (got > 0) {
        c->end += (size_t)got;
        consume(c);
    } else if (c->state == BYE && c->end == 0) {
        session_over(c);
    } else {
        die("user %d: the server closed in the middle of a session", number_of(c));
    }
    return got > 0;
}

static void readable(struct connection *c)
{
    if (c->state == HANDSHAKE) {
        shake_hands(c);
        if (c->state == HANDSHAKE)
            return;
    }
    /* A read of TLS gives one record at most, and the socket does not tell of those read ahead. */
    while (receive(c) && c->ssl != NULL)
        ;
}

/* Serve what comes, within `wait` milliseconds if it is less than what is silence. */
static void turn_within(int wait)
{
    struct epoll_event events[64];
    int count = epoll_wait(epoll_fd, events, 64, wait < SILENCE_MS ? wait : SILENCE_MS);
    if (count < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    if (count == 0 && wait >= SILENCE_MS)
        die("the server was silent for %d seconds", SILENCE_MS / 1000);
    for (int i = 0; i < count; i++)
        readable(events[i].data.ptr);
}

static void turn(void)
{
    turn_within(SILENCE_MS);
}

/* Each connection has its own moment within the pause, so that sessions come evenly. */
static void collect_until_deadline(void)
{
    for (int i = 0; i < connections; i++)
        all[i].due = started + pause_seconds * i / connections;
    while (now() < deadline) {
        double next = interval > 0 && next_line < deadline ? next_line : deadline;
        for (int i = 0; i < connections; i++) {
            struct connection *c = &all[i];
            if (c->state != CLOSED)
                continue;
            if (c->due <= now()) {
                c->due += pause_seconds;
                if (c->due < now())  /* its session took longer than the pause */
                    c->due = now();
                connect_one(c);
            } else if (c->due < next) {
                next = c->due;
            }
        }
        double left = next - now();
        turn_within(left > 0 ? (int)(left * 1000) + 1 : 0);
        report_interval(done);
    }
    while (open_now > 0)
        turn();
}

static void open_all(void)
{
    int at_once = connections < LOGINS_AT_ONCE ? connections : LOGINS_AT_ONCE;
    while (next_to_open < at_once)
        connect_one(&all[next_to_open++]);
}

static void work(void)
{
    started = now();
    deadline = started + duration;
    next_line = started + interval;
    running = true;
    if (mode == COLLECT) {
        collect_until_deadline();
        finished = now();
    } else if (again_and_again()) {
        for (int i = 0; i < connections; i++)
            connect_one(&all[i]);
        while (open_now > 0)
            turn();
    } else if (mode == RETR) {
        prepared = 0;
        for (int i = 0; i < connections; i++) {
            all[i].state = REPLY;
            ask_letters(&all[i]);
        }
        while (prepared < connections)
            turn();
    }
    running = false;
}

static void options(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "p:u:f:P:c:s:w:e:t:i:b:r")) != -1)
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'u': user_prefix = optarg; break;
        case 'f': first_user = atoi(optarg); break;
        case 'P': password = optarg; break;
        case 'c': connections = atoi(optarg); break;
        case 's': duration = atof(optarg); break;
        case 'w': window = atoi(optarg); break;
        case 'e': expected = atol(optarg); break;
        case 't': tls = strcmp(optarg, "stls") == 0 ? STLS : IMPLICIT; break;
        case 'i': interval = atof(optarg); break;
        case 'b': pause_seconds = atof(optarg); break;
        case 'r': resume = true; break;
        default: exit(2);
        }
    if (optind != argc - 1 || !port || !user_prefix || !password || connections < 1 ||
        window < 1 || window > 1024)
        die("usage: pop3load -p PORT -u PREFIX -f FIRST -P PASSWORD [-c CONNECTIONS] [-s SECONDS] "
            "[-w WINDOW] [-e LETTERS] [-t implicit|stls] [-r] [-i INTERVAL] [-b PAUSE] "
            "sessions|retr|idle|collect|handshakes");
    const char *name = argv[optind];
    if (strcmp(name, "sessions") == 0)
        mode = SESSIONS;
    else if (strcmp(name, "retr") == 0)
        mode = RETR;
    else if (strcmp(name, "idle") == 0)
        mode = IDLE;
    else if (strcmp(name, "collect") == 0)
        mode = COLLECT;
    else if (strcmp(name, "handshakes") == 0 && tls == IMPLICIT)
        mode = HANDSHAKES;
    else
        die("no such mode: %s", name);
}

int main(int argc, char **argv)
{
    options(argc, argv);
    if (tls != NO_TLS)
        prepare_tls(resume);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    all = need(calloc((size_t)connections, sizeof *all));
    for (int i = 0; i < connections; i++)
        all[i].buffer = need(malloc(BUFFER));

    if (mode == RETR || mode == IDLE) {
        open_all();
        while (prepared < connections)
            turn();
    } else if (resume) {  /* a session each, for the first tickets */
        for (int i = 0; i < connections; i++)
            connect_one(&all[i]);
        while (open_now > 0)
            turn();
    }
    say_ready();
    work();
    report(done, finished - started, total_octets, resumed);
    wait_for_line();
    for (int i = 0; i < connections; i++)
        if (all[i].state == PREPARED)
            command(&all[i], QUIT, "QUIT\r\n");
    while (open_now > 0)
        turn();
    return 0;
}
