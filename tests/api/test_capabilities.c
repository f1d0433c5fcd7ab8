/* SPDX-License-Identifier: MIT */
/* Every cell of the capability table of docs/backends.md, on every backend, by default and extended.
 *
 * The table is read from the page itself. For each row the calls that it stands for are made: where the cell says so they
 * work, and where it does not they answer at once, and have changed nothing. */
#define _GNU_SOURCE
#include "dgram.h"
#include "unix_peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the page ------------------------------------------------------------------------------- */

enum cell { NO, EXTENDED, YES };

static enum cell cells[32]; /* for the backend whose turn it is, by the number of the bit */
static bool has_row[32];

static unsigned bit_called(const char *name, size_t length)
{
    for (unsigned i = 0; i < 32; i++) {
        const char *other = rondo_capability_name(1u << i);
        if (other && strlen(other) == length && strncmp(other, name, length) == 0)
            return i;
    }
    ck_abort_msg("the page speaks of %.*s", (int) length, name);
    return 0;
}

static enum cell read_cell(const char *text)
{
    text += strspn(text, " ");
    if (strncmp(text, "yes", 3) == 0)
        return YES;
    if (strncmp(text, "extended", 8) == 0)
        return EXTENDED;
    ck_assert_msg(strncmp(text, "no", 2) == 0, "neither yes, no nor extended: %s", text);
    return NO;
}

/* "| `NAME`: words | selectors | io_uring | IOCP |" */
static void read_row(char *line)
{
    char *name = strchr(line, '`') + 1;
    unsigned bit = bit_called(name, strcspn(name, "`"));
    ck_assert_msg(!has_row[bit], "two rows: %s", line);
    char *text = strchr(line + 1, '|') + 1;
    if (support_backend_is_proactor()) /* the tests have io_uring's column only: IOCP's peers are other ones */
        text = strchr(text, '|') + 1;
    has_row[bit] = true;
    cells[bit] = read_cell(text);
}

/* The first table: what is there. A second one is of what is still to come. */
static void read_page(void)
{
    char line[512];
    FILE *page = fopen(RONDO_PAGE_OF_BACKENDS, "r");
    ck_assert_ptr_nonnull(page);
    memset(has_row, 0, sizeof has_row);
    memset(cells, 0, sizeof cells);
    bool inside = false;
    while (fgets(line, sizeof line, page)) {
        if (strncmp(line, "| capability |", 14) == 0)
            inside = true;
        else if (inside && line[0] != '|')
            break;
        else if (inside && strstr(line, "`RONDO_CAN_"))
            read_row(line);
    }
    fclose(page);
}

/* --- calls ---------------------------------------------------------------------------------- */

/* The outcome of a call that gives a future; NULL: of the call itself. */
static int outcome(rondo_loop *loop, rondo_future *future, void **ret_value)
{
    return future ? net_finish(loop, future, ret_value) : rondo_last_error();
}

static net_conn served, connected;

static int end_pair(rondo_loop *loop, rondo_server *server)
{
    run_until(loop, served.made && connected.made);
    net_done(loop, &connected);
    net_done(loop, &served);
    rondo_server_free(server);
    return 0;
}

static int try_server(rondo_loop *loop)
{
    served = connected = (net_conn){ 0 };
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    options.port = 0;
    void *server;
    int rc = outcome(loop, rondo_create_server(loop, net_factory, &served, &options), &server);
    if (rc < 0)
        return rc;
    rondo_address address;
    ck_assert_int_eq(rondo_server_address(server, 0, &address), 0);
    rondo_connection_options connection = RONDO_CONNECTION_OPTIONS;
    connection.host = "127.0.0.1";
    connection.port = rondo_address_port(&address);
    rc = outcome(loop, rondo_create_connection(loop, net_factory, &connected, &connection), NULL);
    ck_assert_int_eq(rc, 0);
    return end_pair(loop, server);
}

static int try_connection(rondo_loop *loop)
{
    int port;
    connected = (net_conn){ 0 };
    rondo_socket listener = peer_listen("127.0.0.1", 1, &port);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = "127.0.0.1";
    options.port = port;
    int rc = outcome(loop, rondo_create_connection(loop, net_factory, &connected, &options), NULL);
    net_done(loop, &connected);
    peer_close(listener);
    return rc;
}

static int try_accepted(rondo_loop *loop)
{
    rondo_socket pair[2];
    connected = (net_conn){ 0 };
    peer_tcp_pair(pair);
    int rc = outcome(loop, rondo_connect_accepted_socket(loop, net_factory, &connected, pair[0]), NULL);
    net_done(loop, &connected);
    peer_close(pair[1]);
    if (rc < 0)
        peer_close(pair[0]); /* it is still ours */
    return rc;
}

