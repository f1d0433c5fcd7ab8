/* SPDX-License-Identifier: MIT */
/* Name resolution on threads of its own.
 *
 * The happy path: a job is queued, a thread of the loop's pool takes it, asks the system, and posts it back to the loop, where its
 * future is completed. A job that nobody waits for any more is dropped when it comes back; one that comes back after
 * the loop was closed is dropped by its thread. Failures: the resolver's codes; no thread could be started.
 * Invariants: the pool lives until the loop has left it and every thread has ended; a job's future is touched on the
 * loop's thread only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../platform/sockaddr.h"
#include "../async/coroutine.h"
#include "net.h"

#define DEFAULT_THREADS 4u
#define MOST_THREADS 256u
#define RETRY RONDO_MS(10)

struct job {
    struct job *next;       /* in the pool's queue */
    struct rondo_link link; /* in the pool's ring of all jobs */
    struct rondo_resolver_pool *pool;
    rondo_future *future; /* NULL once abandoned */
    char *host;
    char *service;
    rondo_addrinfo_query query;
    bool is_orphan; /* done, but the closing loop took no letters: the loop frees it */
    bool is_reverse;
    rondo_address address; /* of a reverse lookup */
    int flags;
    int code;
    rondo_addrinfo *info;
    rondo_nameinfo *name;
};

struct worker {
    struct rondo_resolver_pool *pool;
    rondo_thread thread;
    bool is_busy; /* with a job: may take any time */
};

struct rondo_resolver_pool {
    rondo_mutex mutex;
    rondo_condition condition;
    rondo_loop *loop; /* NULL once it has left */
    struct job *head;
    struct job **tail;
    struct rondo_link jobs;
    unsigned queued; /* jobs that nobody has begun */
    unsigned idle;
    unsigned holders; /* the loop and each thread that has not ended */
    unsigned threads; /* started; they stay until the loop leaves */
    unsigned most;
    struct worker workers[];
};

/* The pool and its jobs outlive the loop and its allocator: plain memory. */
static const rondo_allocator *const memory = &rondo_allocator_default;

/* --- answers ---------------------------------------------------------------------------------------- */

