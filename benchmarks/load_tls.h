/* TLS of the load programs: version 1.3 with one cipher suite and one group, the same to every server.
 *
 * A handshake is a full one, unless the caller keeps tickets: then it says where the last one of
 * each connection is kept, and the server is told it.
 */
#ifndef LOAD_TLS_H
#define LOAD_TLS_H

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>

#include "load.h"

static SSL_CTX *tls_context;

static int keep_ticket(SSL *ssl, SSL_SESSION *ticket)
{
    SSL_SESSION **place = SSL_get_app_data(ssl);
    SSL_SESSION_free(*place);
    *place = ticket;
    return 1;  /* it is ours now */
}

static void prepare_tls(bool resume)
{
    signal(SIGPIPE, SIG_IGN);  /* a server may be gone before our close_notify comes */
    tls_context = need(SSL_CTX_new(TLS_client_method()));
    if (SSL_CTX_set_min_proto_version(tls_context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(tls_context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(tls_context, "TLS_AES_256_GCM_SHA384") != 1 ||
        SSL_CTX_set1_groups_list(tls_context, "X25519") != 1)
        die("this OpenSSL has no TLS 1.3 with AES-256-GCM and X25519");
    /* The last reply is the end of a session, whether close_notify comes behind it or not. */
    SSL_CTX_set_options(tls_context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (resume) {
        SSL_CTX_set_session_cache_mode(tls_context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(tls_context, keep_ticket);
    }
}

/* `ticket` is where the connection's last ticket is kept, or will be. */
static SSL *tls_on(int fd, SSL_SESSION **ticket)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        die("fcntl: %s", strerror(errno));
    SSL *ssl = need(SSL_new(tls_context));
    SSL_set_app_data(ssl, ticket);
    if (SSL_set_fd(ssl, fd) != 1)
        die("no descriptor for TLS");
    if (*ticket != NULL) {
        /* OpenSSL spends what it is given; a server need not give a new ticket each time. */
        SSL_SESSION *copy = need(SSL_SESSION_dup(*ticket));
        if (SSL_set_session(ssl, copy) != 1)
            die("the ticket cannot be used");
        SSL_SESSION_free(copy);
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

/* Whether the handshake is done; if not, more must come from the server first. */
static bool tls_done(SSL *ssl)
{
    int result = SSL_do_handshake(ssl);
    if (result != 1 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
        die("no TLS: %s", ERR_reason_error_string(ERR_peek_error()));
    return result == 1;
}

/* As send of all of it. */
static void tls_send(SSL *ssl, const char *text, size_t length)
{
    for (;;) {
        int sent = SSL_write(ssl, text, (int)length);
        if (sent == (int)length)
            return;
        if (SSL_get_error(ssl, sent) != SSL_ERROR_WANT_WRITE)
            die("TLS cannot send: %s", ERR_reason_error_string(ERR_peek_error()));
        struct pollfd writable = {.fd = SSL_get_fd(ssl), .events = POLLOUT};
        if (poll(&writable, 1, 60000) != 1)
            die("the server does not read");
    }
}

/* As recv: -1 with EAGAIN when there is nothing more for now. */
static ssize_t tls_receive(SSL *ssl, char *buffer, size_t room)
{
    int got = SSL_read(ssl, buffer, (int)room);
    if (got > 0)
        return got;
    switch (SSL_get_error(ssl, got)) {
    case SSL_ERROR_WANT_READ:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return -1;
    default:
        die("TLS: %s", ERR_reason_error_string(ERR_peek_error()));
    }
}

static void tls_end(SSL *ssl)
{
    SSL_shutdown(ssl);
    SSL_free(ssl);
    ERR_clear_error();
}

#endif
