/* SPDX-License-Identifier: MIT */
/* Writing the very bytes that data_received lends, much at a time: they may leave later than the call, but whole, in order, and
 * before whatever is done behind them. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { TOTAL = 6 << 20, PIECE = 256 << 10, SOCKET_BUFFER = 4 << 20, OWN = 10000 };

/* What was written to a connection, and what has come out of its other end. */
struct outlet {
    net_conn conn;
    rondo_socket peer;
    unsigned char *written;
    size_t length, seen;
    bool ended;
};

typedef void writing(struct outlet *outlet, const unsigned char *data, size_t length);

static struct outlet first, second;
static unsigned char own[OWN], piece[PIECE];
static writing *way;
static size_t stop_after; /* bytes received; 0: never */
static int (*stop)(rondo_transport *transport);

static void note(struct outlet *outlet, const void *data, size_t length)
{
    ck_assert_uint_le(outlet->length + length, 2 * (size_t) TOTAL);
    memcpy(outlet->written + outlet->length, data, length);
    outlet->length += length;
}

static void put(struct outlet *outlet, const void *data, size_t length)
{
    ck_assert_int_eq(rondo_transport_write(outlet->conn.transport, data, length), 0);
    note(outlet, data, length);
}

static void write_whole(struct outlet *outlet, const unsigned char *data, size_t length)
{
    put(outlet, data, length);
}

static void write_pieces(struct outlet *outlet, const unsigned char *data, size_t length)
{
    for (size_t at = 0; at < length; at += 5000)
        put(outlet, data + at, length - at < 5000 ? length - at : 5000);
}

static void write_mixed(struct outlet *outlet, const unsigned char *data, size_t length)
{
    put(outlet, own, 7);
    put(outlet, data, length);
    put(outlet, own, OWN);
}

static void write_lines(struct outlet *outlet, const unsigned char *data, size_t length)
{
    rondo_bytes pieces[] = { { data, length / 3 }, { data + length / 3, length - length / 3 } };
    ck_assert_int_eq(rondo_transport_writelines(outlet->conn.transport, pieces, 2), 0);
    note(outlet, data, length);
}

static void write_to_both(struct outlet *outlet, const unsigned char *data, size_t length)
{
    put(outlet, data, length);
    put(&second, data, length);
}

static void write_twice(struct outlet *outlet, const unsigned char *data, size_t length)
{
    put(outlet, data, length);
    put(outlet, data + length / 2, 1);
}

static writing *const ways[] = { write_whole, write_pieces, write_mixed,
                                 write_lines, write_twice,  write_to_both };

static void on_data(net_conn *conn, const void *data, size_t length)
{
    if (rondo_transport_is_closing(conn->transport) || (stop_after && conn->received - length >= stop_after))
        return;
    way(conn->context, data, length);
    if (stop_after && conn->received >= stop_after)
        ck_assert_int_eq(stop(conn->transport), 0);
}

static void open_outlet(rondo_loop *loop, struct outlet *outlet, bool has_room)
{
    rondo_socket pair[2];
    int size = SOCKET_BUFFER;
    peer_pair(pair);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (has_room)
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    *outlet = (struct outlet){ .peer = pair[1], .conn = { .on_data = on_data, .context = outlet } };
    outlet->written = malloc(2 * (size_t) TOTAL);
    net_adopt(loop, &outlet->conn, pair[0]);
}

static void look(struct outlet *outlet)
{
    static unsigned char bytes[PIECE];
    ptrdiff_t n;
    while ((n = peer_recv_now(outlet->peer, bytes, sizeof bytes)) > 0) {
        ck_assert_uint_le(outlet->seen + (size_t) n, outlet->length);
        ck_assert_int_eq(memcmp(bytes, outlet->written + outlet->seen, (size_t) n), 0);
        outlet->seen += (size_t) n;
    }
    outlet->ended = outlet->ended || n != PEER_NOTHING;
}

static void end_outlet(rondo_loop *loop, struct outlet *outlet)
{
    free(outlet->written);
    net_done(loop, &outlet->conn);
    peer_close(outlet->peer);
}

static void begin(rondo_loop *loop, writing *how, bool has_room)
{
    pattern_fill(own, OWN, 12345);
    way = how;
    stop_after = 0;
    open_outlet(loop, &first, has_room);
    open_outlet(loop, &second, has_room);
}

static size_t offered;

static void offer(void)
{
    size_t left = TOTAL - offered;
    pattern_fill(piece, PIECE, offered);
    offered += peer_send_now(first.peer, piece, left < PIECE ? left : PIECE);
}

