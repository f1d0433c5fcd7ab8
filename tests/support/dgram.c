/* SPDX-License-Identifier: MIT */
/* A datagram protocol that counts, and plain UDP sockets. Failures: what the system refuses fails the case. */
#define _GNU_SOURCE
#include "dgram.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the protocol --------------------------------------------------------------------------------- */

static dgram *self_of(rondo_protocol *protocol)
{
    return *(dgram **) rondo_protocol_data(protocol);
}

static dgram *enter(rondo_protocol *protocol)
{
    dgram *self = self_of(protocol);
    if (!self->made || self->losts)
        self->late = true;
    return self;
}

static void on_made(rondo_protocol *protocol, rondo_transport *transport)
{
    dgram *self = self_of(protocol);
    self->made++;
    self->transport = rondo_transport_ref(transport);
    if (self->name)
        trace("%s.made", self->name);
    if (self->on_made)
        self->on_made(self);
}

static void on_got(rondo_protocol *protocol, const void *data, size_t length, const rondo_address *sender)
{
    dgram *self = enter(protocol);
    self->count++;
    self->bytes += length;
    self->length = length;
    self->sender = *sender;
    self->data = (unsigned char *) (uintptr_t) data;
    if (self->name)
        trace("%s.got:%.*s", self->name, length < 32 ? (int) length : 32, (const char *) data);
    if (self->echo && rondo_datagram_sendto(self->transport, data, length, sender) < 0)
        ck_assert(support_has_failed());
    if (self->on_got)
        self->on_got(self);
}

static void on_error(rondo_protocol *protocol, int error)
{
    dgram *self = enter(protocol);
    self->errors++;
    self->error = error;
    if (self->name)
        trace("%s.error:%s", self->name, rondo_err_name(error));
    if (self->on_error)
        self->on_error(self, error);
}

static void on_lost(rondo_protocol *protocol, int error)
{
    dgram *self = enter(protocol);
    self->losts++;
    self->lost = error;
    if (self->name)
        trace("%s.lost:%s", self->name, error ? rondo_err_name(error) : "0");
    if (self->on_lost)
        self->on_lost(self, error);
}

static void on_stall(rondo_protocol *protocol)
{
    dgram *self = enter(protocol);
    self->stalls++;
    if (self->name)
        trace("%s.stall", self->name);
    if (self->on_stall)
        self->on_stall(self);
}

static void on_flow(rondo_protocol *protocol)
{
    dgram *self = enter(protocol);
    self->flows++;
    if (self->name)
        trace("%s.flow", self->name);
    if (self->on_flow)
        self->on_flow(self);
}

static void on_destroy(rondo_protocol *protocol)
{
    self_of(protocol)->destroyed++;
}

static const rondo_protocol_ops counting = {
    .size = sizeof counting,
    .data_size = sizeof(dgram *),
    .connection_made = on_made,
    .connection_lost = on_lost,
    .pause_writing = on_stall,
    .resume_writing = on_flow,
    .datagram_received = on_got,
    .error_received = on_error,
    .destroy = on_destroy,
};

rondo_protocol *dgram_factory(void *self)
{
    rondo_protocol *protocol = rondo_protocol_new((void *) (uintptr_t) &counting);
    if (protocol)
        *(dgram **) rondo_protocol_data(protocol) = self;
    return protocol;
}

/* --- endpoints -------------------------------------------------------------------------------------- */

rondo_loop *dgram_loop(void)
{
    return support_extended_loop();
}

rondo_datagram_options dgram_local(int port)
{
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.local_host = "127.0.0.1";
    options.local_port = port;
    return options;
}

rondo_datagram_options dgram_paths(const char *local, const char *remote)
{
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.local_path = local;
    options.remote_path = remote;
    return options;
}

int dgram_error(rondo_loop *loop, const rondo_datagram_options *options)
{
    dgram self = { 0 };
    rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, options);
    int rc = future ? net_finish(loop, future, NULL) : rondo_last_error();
    if (rc == 0)
        dgram_done(loop, &self);
    return rc;
}

