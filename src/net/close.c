/* SPDX-License-Identifier: MIT */
/* The end of everything that has a socket, when the loop closes. */
#include "descriptor.h"
#include "server.h"

static void close_servers(rondo_loop *loop)
{
    for (struct rondo_link *link = loop->servers.next; link != &loop->servers;) {
        rondo_server *server = rondo_container(link, rondo_server, link);
        link = link->next;
        rondo_server_close(server);
    }
}

/* Each transport ends with connection_lost(RONDO_ECLOSED) from a node, which the closing loop still runs; one that was ending
 * already keeps its own reason, but does not wait for a peer that does not read. */
static void end_transports(rondo_loop *loop)
{
    for (struct rondo_link *link = loop->transports.next; link != &loop->transports; link = link->next) {
        rondo_transport *transport = rondo_container(link, rondo_transport, link);
        transport->type->abort(transport, RONDO_ECLOSED);
    }
}

void rondo_net_close(rondo_loop *loop)
{
    rondo_descriptors_close(loop);
    close_servers(loop);
    end_transports(loop);
    rondo_resolvers_close(loop);
}

void rondo_net_free(rondo_loop *loop)
{
    rondo_outputs_free(loop);
    for (struct rondo_link *link = loop->servers.next; link != &loop->servers;) {
        rondo_server *server = rondo_container(link, rondo_server, link);
        link = link->next;
        rondo_server_free(server);
    }
    rondo_descriptors_free(loop);
}
