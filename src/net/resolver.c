/* SPDX-License-Identifier: MIT */
/* The threads that ask the system for names and addresses.
 *
 * The happy path: a job is queued, a thread of the loop's pool takes it, asks the system, and posts it back to the loop, where its
 * future is completed. A job that nobody waits for any more is dropped when it comes back; one that comes back after
 * the loop was closed is dropped by its thread. Failures: the resolver's codes; no thread could be started.
 * Invariants: the pool lives until the loop has left it and every thread has ended; a job's future is touched on the
 * loop's thread only. */
#include "resolver.h"

#include <stdio.h>

#include "../../platform/sockaddr.h"
#include "../async/future.h"

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
        rondo_future_finish(job->future, 0, job->name, rondo_resolver_free_name);
        job->name = NULL;
    } else {
        rondo_future_finish(job->future, 0, job->info, rondo_resolver_free_info);
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

void rondo_resolvers_close(rondo_loop *loop)
{
    if (loop->resolvers)
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

/* --- what is asked ------------------------------------------------------------------------------------ */

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

rondo_future *rondo_resolver_getaddrinfo(rondo_loop *loop, const rondo_addrinfo_query *query)
{
    struct job *job = make_job(query);
    if (!job) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    return start_job(loop, job);
}

rondo_future *rondo_resolver_getnameinfo(rondo_loop *loop, const rondo_address *address, int flags)
{
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