void dgram_open(rondo_loop *loop, dgram *self, const rondo_datagram_options *options)
{
    void *transport = NULL;
    int rc = net_finish(loop, rondo_create_datagram_endpoint(loop, dgram_factory, self, options), &transport);
    ck_assert_msg(rc == 0, "create_datagram_endpoint: %s", rondo_last_error_message());
    ck_assert_ptr_eq(transport, self->transport);
}

int dgram_bind(rondo_loop *loop, dgram *self, const char *host)
{
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.local_host = host;
    options.local_port = 0;
    dgram_open(loop, self, &options);
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(self->transport, &address), 0);
    return rondo_address_port(&address);
}

void dgram_connect(rondo_loop *loop, dgram *self, int port)
{
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.remote_host = "127.0.0.1";
    options.remote_port = port;
    dgram_open(loop, self, &options);
}

rondo_socket dgram_pair(rondo_loop *loop, dgram *self)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    peer_patient(pair[1]);
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = pair[0];
    dgram_open(loop, self, &options);
    return pair[1];
}

int dgram_fill(rondo_loop *loop, dgram *self, rondo_socket peer)
{
    int port = dgram_bind(loop, self, "127.0.0.1");
    trace_clear();
    for (char digit = '1'; digit <= '5'; digit++)
        udp_send(peer, port, &digit, 1);
    return port;
}

void dgram_close(dgram *self)
{
    rondo_transport_close(self->transport);
}

void dgram_end(dgram *self)
{
    ck_assert_msg(!self->late, "a callback before connection_made or after connection_lost");
    ck_assert_int_le(self->made, 1);
    ck_assert_int_eq(self->losts, self->made);
    rondo_transport_unref(self->transport);
    self->transport = NULL;
    if (self->made)
        ck_assert_int_eq(self->destroyed, 1);
}

void dgram_done(rondo_loop *loop, dgram *self)
{
    rondo_transport_abort(self->transport);
    run_until(loop, self->losts == self->made);
    dgram_end(self);
}

void dgram_say(dgram *self, const char *text, const rondo_address *to)
{
    ck_assert_int_eq(rondo_datagram_sendto(self->transport, text, strlen(text), to), 0);
}

rondo_address dgram_address(int port)
{
    rondo_address address;
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", port), 0);
    return address;
}

/* --- plain sockets ------------------------------------------------------------------------------------ */

rondo_socket udp_open(const char *host, int *ret_port)
{
    rondo_address address;
    ck_assert_int_eq(rondo_address_from_numeric(&address, host, 0), 0);
    int sock = socket(rondo_address_family(&address), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(sock, 0);
    ck_assert_int_eq(bind(sock, rondo_address_sockaddr(&address), address.length), 0);
    if (ret_port)
        *ret_port = peer_port(sock);
    return peer_patient(sock);
}

void udp_send(rondo_socket sock, int port, const void *data, size_t length)
{
    rondo_address to = dgram_address(port);
    ck_assert_int_eq(sendto(sock, data, length, 0, rondo_address_sockaddr(&to), to.length), (ssize_t) length);
}

void udp_send_text(rondo_socket sock, int port, const char *text)
{
    udp_send(sock, port, text, strlen(text));
}

void udp_expect(rondo_socket sock, const char *text)
{
    char buffer[2048];
    ssize_t n = recv(sock, buffer, sizeof buffer - 1, 0);
    ck_assert_msg(n >= 0, "nothing came where \"%s\" was expected: %s", text, strerror(errno));
    buffer[n] = '\0';
    ck_assert_str_eq(buffer, text);
}

void udp_expect_nothing(rondo_socket sock)
{
    char buffer[8];
    ck_assert_int_lt(recv(sock, buffer, sizeof buffer, MSG_DONTWAIT), 0);
    ck_assert_int_eq(errno, EAGAIN);
}