static int try_unix_server(rondo_loop *loop)
{
    unix_folder folder;
    unix_folder_make(&folder);
    served = connected = (net_conn){ 0 };
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    options.path = folder.path;
    void *server;
    int rc = outcome(loop, rondo_create_unix_server(loop, net_factory, &served, &options), &server);
    if (rc == 0) {
        rondo_unix_connection_options connection = RONDO_UNIX_CONNECTION_OPTIONS;
        connection.path = folder.path;
        ck_assert_int_eq(
            outcome(loop, rondo_create_unix_connection(loop, net_factory, &connected, &connection), NULL), 0);
        end_pair(loop, server);
    }
    ck_assert_int_eq(access(folder.path, F_OK), rc == 0 ? 0 : -1);
    unix_folder_remove(&folder);
    return rc;
}

static int try_unix_connection(rondo_loop *loop)
{
    rondo_socket pair[2];
    connected = (net_conn){ 0 };
    peer_pair(pair);
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.sock = pair[0];
    int rc = outcome(loop, rondo_create_unix_connection(loop, net_factory, &connected, &options), NULL);
    net_done(loop, &connected);
    peer_close(pair[1]);
    if (rc < 0)
        peer_close(pair[0]);
    return rc;
}

static int try_reuse_port(rondo_loop *loop)
{
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    options.port = 0;
    options.reuse_port = true;
    void *server;
    int rc = outcome(loop, rondo_create_server(loop, net_factory, NULL, &options), &server);
    if (rc == 0)
        rondo_server_free(server);
    return rc;
}

static int connect_pipe(rondo_loop *loop, int end, int flags)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | flags), 0);
    connected = (net_conn){ 0 };
    rondo_future *future = end == 0 ? rondo_connect_read_pipe(loop, net_factory, &connected, ends[0])
                                    : rondo_connect_write_pipe(loop, net_factory, &connected, ends[1]);
    int rc = outcome(loop, future, NULL);
    net_done(loop, &connected);
    close(ends[!end]);
    if (rc < 0)
        close(ends[end]);
    return rc;
}

static int try_read_pipe(rondo_loop *loop)
{
    return connect_pipe(loop, 0, O_NONBLOCK);
}

static int try_write_pipe(rondo_loop *loop)
{
    return connect_pipe(loop, 1, O_NONBLOCK);
}

static void nothing(void *context)
{
    (void) context;
}

static int try_reader(rondo_loop *loop)
{
    rondo_socket pair[2];
    peer_pair(pair);
    int rc = rondo_loop_add_reader(loop, pair[0], nothing, NULL);
    int removed = rondo_loop_remove_reader(loop, pair[0]);
    ck_assert_int_eq(removed, rc == 0 ? 1 : rc);
    peer_close(pair[0]);
    peer_close(pair[1]);
    return rc;
}

static int try_writer(rondo_loop *loop)
{
    rondo_socket pair[2];
    peer_pair(pair);
    int rc = rondo_loop_add_writer(loop, pair[0], nothing, NULL);
    int removed = rondo_loop_remove_writer(loop, pair[0]);
    ck_assert_int_eq(removed, rc == 0 ? 1 : rc);
    peer_close(pair[0]);
    peer_close(pair[1]);
    return rc;
}

/* Low-level calls on a pair of which the other end has sent "x"; the call of @start has not to wait then. */
static int try_on_pair(rondo_loop *loop, int flags,
                       rondo_future *(*start)(rondo_loop *loop, rondo_socket sock))
{
    rondo_socket pair[2];
    peer_pair(pair);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(fcntl(pair[0], F_SETFL, flags), 0);
    int rc = outcome(loop, start(loop, pair[0]), NULL);
    peer_close(pair[0]);
    peer_close(pair[1]);
    return rc;
}

static char byte[16];

static rondo_future *start_recv(rondo_loop *loop, rondo_socket sock)
{
    return rondo_sock_recv(loop, sock, 1);
}

static rondo_future *start_recv_into(rondo_loop *loop, rondo_socket sock)
{
    return rondo_sock_recv_into(loop, sock, byte, 1);
}

static rondo_future *start_sendall(rondo_loop *loop, rondo_socket sock)
{
    return rondo_sock_sendall(loop, sock, "y", 1);
}

static rondo_future *start_recv_fds(rondo_loop *loop, rondo_socket sock)
{
    return rondo_sock_recv_fds(loop, sock, byte, 1, 1);
}

static int try_recv(rondo_loop *loop)
{
    return try_on_pair(loop, O_NONBLOCK, start_recv);
}

static int try_recv_into(rondo_loop *loop)
{
    return try_on_pair(loop, O_NONBLOCK, start_recv_into);
}

static int try_sendall(rondo_loop *loop)
{
    return try_on_pair(loop, O_NONBLOCK, start_sendall);
}

static int try_recv_fds(rondo_loop *loop)
{
    return try_on_pair(loop, O_NONBLOCK, start_recv_fds);
}

static int try_blocking_recv(rondo_loop *loop)
{
    return try_on_pair(loop, 0, start_recv);
}

static int try_blocking_sendall(rondo_loop *loop)
{
    return try_on_pair(loop, 0, start_sendall);
}

