/* SPDX-License-Identifier: MIT */
/* Sockets that a process was started with. Each case has a child of its own, whose descriptors from 3 on are what a service
 * manager would have opened. */
#define _GNU_SOURCE
#include "unix_peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define must(condition)                                                                                     \
    do {                                                                                                    \
        if (!(condition)) {                                                                                 \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, rondo_last_error_message()); \
            _exit(1);                                                                                       \
        }                                                                                                   \
    } while (0)

/* Run @body in a child that finds @socks at 3 and on, with the variables set; @process NULL: its own. */
static void in_child(void (*body)(void), const rondo_socket *socks, int count, const char *process,
                     const char *fds, const char *names)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        char own[32];
        rondo_socket high[8];
        snprintf(own, sizeof own, "%ld", (long) getpid());
        for (int i = 0; i < count; i++)
            must((high[i] = fcntl(socks[i], F_DUPFD, 100)) >= 0);
        for (int i = 0; i < count; i++)
            must(dup2(high[i], 3 + i) == 3 + i);
        support_setenv("LISTEN_PID", process ? process : own);
        support_setenv("LISTEN_FDS", fds);
        support_setenv("LISTEN_FDNAMES", names);
        body();
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %#x",
                  (unsigned) status);
}

static unix_folder folder;

static void two_are_there(void)
{
    rondo_inherited_socket socks[4];
    memset(socks, 1, sizeof socks);
    for (int i = 0; i < 2; i++) { /* it may be asked again */
        must(rondo_inherited_sockets(NULL, 0) == 2);
        must(rondo_inherited_sockets(socks, 4) == 2);
        must(socks[0].sock == 3 && socks[1].sock == 4);
        must(socks[0].family == AF_INET && socks[1].family == AF_UNIX);
        must(socks[0].type == SOCK_STREAM && socks[1].type == SOCK_STREAM);
        must(strcmp(socks[0].name, "web") == 0 && strcmp(socks[1].name, "") == 0);
        must(fcntl(3, F_GETFD) == FD_CLOEXEC && fcntl(4, F_GETFD) == FD_CLOEXEC);
    }
    rondo_inherited_socket one[2];
    memset(one, 1, sizeof one);
    must(rondo_inherited_sockets(one, 1) == 2);
    must(one[1].sock == 0x01010101); /* no more than asked for */
    must(rondo_inherited_sockets(NULL, 1) == RONDO_EINVAL);
}

static void none_are_there(void)
{
    rondo_inherited_socket sock;
    must(rondo_inherited_sockets(&sock, 1) == 0);
    must(fcntl(3, F_GETFD) == 0); /* not touched */
}

static void make_no_sense(void)
{
    must(rondo_inherited_sockets(NULL, 0) == RONDO_EINVAL);
    must(fcntl(3, F_GETFD) == 0);
}

static void one_is_no_socket(void)
{
    must(rondo_inherited_sockets(NULL, 0) == RONDO_ENOTSOCK);
    must(fcntl(3, F_GETFD) == 0);
}

static void one_is_closed(void)
{
    close(4);
    must(rondo_inherited_sockets(NULL, 0) == RONDO_EBADF);
    must(strstr(rondo_last_error_message(), "4"));
    must(fcntl(3, F_GETFD) == 0);
}

static void long_name(void)
{
    rondo_inherited_socket socks[2];
    must(rondo_inherited_sockets(socks, 2) == 2);
    must(strlen(socks[0].name) == sizeof socks[0].name - 1);
    must(strcmp(socks[1].name, "after") == 0);
}

START_TEST(test_told)
{
    int port;
    unix_folder_make(&folder);
    rondo_socket socks[2] = { peer_listen("127.0.0.1", 5, &port), unix_listen(folder.path, 0, 5) };
    in_child(two_are_there, socks, 2, NULL, "2", "web");
    in_child(two_are_there, socks, 2, NULL, "2", "web:");
    in_child(two_are_there, socks, 2, NULL, "2", "web::more than there are");
    in_child(none_are_there, socks, 1, NULL, "0", NULL);
    in_child(none_are_there, socks, 1, NULL, NULL, NULL);
    in_child(none_are_there, socks, 1, "1", "1", NULL); /* somebody else's */
    in_child(none_are_there, socks, 1, "1", "no number", NULL);
    char names[600];
    memset(names, 'n', sizeof names);
    memcpy(names + 500, ":after", 7);
    in_child(long_name, socks, 2, NULL, "2", names);
    peer_close(socks[0]);
    peer_close(socks[1]);
    unix_folder_remove(&folder);
}
END_TEST

