/* SPDX-License-Identifier: MIT */
/* Connecting: one address, several in order, several in a race (happy eyeballs).
 *
 * The happy path: a socket is opened, bound where asked, and a connect is submitted; a future stands for its end.
 * Failures: each address has its own; the whole has the one, or all of them in a text. Cancelled: the connect is
 * cancelled, and its socket closed when the driver has given it back. Invariant: a socket is closed exactly once,
 * or handed out. */
#include "connect.h"

#include <rondo/wait.h>

#include <stdio.h>
#include <string.h>

#include "../../platform/sockaddr.h"
#include "../async/coroutine.h"

#define SHORTEST_PAUSE RONDO_MS(1)
#define LONGEST_PAUSE RONDO_MS(32)

/* --- failures --------------------------------------------------------------------------------------------- */

void rondo_failures_add(struct rondo_failures *failures, int code, const char *message)
{
    if (failures->count++ == 0) {
        failures->code = code;
        failures->is_uniform = true;
        snprintf(failures->first, sizeof failures->first, "%s", message);
        snprintf(failures->all, sizeof failures->all, "%s", message);
        return;
    }
    if (code != failures->code)
        failures->code = RONDO_EOS;
    if (strcmp(message, failures->first) != 0)
        failures->is_uniform = false;
    size_t length = strlen(failures->all);
    snprintf(failures->all + length, sizeof failures->all - length, ", %s", message);
}

int rondo_failures_raise(const struct rondo_failures *failures)
{
    if (!failures->count)
        return rondo_fail(RONDO_EAI_NODATA, "there was no address to connect to");
    if (failures->is_uniform)
        return rondo_fail(failures->code, "%s", failures->first);
    return rondo_fail(failures->code, "Multiple exceptions: %s", failures->all);
}

/* --- one connect ------------------------------------------------------------------------------------------- */

/* Outlives the coroutine when that is cancelled: then it closes the socket itself. */
struct attempt {
    struct rondo_op op;
    rondo_loop *loop;
    rondo_future *future;
    rondo_address address;
    bool is_abandoned;
};

static void on_connect(struct rondo_op *op)
{
    struct attempt *attempt = rondo_container(op, struct attempt, op);
    rondo_loop *loop = attempt->loop;
    if (attempt->is_abandoned) {
        loop->core.driver->ops->close_socket(loop->core.driver, op->socket);
        rondo_release(&loop->allocator, attempt);
        return;
    }
    if (op->result < 0)
        rondo_future_fail(attempt->future, (int) op->result, NULL);
    else
        rondo_future_finish(attempt->future, 0, NULL, NULL);
}

int rondo_connect_failed(int code, const rondo_address *address)
{
    char text[160];
    rondo_address_format(address, text, sizeof text);
    return rondo_fail(code, "Connect call failed (%s): %s", text, rondo_strerror(code));
}

/* Nobody tells when there is room in the queue of a Unix listener. */
static int rest(rondo_loop *loop, rondo_ns *pause)
{
    int rc = rondo_await(rondo_sleep(loop, *pause), NULL);
    if (*pause < LONGEST_PAUSE)
        *pause *= 2;
    return rc < 0 ? rc : 0;
}

/* Connect @sock, which the attempt takes over when it is cancelled (*ret_taken). */
static int wait_for_connect(struct attempt *attempt, bool *ret_taken)
{
    rondo_loop *loop = attempt->loop;
    struct rondo_driver *driver = loop->core.driver;
    int rc = driver->ops->submit(driver, &attempt->op);
    if (rc != 0)
        return rc < 0 ? rc : (int) attempt->op.result;
    rc = rondo_await(rondo_future_ref(attempt->future), NULL);
    if (rondo_op_is_active(&attempt->op)) { /* cancelled */
        attempt->is_abandoned = true;
        *ret_taken = true;
        driver->ops->cancel(driver, &attempt->op);
    }
    return rc;
}