/* sock_connect to a listener of the test's, and sock_accept there. */
static int try_sock_accept(rondo_loop *loop)
{
    int port;
    rondo_address address;
    rondo_socket listener = peer_listen("127.0.0.1", 1, &port), sock = peer_unconnected();
    ck_assert_int_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(sock, F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", port), 0);
    int rc = outcome(loop, rondo_sock_connect(loop, sock, &address), NULL);
    ck_assert_int_eq(outcome(loop, rondo_sock_accept(loop, listener), NULL), rc);
    peer_close(sock);
    peer_close(listener);
    return rc;
}

/* --- the rows ------------------------------------------------------------------------------- */

static int try_endpoint(rondo_loop *loop)
{
    dgram self = { 0 };
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.local_host = "127.0.0.1";
    options.local_port = 0;
    int rc = outcome(loop, rondo_create_datagram_endpoint(loop, dgram_factory, &self, &options), NULL);
    if (rc == 0)
        dgram_done(loop, &self);
    return rc;
}

/* What a row's calls answer where its cell says no: RONDO_ENOTSUP, but for a few that are but a part of a call that is there. */
static const struct row {
    unsigned capability;
    int refusal;
    int (*calls[8])(rondo_loop *loop);
} rows[] = {
    { RONDO_CAN_STREAMS, RONDO_ENOTSUP, { try_server, try_connection, try_accepted } },
    { RONDO_CAN_DATAGRAMS, RONDO_ENOTSUP, { try_endpoint } },
    { RONDO_CAN_UNIX_SOCKETS, RONDO_ENOTSUP, { try_unix_server, try_unix_connection } },
    { RONDO_CAN_REUSE_PORT, RONDO_EINVAL, { try_reuse_port } },
    { RONDO_CAN_PIPES, RONDO_ENOTSUP, { try_read_pipe, try_write_pipe } },
    { RONDO_CAN_PROACT, 0, { NULL } },
    { RONDO_CAN_SOCKET_CALLS,
      RONDO_ENOTSUP,
      { try_recv, try_recv_into, try_sendall, try_recv_fds, try_sock_accept } },
    { RONDO_CAN_BLOCKING_SOCKETS, RONDO_EINVAL, { try_blocking_recv, try_blocking_sendall } },
    { RONDO_CAN_WATCH_DESCRIPTORS, RONDO_ENOTSUP, { try_reader, try_writer } },
};

static rondo_loop *make_loop(bool extended)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.extended = extended;
    return support_loop_with(&options);
}

static void walk_row(const struct row *row, bool extended, bool can)
{
    rondo_loop *loop = make_loop(extended);
    size_t descriptors = peer_descriptors();
    for (size_t i = 0; i < 8 && row->calls[i]; i++) {
        size_t blocks = support_blocks();
        int rc = row->calls[i](loop);
        ck_assert_msg(can ? rc >= 0 : rc == row->refusal, "%s, call %zu%s: %s",
                      rondo_capability_name(row->capability), i, extended ? ", extended" : "",
                      rondo_err_name(rc));
        if (!can)
            ck_assert_uint_eq(support_blocks(), blocks);
        run_until(loop, peer_descriptors() == descriptors);
    }
    support_loop_end(loop);
}

/* GEN-02: a call that the backend lacks is there, and says that it is not supported. */
START_TEST(test_cells)
{
    bool extended = _i;
    read_page();
    rondo_loop *loop = make_loop(extended);
    unsigned can = rondo_loop_capabilities(loop);
    support_loop_end(loop);
    for (unsigned i = 0; i < 32; i++) {
        bool expected = cells[i] == YES || (cells[i] == EXTENDED && extended);
        ck_assert_msg(((can >> i) & 1) == expected, "capability %u: the page says %d, the loop %u", i,
                      expected, (can >> i) & 1);
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        walk_row(&rows[i], extended, (can & rows[i].capability) != 0);
}
END_TEST

START_TEST(test_every_row_is_walked)
{
    unsigned walked = 0, there = 0;
    read_page();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        walked |= rows[i].capability;
    for (unsigned i = 0; i < 32; i++)
        there |= has_row[i] ? 1u << i : 0;
    ck_assert_msg(walked == there, "the page has rows %#x, the test %#x", there, walked);
}
END_TEST

START_TEST(test_names)
{
    ck_assert_str_eq(rondo_capability_name(RONDO_CAN_STREAMS), "RONDO_CAN_STREAMS");
    ck_assert_ptr_null(rondo_capability_name(0));
    ck_assert_ptr_null(rondo_capability_name(RONDO_CAN_STREAMS | RONDO_CAN_PIPES));
    ck_assert_ptr_null(rondo_capability_name(1u << 31));
    unsigned all = 0, bit = 1;
    for (; rondo_capability_name(bit); bit <<= 1)
        all |= bit;
    for (; bit; bit <<= 1) /* without a gap */
        ck_assert_ptr_null(rondo_capability_name(bit));
    rondo_loop *loop = make_loop(true);
    ck_assert_uint_eq(rondo_loop_capabilities(loop) & ~all, 0);
    support_loop_end(loop);
    ck_assert_uint_eq(rondo_loop_capabilities(NULL), 0);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "capabilities");
    tcase_add_loop_test(tcase, test_cells, 0, 2);
    tcase_add_test(tcase, test_every_row_is_walked);
    tcase_add_test(tcase, test_names);
}

int main(void)
{
    return support_main("capabilities", add_cases);
}