START_TEST(test_senseless)
{
    int port, file = open("/dev/null", O_RDWR | O_CLOEXEC);
    rondo_socket socks[2] = { peer_listen("127.0.0.1", 5, &port), file };
    in_child(make_no_sense, socks, 1, "", "1", NULL);
    in_child(make_no_sense, socks, 1, "me", "1", NULL);
    in_child(make_no_sense, socks, 1, "99999999999999999999999", "1", NULL);
    in_child(make_no_sense, socks, 1, NULL, "", NULL);
    in_child(make_no_sense, socks, 1, NULL, "-1", NULL);
    in_child(make_no_sense, socks, 1, NULL, "1x", NULL);
    in_child(make_no_sense, socks, 1, NULL, "4097", NULL);
    in_child(one_is_no_socket, socks, 2, NULL, "2", NULL);
    in_child(one_is_closed, socks, 2, NULL, "2", NULL);
    peer_close(socks[0]);
    close(file);
}
END_TEST

/* --- serving on them ------------------------------------------------------------------------ */

/* Check's own functions are not to be used in a child: its descriptors may lie where the sockets are. */
static size_t lost;

static void send_back(rondo_protocol *protocol, const void *data, size_t length)
{
    rondo_transport_write(rondo_protocol_transport(protocol), data, length);
}

static void count_lost(rondo_protocol *protocol, int error)
{
    (void) protocol;
    lost += error == 0;
}

static const rondo_protocol_ops echo = { .size = sizeof echo,
                                         .data_received = send_back,
                                         .connection_lost = count_lost };

/* The server that @future brings serves @peer, who has finished sending. */
static void talk_over(rondo_loop *loop, rondo_future *future, rondo_socket peer)
{
    char bytes[6] = "";
    size_t before = lost;
    must(rondo_loop_run_until_complete(loop, future, NULL) == 0);
    peer_send_text(peer, "hello");
    peer_shutdown(peer);
    while (lost == before) {
        rondo_loop_stop(loop);
        must(rondo_loop_run_forever(loop) == 0);
    }
    peer_recv(peer, bytes, 5);
    must(strcmp(bytes, "hello") == 0);
    peer_close(peer);
}

static void serve_on_both(void)
{
    rondo_inherited_socket socks[2];
    rondo_loop *loop = NULL;
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    must(rondo_inherited_sockets(socks, 2) == 2);
    must(rondo_loop_new(&options, &loop) == 0);
    rondo_server_options tcp = RONDO_SERVER_OPTIONS;
    tcp.sock = socks[0].sock;
    rondo_socket peer = peer_connect("127.0.0.1", peer_port(socks[0].sock));
    talk_over(loop, rondo_create_server(loop, rondo_protocol_new, (void *) (uintptr_t) &echo, &tcp), peer);
    rondo_unix_server_options local = RONDO_UNIX_SERVER_OPTIONS;
    local.sock = socks[1].sock;
    peer = unix_connect(folder.path, 0);
    talk_over(loop, rondo_create_unix_server(loop, rondo_protocol_new, (void *) (uintptr_t) &echo, &local),
              peer);
    must(rondo_loop_free(loop) == 0);
    must(!peer_is_open(socks[0].sock) && !peer_is_open(socks[1].sock)); /* they were the servers' */
}

START_TEST(test_served)
{
    int port;
    unix_folder_make(&folder);
    rondo_socket socks[2] = { peer_listen("127.0.0.1", 5, &port), unix_listen(folder.path, 0, 5) };
    in_child(serve_on_both, socks, 2, NULL, "2", "tcp:unix");
    peer_close(socks[0]);
    peer_close(socks[1]);
    unix_folder_remove(&folder);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "inherited sockets");
    tcase_add_test(tcase, test_told);
    tcase_add_test(tcase, test_senseless);
    tcase_add_test(tcase, test_served);
}

int main(void)
{
    return support_main("inherited sockets", add_cases);
}