static int connect_socket(rondo_loop *loop, rondo_socket sock, const rondo_address *address, bool *ret_taken)
{
    struct attempt *attempt = rondo_allocate_zeroed(&loop->allocator, sizeof(*attempt));
    rondo_future *future = attempt ? rondo_future_new(loop) : NULL;
    if (!future) {
        rondo_release(&loop->allocator, attempt);
        return rondo_fail(RONDO_ENOMEM, NULL);
    }
    attempt->loop = loop;
    attempt->future = future;
    attempt->address = *address;
    attempt->op.kind = RONDO_OP_CONNECT;
    attempt->op.socket = sock;
    attempt->op.complete = on_connect;
    attempt->op.address = &attempt->address;
    int rc = wait_for_connect(attempt, ret_taken);
    rondo_future_unref(future);
    if (!*ret_taken)
        rondo_release(&loop->allocator, attempt);
    if (rc == RONDO_ECANCELLED)
        return rondo_fail(rc, NULL);
    return rc < 0 ? rondo_connect_failed(rc, address) : 0;
}

/* --- one address -------------------------------------------------------------------------------------------- */

static int bind_local(rondo_socket sock, int family, const rondo_addrinfo *local)
{
    struct rondo_failures failures = { 0 };
    for (size_t i = 0; i < local->count; i++) {
        const rondo_address *address = &local->entries[i].address;
        if (local->entries[i].family != family)
            continue;
        int rc = rondo_socket_bind(sock, address);
        if (rc == 0)
            return 0;
        char host[128];
        char text[256];
        rondo_address_host(address, host, sizeof host);
        snprintf(text, sizeof text, "error while attempting to bind on address ('%s', %d): %s", host,
                 rondo_address_port(address), rondo_strerror(rc));
        rondo_failures_add(&failures, rc, text);
    }
    if (!failures.count)
        return rondo_fail(RONDO_EADDRNOTAVAIL, "no matching local address with family=%d found", family);
    return rondo_failures_raise(&failures);
}

int rondo_connect_address(rondo_loop *loop, const rondo_addrinfo_entry *address, const rondo_addrinfo *local,
                          rondo_socket *ret_socket)
{
    rondo_socket sock;
    int rc = rondo_socket_open(address->family, SOCK_STREAM, address->proto, &sock);
    if (rc < 0)
        return rondo_fail(rc, NULL);
    rc = local ? bind_local(sock, address->family, local) : 0;
    bool is_taken = false;
    if (rc == 0)
        rc = connect_socket(loop, sock, &address->address, &is_taken);
    rondo_ns pause = SHORTEST_PAUSE;
    while (rc == RONDO_EBUSY && (rc = rest(loop, &pause)) == 0)
        rc = connect_socket(loop, sock, &address->address, &is_taken);
    if (rc == 0)
        *ret_socket = sock;
    else if (!is_taken)
        loop->core.driver->ops->close_socket(loop->core.driver, sock);
    return rc;
}

/* --- several addresses: in order ------------------------------------------------------------------------------ */

/* Only an error of the system leads to the next address (CON-13); everything that a socket call can give is one, RONDO_EINVAL
 * too. */
static bool leads_on(int code)
{
    return code != RONDO_ECANCELLED && code != RONDO_ENOMEM && code != RONDO_ECLOSED;
}

static int connect_in_order(rondo_loop *loop, const rondo_addrinfo *remote, const rondo_addrinfo *local,
                            rondo_socket *ret_socket)
{
    struct rondo_failures failures = { 0 };
    for (size_t i = 0; i < remote->count; i++) {
        int rc = rondo_connect_address(loop, &remote->entries[i], local, ret_socket);
        if (rc == 0 || !leads_on(rc))
            return rc;
        rondo_failures_add(&failures, rc, rondo_last_error_message());
    }
    return rondo_failures_raise(&failures);
}

/* --- several addresses: a race --------------------------------------------------------------------------------- */

struct race;

struct runner {
    struct race *race;
    size_t index;
    rondo_socket sock;
    rondo_future *future; /* NULL: not started, or dealt with */
};

struct race {
    rondo_loop *loop;
    const rondo_addrinfo *remote;
    const rondo_addrinfo *local;
    rondo_ns delay;
    size_t started;
    size_t running;
    rondo_socket winner;
    struct rondo_failures failures;
    rondo_future **pending; /* scratch for rondo_wait */
    struct runner runners[];
};

static int run_runner(void *context)
{
    struct runner *runner = context;
    struct race *race = runner->race;
    return rondo_connect_address(race->loop, &race->remote->entries[runner->index], race->local,
                                 &runner->sock);
}

