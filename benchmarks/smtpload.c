/* smtpload: letters for an SMTP server, at a pace that is the same for every server or as fast as it can.
 *
 * With -r letters are due at fixed intervals, whatever the server does, and go over whichever
 * connection is idle; one that finds none waits its turn. Its time runs from the moment it was due,
 * for a sender in the world does not wait until the server is free, until the 250 to its end-of-data.
 * A server that falls behind by more than ten seconds, or those of -b, ends the program.
 *
 * With -i it tells every so many seconds how many letters were taken since, and how long they waited. The
 * recipient may be several, with commas between them: they get one letter each in turn.
 *
 * With -n so many letters are sent, over each connection one after the other, or with -1 each over
 * a connection of its own.
 *
 * With -T every connection begins with STARTTLS; each handshake is a full one unless -R asks to resume
 * (then each connection has had a session before the work begins). With -a and -P it logs in by AUTH
 * PLAIN. All this is done, once per connection, before the work begins, except with -1, where it is
 * the work. MAIL, RCPT, DATA and the letter go one by one, as smtp-source sends them. A reply that is
 * not what it must be ends the program with a sentence and status 1.
 */
#define _GNU_SOURCE
#include "load_tls.h"

enum { BUFFER = 8 * 1024, LINE_LIMIT = 512, SILENCE_MS = 60000, RECIPIENTS = 256 };

static double behind_limit = 10.0; /* seconds */

enum state {
    GREETING, EHLO, STARTTLS, HANDSHAKE, AUTH, IDLE, MAIL, RCPT, DATA, LETTER, QUIT, CLOSED
};

struct connection {
    int fd;
    SSL *ssl;                       /* none in the clear */
    SSL_SESSION *ticket;            /* the last one that the server gave */
    enum state state;
    char buffer[BUFFER];
    size_t end;
    double due;
    const char *recipient;
};

static const char *recipients[RECIPIENTS];
static int recipient_count, next_recipient;
static const char *sender = "sender@example.com", *user, *password;
static char login[LINE_LIMIT];      /* the AUTH command */
static int port, connections = 1;
static double letters_per_second, duration = 1.0;
static unsigned long octets = 4096, letters;
static bool starttls, resume, per_letter;

static struct connection *all;
static int epoll_fd, idle, open_now;
static bool running;
static unsigned long begun, done, resumed;
static char *letter;
static size_t letter_length;

static void send_all(struct connection *c, enum state next, const char *text, size_t length)
{
    c->state = next;
    if (c->ssl != NULL) {
        tls_send(c->ssl, text, length);
        return;
    }
    while (length > 0) {
        ssize_t sent = send(c->fd, text, length, MSG_NOSIGNAL);
        if (sent < 0)
            die("send: %s", strerror(errno));
        text += sent;
        length -= (size_t)sent;
    }
}

static void __attribute__((format(printf, 3, 4)))
say(struct connection *c, enum state next, const char *format, ...)
{
    char line[LINE_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line)
        die("a command is too long");
    send_all(c, next, line, (size_t)length);
}