START_TEST(test_ways)
{
    rondo_loop *loop = support_loop();
    begin(loop, ways[_i], true);
    for (offered = 0;
         first.conn.received < TOTAL || first.seen < first.length || second.seen < second.length;) {
        for (int i = 0; i < 4; i++)
            offer();
        support_run_passes(loop, 1);
        look(&first);
        look(&second);
    }
    ck_assert_uint_ge(first.length, TOTAL);
    end_outlet(loop, &first);
    end_outlet(loop, &second);
    support_loop_end(loop);
}
END_TEST

/* Those who do not read make pause_writing come, and lose nothing. */
START_TEST(test_slow_reader)
{
    rondo_loop *loop = support_loop();
    begin(loop, ways[_i], false);
    for (offered = 0; offered < TOTAL; support_run_passes(loop, 1))
        offer();
    run_until(loop, first.conn.received == TOTAL);
    ck_assert_int_ge(first.conn.stalls, 1);
    while (first.seen < first.length || second.seen < second.length) {
        support_run_passes(loop, 1);
        look(&first);
        look(&second);
    }
    ck_assert_int_eq(first.conn.flows, first.conn.stalls);
    end_outlet(loop, &first);
    end_outlet(loop, &second);
    support_loop_end(loop);
}
END_TEST

static int do_close(rondo_transport *transport)
{
    rondo_transport_close(transport);
    return 0;
}

static int do_abort(rondo_transport *transport)
{
    rondo_transport_abort(transport);
    return 0;
}

/* In the middle of what was received at once. */
static void stop_in_the_middle(int (*how)(rondo_transport *transport))
{
    rondo_loop *loop = support_loop();
    for (size_t at = PIECE; at < 5 * (size_t) PIECE; at += 40000) {
        begin(loop, write_mixed, at % 3);
        stop_after = at;
        stop = how;
        for (offered = 0; !first.ended;) {
            if (offered < TOTAL)
                offer();
            support_run_passes(loop, 1);
            look(&first);
        }
        /* TRN-05, TRN-06: all of it goes before the end, but for abort, which may drop what the kernel did not take */
        ck_assert(how == do_abort ? first.seen <= first.length : first.seen == first.length);
        end_outlet(loop, &first);
        end_outlet(loop, &second);
    }
    support_loop_end(loop);
}

START_TEST(test_close)
{
    stop_in_the_middle(do_close);
}
END_TEST

START_TEST(test_abort)
{
    stop_in_the_middle(do_abort);
}
END_TEST

START_TEST(test_write_eof)
{
    stop_in_the_middle(rondo_transport_write_eof);
}
END_TEST

static FILE *file;
static rondo_future *sending;

/* The connection ends with what was written before the file: whichever of the two fails, that is no file on a transport that
 * is closing already. */
static int do_sendfile_to_nobody(rondo_transport *transport)
{
    peer_close(first.peer);
    sending = rondo_sendfile(transport, fileno(file), 0, 1, false, NULL);
    ck_assert(sending || rondo_last_error() == RONDO_ECLOSED);
    return 0;
}

static int do_write_eof_to_nobody(rondo_transport *transport)
{
    peer_close(first.peer);
    return rondo_transport_write_eof(transport);
}

static int (*const to_nobody[])(rondo_transport *) = { do_sendfile_to_nobody, do_write_eof_to_nobody };

START_TEST(test_nobody)
{
    rondo_loop *loop = support_loop();
    file = tmpfile();
    ck_assert(file && fputs("a file", file) >= 0 && fflush(file) == 0);
    for (size_t at = 1; at < 5 * (size_t) PIECE; at += 40000) {
        begin(loop, write_pieces, true);
        stop_after = at;
        stop = to_nobody[_i];
        sending = NULL;
        for (offered = 0; first.conn.received < at; support_run_passes(loop, 1))
            offer();
        run_until(loop, first.conn.losts && (!sending || rondo_future_done(sending)));
        ck_assert(!sending || rondo_future_error(sending, NULL) < 0);
        rondo_future_unref(sending);
        free(first.written);
        net_done(loop, &first.conn);
        end_outlet(loop, &second);
    }
    fclose(file);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    enum { WAYS = sizeof ways / sizeof ways[0] };
    TCase *tcase = support_case(suite, "lent");
    tcase_add_loop_test(tcase, test_ways, 0, WAYS);
    tcase_add_loop_test(tcase, test_slow_reader, 0, WAYS);
    tcase_add_test(tcase, test_close);
    tcase_add_test(tcase, test_abort);
    tcase_add_test(tcase, test_write_eof);
    tcase_add_loop_test(tcase, test_nobody, 0, 2);
}

int main(void)
{
    return support_main("transport lent", add_cases);
}