static int start_runner(struct race *race)
{
    struct runner *runner = &race->runners[race->started];
    *runner = (struct runner){ .race = race, .index = race->started, .sock = RONDO_INVALID_SOCKET };
    race->started++;
    runner->future = rondo_coroutine_spawn(race->loop, run_runner, runner, NULL);
    if (!runner->future)
        return rondo_last_error();
    race->running++;
    return 0;
}

/* Deal with those that have ended; a fatal error ends the race. */
static int collect(struct race *race)
{
    int fatal = 0;
    for (size_t i = 0; i < race->started; i++) {
        struct runner *runner = &race->runners[i];
        if (!runner->future || !rondo_future_done(runner->future))
            continue;
        int rc = rondo_future_result(runner->future, NULL);
        if (rc == 0 && race->winner == RONDO_INVALID_SOCKET)
            race->winner = runner->sock;
        else if (rc == 0) /* second over the line */
            race->loop->core.driver->ops->close_socket(race->loop->core.driver, runner->sock);
        else if (leads_on(rc))
            rondo_failures_add(&race->failures, rc, rondo_last_error_message());
        else if (rc != RONDO_ECANCELLED)
            fatal = rc;
        rondo_future_unref(runner->future);
        runner->future = NULL;
        race->running--;
    }
    return fatal;
}

/* Wait until one more has ended, or @timeout has passed. */
static int wait_for_runner(struct race *race, rondo_ns timeout)
{
    size_t count = 0;
    for (size_t i = 0; i < race->started; i++)
        if (race->runners[i].future)
            race->pending[count++] = race->runners[i].future;
    int rc = rondo_await(rondo_wait(race->loop, race->pending, count, timeout, RONDO_WAIT_FIRST), NULL);
    return rc < 0 ? rc : 0;
}

/* Cancel who still runs and wait until they are gone, whatever happens: they point into the race. */
static void end_race(struct race *race)
{
    for (size_t i = 0; i < race->started; i++)
        rondo_future_cancel(race->runners[i].future);
    for (size_t i = 0; i < race->started; i++)
        while (race->runners[i].future && !rondo_future_done(race->runners[i].future))
            rondo_await(rondo_future_ref(race->runners[i].future), NULL);
    collect(race);
}

static int run_race(struct race *race)
{
    int rc = 0;
    while (rc == 0 && race->winner == RONDO_INVALID_SOCKET) {
        bool more = race->started < race->remote->count;
        if (!more && !race->running)
            return rondo_failures_raise(&race->failures);
        if (more && (rc = start_runner(race)) < 0)
            return rc;
        more = race->started < race->remote->count;
        rc = wait_for_runner(race, more ? race->delay : RONDO_FOREVER);
        int fatal = collect(race);
        if (rc == 0)
            rc = fatal;
    }
    return rc;
}

static int connect_racing(rondo_loop *loop, const rondo_addrinfo *remote, const rondo_addrinfo *local,
                          rondo_ns delay, rondo_socket *ret_socket)
{
    size_t count = remote->count;
    struct race *race =
        rondo_allocate_zeroed(&loop->allocator, sizeof(*race) + count * sizeof(struct runner));
    rondo_future **pending = race ? rondo_allocate(&loop->allocator, count * sizeof(*pending)) : NULL;
    if (!pending) {
        rondo_release(&loop->allocator, race);
        return rondo_fail(RONDO_ENOMEM, NULL);
    }
    race->loop = loop;
    race->remote = remote;
    race->local = local;
    race->delay = delay;
    race->pending = pending;
    race->winner = RONDO_INVALID_SOCKET;
    int rc = run_race(race);
    char message[512];
    snprintf(message, sizeof message, "%s", rondo_last_error_message());
    end_race(race);
    if (rc == 0)
        *ret_socket = race->winner;
    else if (race->winner != RONDO_INVALID_SOCKET)
        loop->core.driver->ops->close_socket(loop->core.driver, race->winner);
    rondo_release(&loop->allocator, pending);
    rondo_release(&loop->allocator, race);
    return rc < 0 ? rondo_fail_text(rc, message) : 0;
}

int rondo_connect_race(rondo_loop *loop, const rondo_addrinfo *remote, const rondo_addrinfo *local,
                       rondo_ns delay, rondo_socket *ret_socket)
{
    if (delay <= 0 || remote->count < 2)
        return connect_in_order(loop, remote, local, ret_socket);
    return connect_racing(loop, remote, local, delay, ret_socket);
}