rondo_addrinfo *rondo_addrinfo_new(size_t count)
{
    rondo_addrinfo *info = rondo_allocate_zeroed(memory, sizeof(*info));
    rondo_addrinfo_entry *entries =
        info ? rondo_allocate_zeroed(memory, (count ? count : 1) * sizeof(*entries)) : NULL;
    if (!entries) {
        rondo_release(memory, info);
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    info->count = count;
    info->entries = entries;
    return info;
}

void rondo_addrinfo_free(rondo_addrinfo *info)
{
    if (!info)
        return;
    free(info->canonical_name); /* by strdup, as in a resolver of the program's own */
    rondo_release(memory, info->entries);
    rondo_release(memory, info);
}

static void free_info(void *info)
{
    rondo_addrinfo_free(info);
}

static void free_name(void *name)
{
    rondo_release(memory, name);
}

/* --- jobs ------------------------------------------------------------------------------------------- */

static void free_job(struct job *job)
{
    rondo_release(memory, job->host);
    rondo_release(memory, job->service);
    rondo_addrinfo_free(job->info);
    rondo_release(memory, job->name);
    rondo_release(memory, job);
}

static void free_pool(struct rondo_resolver_pool *pool)
{
    rondo_condition_destroy(&pool->condition);
    rondo_mutex_destroy(&pool->mutex);
    rondo_release(memory, pool);
}

/* The letter's destructor: after finish_job, or without it when the loop was closed over the letter. */
static void drop_job(void *context)
{
    struct job *job = context;
    rondo_mutex_lock(&job->pool->mutex);
    rondo_link_remove(&job->link);
    rondo_mutex_unlock(&job->pool->mutex);
    rondo_future_unref(job->future);
    free_job(job);
}

static void fail_job(struct job *job)
{
    char text[320];
    snprintf(text, sizeof text, "%s: '%s'", rondo_strerror(job->code), job->host ? job->host : "");
    rondo_future_fail(job->future, job->code, job->host ? text : NULL);
}

static void finish_job(void *context)
{
    struct job *job = context;
    if (!job->future || rondo_future_done(job->future))
        return;
    if (job->code < 0) {
        fail_job(job);
    } else if (job->is_reverse) {
        rondo_future_finish(job->future, 0, job->name, free_name);
        job->name = NULL;
    } else {
        rondo_future_finish(job->future, 0, job->info, free_info);
        job->info = NULL;
    }
}

static void do_job(struct job *job)
{
    if (!job->is_reverse) {
        job->code = rondo_socket_resolve(&job->query, &job->info);
        return;
    }
    job->name = rondo_allocate_zeroed(memory, sizeof(*job->name));
    job->code = job->name ? rondo_socket_reverse(&job->address, job->flags, job->name) : RONDO_ENOMEM;
}

/* Called with the mutex held. Fails where the loop is gone, or takes no letters, or there is no memory for one. */
static int post_job(struct rondo_resolver_pool *pool, struct job *job)
{
    rondo_call call = { .size = sizeof call,
                        .callback = finish_job,
                        .context = job,
                        .destroy = drop_job,
                        .name = "getaddrinfo" };
    return pool->loop ? rondo_loop_call_threadsafe(pool->loop, &call, NULL) : RONDO_ECLOSED;
}

static struct job *take_job(struct rondo_resolver_pool *pool)
{
    while (pool->loop && !pool->head) {
        pool->idle++;
        rondo_condition_wait(&pool->condition, &pool->mutex);
        pool->idle--;
    }
    struct job *job = pool->head;
    if (!job)
        return NULL;
    pool->head = job->next;
    if (!pool->head)
        pool->tail = &pool->head;
    pool->queued--;
    return job;
}

/* With the mutex held: nobody will hear of it. */
static void discard_job(struct job *job)
{
    if (job->future) { /* a future is let go on the loop's thread only */
        job->is_orphan = true;
        return;
    }
    rondo_link_remove(&job->link);
    free_job(job);
}

/* The loop must hear of it: where there is no memory for the letter, a little later. */
static void deliver_job(struct rondo_resolver_pool *pool, struct job *job)
{
    int rc;
    while ((rc = post_job(pool, job)) == RONDO_ENOMEM) {
        rondo_condition_wait_for(&pool->condition, &pool->mutex, RETRY);
        if (pool->head)
            rondo_condition_signal(&pool->condition); /* the signal was meant for an idle thread */
    }
    if (rc < 0)
        discard_job(job);
}

/* With the mutex held, which it gives back. */
static void let_go_of_pool(struct rondo_resolver_pool *pool)
{
    bool is_last = --pool->holders == 0;
    rondo_mutex_unlock(&pool->mutex);
    if (is_last)
        free_pool(pool);
}

static void run_thread(void *context)
{
    struct worker *worker = context;
    struct rondo_resolver_pool *pool = worker->pool;
    rondo_mutex_lock(&pool->mutex);
    struct job *job;
    while ((job = take_job(pool))) {
        worker->is_busy = true;
        rondo_mutex_unlock(&pool->mutex);
        do_job(job);
        rondo_mutex_lock(&pool->mutex);
        deliver_job(pool, job);
        worker->is_busy = false;
    }
    let_go_of_pool(pool);
}

/* --- the pool ---------------------------------------------------------------------------------------- */

static struct rondo_resolver_pool *pool_of(rondo_loop *loop)
{
    if (loop->resolvers)
        return loop->resolvers;
    unsigned most = loop->options.resolver_threads ? loop->options.resolver_threads : DEFAULT_THREADS;
    if (most > MOST_THREADS)
        most = MOST_THREADS;
    struct rondo_resolver_pool *pool =
        rondo_allocate_zeroed(memory, sizeof(*pool) + most * sizeof(struct worker));
    if (!pool || rondo_mutex_init(&pool->mutex) < 0) {
        rondo_release(memory, pool);
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    if (rondo_condition_init(&pool->condition) < 0) {
        rondo_mutex_destroy(&pool->mutex);
        rondo_release(memory, pool);
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    pool->loop = loop;
    pool->tail = &pool->head;
    pool->most = most;
    pool->holders = 1;
    rondo_link_init(&pool->jobs);
    loop->resolvers = pool;
    return pool;
}

/* One more thread, unless somebody is idle for each job that waits; with the mutex held. Fails only if there is no thread
 * at all. */
static int ensure_thread(struct rondo_resolver_pool *pool)
{
    if (pool->idle > pool->queued || pool->threads >= pool->most)
        return 0;
    struct worker *worker = &pool->workers[pool->threads];
    worker->pool = pool;
    int rc = rondo_thread_start(&worker->thread, run_thread, worker);
    if (rc < 0)
        return pool->threads ? 0 : rondo_fail(rc, "no thread for name resolution could be started");
    pool->threads++;
    pool->holders++;
    return 0;
}

static int queue_job(struct rondo_resolver_pool *pool, struct job *job)
{
    rondo_mutex_lock(&pool->mutex);
    int rc = ensure_thread(pool);
    if (rc == 0) {
        job->pool = pool;
        rondo_link_append(&pool->jobs, &job->link);
        job->next = NULL;
        *pool->tail = job;
        pool->tail = &job->next;
        pool->queued++;
        rondo_condition_signal(&pool->condition);
    }
    rondo_mutex_unlock(&pool->mutex);
    return rc;
}

/* With the mutex held: nobody hears of any job any more. */
static void abandon_jobs(struct rondo_resolver_pool *pool)
{
    for (struct rondo_link *link = pool->jobs.next; link != &pool->jobs;) {
        struct job *job = rondo_container(link, struct job, link);
        link = link->next;
        rondo_future_unref(job->future);
        job->future = NULL;
        if (job->is_orphan)
            discard_job(job);
    }
    while (pool->head) { /* nobody has begun these */
        struct job *job = pool->head;
        pool->head = job->next;
        rondo_link_remove(&job->link);
        free_job(job);
    }
    pool->tail = &pool->head;
    pool->queued = 0;
}

/* Threads that wait for work end at once and are joined; one that asks the system goes on by itself. */
static void leave_pool(struct rondo_resolver_pool *pool)
{
    rondo_mutex_lock(&pool->mutex);
    pool->loop = NULL;
    abandon_jobs(pool);
    unsigned idle = 0;
    for (unsigned i = 0; i < pool->threads; i++) {
        if (pool->workers[i].is_busy)
            rondo_thread_detach(&pool->workers[i].thread);
        else
            pool->workers[idle++].thread = pool->workers[i].thread;
    }
    rondo_condition_broadcast(&pool->condition);
    rondo_mutex_unlock(&pool->mutex);
    while (idle)
        rondo_thread_join(&pool->workers[--idle].thread);
    rondo_mutex_lock(&pool->mutex);
    let_go_of_pool(pool);
}

/* In a forked child the threads are not there, and the mutex is in any state: the pool is left as it is. */
void rondo_resolvers_close(rondo_loop *loop)
{
    if (loop->resolvers && loop->process == rondo_process_self())
        leave_pool(loop->resolvers);
    loop->resolvers = NULL;
}

/* Start @job, whose memory it takes over; the future is the caller's. */
static rondo_future *start_job(rondo_loop *loop, struct job *job)
{
    struct rondo_resolver_pool *pool = pool_of(loop);
    rondo_future *future = pool ? rondo_future_new(loop) : NULL;
    if (future) {
        job->future = rondo_future_ref(future);
        if (queue_job(pool, job) == 0)
            return future;
        rondo_future_unref(job->future);
        rondo_future_unref(future);
    }
    free_job(job);
    return NULL;
}

/* --- getaddrinfo, getnameinfo -------------------------------------------------------------------------- */

static bool is_number(const char *service)
{
    return !service || service[strspn(service, "0123456789")] == '\0';
}

static bool is_numeric_host(const char *host)
{
    rondo_address address;
    return host && *host && !strchr(host, '%') && rondo_address_from_numeric(&address, host, 0) == 0;
}

/* The system needs no time to answer numbers. */
static rondo_future *answer_numeric(rondo_loop *loop, const rondo_addrinfo_query *query)
{
    rondo_addrinfo_query numeric = *query;
    numeric.flags |= rondo_resolve_numeric_host;
    rondo_addrinfo *info = NULL;
    int rc = rondo_socket_resolve(&numeric, &info);
    rondo_future *future = rondo_future_new(loop);
    if (!future)
        rondo_addrinfo_free(info);
    else if (rc < 0)
        rondo_future_fail(future, rc, NULL);
    else
        rondo_future_finish(future, 0, info, free_info);
    return future;
}

static struct job *make_job(const rondo_addrinfo_query *query)
{
    struct job *job = rondo_allocate_zeroed(memory, sizeof(*job));
    if (!job)
        return NULL;
    job->query = *query;
    job->query.host = job->host = rondo_duplicate_text(memory, query->host);
    job->query.service = job->service = rondo_duplicate_text(memory, query->service);
    if ((query->host && !job->host) || (query->service && !job->service)) {
        free_job(job);
        return NULL;
    }
    return job;
}

static rondo_future *ask_program(rondo_loop *loop, const rondo_addrinfo_query *query)
{
    rondo_resolver *resolver = loop->resolver;
    loop->resolver = NULL; /* a lookup that it makes itself is the system's */
    struct rondo_nested nested;
    const char *message;
    rondo_nested_enter(loop, &nested);
    rondo_future *future = resolver(loop, query, loop->resolver_user);
    int code = rondo_nested_leave(loop, &nested, &message);
    loop->resolver = resolver;
    if (!future && code)
        rondo_fail_text(code, message);
    return future;
}

rondo_future *rondo_getaddrinfo(rondo_loop *loop, const rondo_addrinfo_query *query)
{
    if (rondo_loop_check(loop) < 0)
        return NULL;
    if (!query || query->size < sizeof *query) {
        rondo_fail(RONDO_EINVAL, "no query given, or its size is not set");
        return NULL;
    }
    if (loop->resolver)
        return ask_program(loop, query);
    if (is_numeric_host(query->host) && is_number(query->service))
        return answer_numeric(loop, query);
    struct job *job = make_job(query);
    if (!job) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    return start_job(loop, job);
}

int rondo_await_addrinfo(rondo_future *future, rondo_addrinfo **ret_info)
{
    void *info = NULL;
    int rc = rondo_await(future, &info);
    if (rc < 0)
        return rc;
    if (ret_info)
        *ret_info = info;
    else
        rondo_addrinfo_free(info);
    return 0;
}

int rondo_loop_set_resolver(rondo_loop *loop, rondo_resolver *resolver, void *user)
{
    if (!loop)
        return rondo_fail(RONDO_EINVAL, "no loop given");
    loop->resolver = resolver;
    loop->resolver_user = user;
    return 0;
}

rondo_future *rondo_getnameinfo(rondo_loop *loop, const rondo_address *address, int flags)
{
    if (rondo_loop_check(loop) < 0)
        return NULL;
    if (!address || !address->length || address->length > sizeof address->storage) {
        rondo_fail(RONDO_EINVAL, "no address given, or one that is too long to be one");
        return NULL;
    }
    struct job *job = rondo_allocate_zeroed(memory, sizeof(*job));
    if (!job) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    job->is_reverse = true;
    job->address = *address;
    job->flags = flags;
    return start_job(loop, job);
}

int rondo_await_nameinfo(rondo_future *future, rondo_nameinfo *ret_info)
{
    void *name = NULL;
    int rc = rondo_await(future, &name);
    if (rc < 0)
        return rc;
    if (ret_info)
        *ret_info = *(rondo_nameinfo *) name;
    free_name(name);
    return 0;
}

/* --- for connections and servers ----------------------------------------------------------------------- */

/* As a lookup says it; between TCP and UDP the type decides, as in asyncio. */
static int protocol_of(const rondo_addrinfo_query *query)
{
    bool is_usual = !query->proto || query->proto == IPPROTO_TCP || query->proto == IPPROTO_UDP;
    if (!is_usual || (query->type != SOCK_STREAM && query->type != SOCK_DGRAM))
        return query->proto;
    return query->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
}

static int answer_address(const rondo_addrinfo_query *query, rondo_addrinfo **ret_info)
{
    long port = query->service && *query->service ? strtol(query->service, NULL, 10) : 0;
    rondo_address address;
    int rc = rondo_address_from_numeric(&address, query->host, port <= 65535 ? (int) port : -1);
    if (rc < 0)
        return rc;
    rondo_addrinfo *info = rondo_addrinfo_new(1);
    if (!info)
        return RONDO_ENOMEM;
    info->entries[0] =
        (rondo_addrinfo_entry){ rondo_address_family(&address), query->type, protocol_of(query), address };
    *ret_info = info;
    return 0;
}

/* asyncio's _ipaddr_info: such a host never sees the resolver. */
static bool needs_no_resolver(const rondo_addrinfo_query *query)
{
    rondo_address address;
    if (!is_numeric_host(query->host) || !is_number(query->service))
        return false;
    rondo_address_from_numeric(&address, query->host, 0);
    return !query->family || query->family == rondo_address_family(&address);
}

int rondo_resolve_await(rondo_loop *loop, const rondo_addrinfo_query *query, rondo_addrinfo **ret_info)
{
    if (needs_no_resolver(query))
        return answer_address(query, ret_info);
    rondo_addrinfo *info = NULL;
    int rc = rondo_await_addrinfo(rondo_getaddrinfo(loop, query), &info);
    if (rc < 0)
        return rc;
    if (!info || info->count == 0) {
        rondo_addrinfo_free(info);
        return rondo_fail(RONDO_EOS, "getaddrinfo() returned empty list");
    }
    *ret_info = info;
    return 0;
}