static void connect_one(struct connection *c)
{
    c->fd = connect_loopback(port, epoll_fd, c);
    c->state = GREETING;
    c->end = 0;
    open_now++;
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

static void begin_letter(struct connection *c, double due)
{
    c->due = due;
    c->recipient = recipients[next_recipient];
    next_recipient = (next_recipient + 1) % recipient_count;
    say(c, MAIL, "MAIL FROM:<%s>\r\n", sender);
}

/* All is said that comes once per connection. */
static void be_ready(struct connection *c)
{
    if (running && per_letter) {
        begin_letter(c, now());
    } else if (per_letter) {
        say(c, QUIT, "QUIT\r\n");  /* it came for its ticket */
    } else {
        c->state = IDLE;
        idle++;
    }
}

static void go_on(struct connection *c)
{
    if (starttls && c->ssl == NULL)
        say(c, STARTTLS, "STARTTLS\r\n");
    else if (user != NULL)
        say(c, AUTH, "%s", login);
    else
        be_ready(c);
}

static void shake_hands(struct connection *c)
{
    if (!tls_done(c->ssl))
        return;
    if (running && SSL_session_reused(c->ssl))
        resumed++;
    say(c, EHLO, "EHLO client.example.com\r\n");
}

static void letter_done(struct connection *c)
{
    sample(now() - c->due);
    done++;
    if (per_letter) {
        say(c, QUIT, "QUIT\r\n");
    } else if (begun < letters) {
        begun++;
        begin_letter(c, now());
    } else {
        c->state = IDLE;
        idle++;
    }
}

static void read_reply(struct connection *c, const char *line)
{
    static const char *const expected[] = {
        [GREETING] = "220", [EHLO] = "250", [STARTTLS] = "220", [AUTH] = "235", [MAIL] = "250",
        [RCPT] = "250",     [DATA] = "354", [LETTER] = "250",   [QUIT] = "221",
    };
    if (c->state == IDLE || c->state == CLOSED || strncmp(line, expected[c->state], 3) != 0)
        die("an unexpected reply: %s", line);
    if (line[3] == '-')
        return;
    switch (c->state) {
    case GREETING:
        say(c, EHLO, "EHLO client.example.com\r\n");
        break;
    case EHLO:
        go_on(c);
        break;
    case STARTTLS:
        c->ssl = tls_on(c->fd, &c->ticket);
        c->state = HANDSHAKE;
        shake_hands(c);
        break;
    case AUTH:
        be_ready(c);
        break;
    case MAIL:
        say(c, RCPT, "RCPT TO:<%s>\r\n", c->recipient);
        break;
    case RCPT:
        say(c, DATA, "DATA\r\n");
        break;
    case DATA:
        send_all(c, LETTER, letter, letter_length);
        break;
    case LETTER:
        letter_done(c);
        break;
    default:
        close_one(c);
        if (running && begun < letters) {
            begun++;
            connect_one(c);
        }
    }
}

static void consume(struct connection *c)
{
    char *at = c->buffer, *limit = c->buffer + c->end, *newline;
    while ((newline = memchr(at, '\n', (size_t)(limit - at))) != NULL) {
        if (newline == at || newline[-1] != '\r')
            die("a reply that does not end in CRLF");
        newline[-1] = '\0';
        const char *line = at;
        at = newline + 1;
        if (c->state == STARTTLS && at != limit)
            die("octets in the clear after the reply to STARTTLS");
        bool last = c->state == QUIT;
        read_reply(c, line);
        if (last)
            return;  /* what is in the buffer from here on is the next connection's */
    }
    c->end = (size_t)(limit - at);
    if (c->end == BUFFER)
        die("a reply without end");
    memmove(c->buffer, at, c->end);
}

/* Take what one read gives; false when there is nothing more for now. */
static bool receive(struct connection *c)
{
    char *at = c->buffer + c->end;
    ssize_t got = c->ssl != NULL ? tls_receive(c->ssl, at, BUFFER - c->end)
                                 : recv(c->fd, at, BUFFER - c->end, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0)
        die("the server closed in the middle of a session");
    c->end += (size_t)got;
    consume(c);
    return true;
}

static void readable(struct connection *c)
{
    if (c->state == HANDSHAKE) {
        shake_hands(c);
        if (c->state == HANDSHAKE)
            return;
    }
    /* A read of TLS gives one record at most, and the socket does not tell of those read ahead. */
    SSL *ssl = c->ssl;
    while (receive(c) && ssl != NULL && c->ssl == ssl)
        ;
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

static void at_a_pace(void)
{
    double started = now(), apart = 1.0 / letters_per_second;
    unsigned long wanted = (unsigned long)(duration * letters_per_second);
    for (unsigned long next = 0; next < wanted; next++) {
        double due = started + (double)next * apart;
        while (now() < due)
            turn(due);
        while (idle == 0)
            turn(0);
        if (now() - due > behind_limit)
            die("the server cannot take %.0f letters a second", letters_per_second);
        idle--;
        begin_letter(idle_connection(), due);
        report_interval(done);
    }
    while (idle < connections)
        turn(0);
}

static void as_fast_as_it_can(void)
{
    for (int i = 0; i < connections && begun < letters; i++) {
        begun++;
        if (per_letter) {
            connect_one(&all[i]);
        } else {
            idle--;
            begin_letter(&all[i], now());
        }
    }
    while (done < letters || (per_letter && open_now > 0)) {
        turn(0);
        report_interval(done);
    }
}

static double work(void)
{
    double started = now();
    next_line = started + interval;
    running = true;
    if (letters > 0)
        as_fast_as_it_can();
    else
        at_a_pace();
    running = false;
    return now() - started;
}

/* Whole as an author's program makes it: a server that adds what is missing finds nothing to add. */
static void write_letter(void)
{
    enum { LINE = 78, HEADER = 1024 };
    unsigned long lines = octets / LINE;
    letter = need(malloc(HEADER + lines * LINE + 8));
    int header = snprintf(letter, HEADER,
                          "From: <%s>\r\nTo: <%s>\r\nSubject: load\r\n"
                          "Date: Mon, 01 Jan 2024 00:00:00 +0000\r\n"
                          "Message-ID: <load@client.example.com>\r\n\r\n", sender, recipients[0]);
    if (header < 0 || header >= HEADER)
        die("the addresses are too long");
    char *at = letter + header;
    for (unsigned long i = 0; i < lines; i++) {
        memset(at, 'X', LINE - 2);
        at = stpcpy(at + LINE - 2, "\r\n");
    }
    at = stpcpy(at, ".\r\n");
    letter_length = (size_t)(at - letter);
}

/* RFC 4616 in the form of RFC 4954, section 4: with an initial response. */
static void write_login(void)
{
    unsigned char plain[128];
    size_t name = strlen(user), secret = strlen(password), length = name + secret + 2;
    if (length > sizeof plain)
        die("the name or the password is too long");
    plain[0] = '\0';
    memcpy(plain + 1, user, name);
    plain[name + 1] = '\0';
    memcpy(plain + name + 2, password, secret);
    char *at = stpcpy(login, "AUTH PLAIN ");
    at += EVP_EncodeBlock((unsigned char *)at, plain, (int)length);
    strcpy(at, "\r\n");
}

static void name_recipients(char *list)
{
    for (char *one = strtok(list, ","); one != NULL; one = strtok(NULL, ",")) {
        if (recipient_count == RECIPIENTS)
            die("too many recipients");
        recipients[recipient_count++] = one;
    }
}

static void options(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "p:t:f:c:r:s:l:n:i:b:1TRa:P:")) != -1)
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 't': name_recipients(optarg); break;
        case 'b': behind_limit = atof(optarg); break;
        case 'i': interval = atof(optarg); break;
        case 'f': sender = optarg; break;
        case 'c': connections = atoi(optarg); break;
        case 'r': letters_per_second = atof(optarg); break;
        case 's': duration = atof(optarg); break;
        case 'l': octets = strtoul(optarg, NULL, 10); break;
        case 'n': letters = strtoul(optarg, NULL, 10); break;
        case '1': per_letter = true; break;
        case 'T': starttls = true; break;
        case 'R': resume = true; break;
        case 'a': user = optarg; break;
        case 'P': password = optarg; break;
        default: exit(2);
        }
    if (optind != argc || !port || !recipient_count || connections < 1 ||
        (letters > 0) == (letters_per_second > 0) || (per_letter && letters == 0) ||
        (resume && !(starttls && per_letter)) || (user == NULL) != (password == NULL))
        die("usage: smtpload -p PORT -t RECIPIENT,... [-f SENDER] [-c CONNECTIONS] [-l OCTETS] "
            "[-T [-R]] [-a USER -P PASSWORD] -r LETTERS_PER_SECOND [-s SECONDS] [-b SECONDS] | -n LETTERS [-1] [-i INTERVAL]");
}

static void prepare(void)
{
    if (starttls)
        prepare_tls(resume);
    if (user != NULL)
        write_login();
    write_letter();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    all = need(calloc((size_t)connections, sizeof *all));
    for (int i = 0; i < connections; i++)
        all[i].state = CLOSED;
    if (per_letter && !resume)
        return;
    for (int i = 0; i < connections; i++)
        connect_one(&all[i]);
    while (per_letter ? open_now > 0 : idle < connections)
        turn(0);
}

int main(int argc, char **argv)
{
    options(argc, argv);
    prepare();
    say_ready();
    double seconds = work();
    report(done, seconds, done * letter_length, resumed);
    wait_for_line();
    for (int i = 0; i < connections; i++)
        if (all[i].state == IDLE)
            say(&all[i], QUIT, "QUIT\r\n");
    while (open_now > 0)
        turn(0);
    return 0;
}
