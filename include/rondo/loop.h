/* SPDX-License-Identifier: MIT */
/** The loop: creating, running, calls, timers, errors (18.5.1.1 to 18.5.1.3, 18.5.1.14).
 *
 *  A loop belongs to the thread that runs it. Only rondo_loop_call_soon_threadsafe may be called
 *  from others. Each pass waits for I/O, queues what completed, queues the timers that are due
 *  and then runs exactly what stands in the queue, in that order. */
#ifndef RONDO_LOOP_H
#define RONDO_LOOP_H

#include <rondo/backend.h>
#include <rondo/handle.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** How a loop is made. Start from RONDO_LOOP_OPTIONS and change what you need. */
typedef struct rondo_loop_options {
    size_t size;           /**< sizeof(rondo_loop_options) */
    rondo_backend backend; /**< AUTO also looks at RONDO_BACKEND in the environment */
    bool fallback;         /**< a backend that cannot run: take what can, see rondo_loop_fallback_reason */
    bool extended;         /**< go beyond the documented proactor: see docs/backends.md */
    const rondo_allocator *allocator; /**< borrowed for the call; NULL: malloc */
    /** The clock, for tests; NULL: the system's monotonic one. Where it is given, the loop asks
     *  the backend to wait no longer than the real time that the difference names. */
    rondo_ns (*clock)(void *context);
    void *clock_context;
    size_t task_stack_size; /**< bytes for each task's stack; 0: 64 KiB */
    /** Largest chunk of data_received, in bytes; 0: as in asyncio, 256 KiB on a selector and 64 KiB on a proactor. One buffer
     *  of this size for each loop, of which only what is used takes memory. On io_uring up to four of them, of at most
     *  64 KiB each, are received by one call and follow one another in a pass. Less makes bulk transfer dearer. */
    size_t receive_buffer_size;
    /** io_uring: buffers that the kernel fills, of the size above but at most 64 KiB each, and as much of each takes
     *  memory as was ever filled; rounded up to a power of two; 0: 64. As many connections as are ready in one pass
     *  (about 20, see ring_entries) should find one: else each costs a system call. 256 are no faster than 64. */
    unsigned receive_buffers;
    /** io_uring: submission entries, 64 bytes each, and for each 8 completions of 48 bytes; rounded up to a power of two;
     *  0: 256 (about 110 KiB). More than are handed over in a pass serve nobody: the kernel completes
     *  about 20 operations at a time, and neither 64 nor 1024 entries are faster or slower with 64 connections. */
    unsigned ring_entries;
    rondo_ns spin_ns;          /**< spin this long before sleeping in the kernel; 0: never */
    unsigned resolver_threads; /**< threads for name resolution, at most; 0: 4 */
} rondo_loop_options;

#define RONDO_LOOP_OPTIONS_INIT                                                                          \
    {                                                                                                    \
        sizeof(rondo_loop_options), RONDO_BACKEND_AUTO, false, false, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0 \
    }
#if defined(__cplusplus)
#define RONDO_LOOP_OPTIONS (rondo_loop_options RONDO_LOOP_OPTIONS_INIT)
#else
#define RONDO_LOOP_OPTIONS ((rondo_loop_options) RONDO_LOOP_OPTIONS_INIT)
#endif

/** Create a loop (asyncio.new_event_loop). @options may be NULL: the defaults.
 *  The loop is owned by the caller: rondo_loop_free. Any thread.
 *  Returns 0; RONDO_EINVAL for a bad option; RONDO_EUNAVAILABLE, or the system's error, when the
 *  backend cannot run here (rondo_last_error_message says why); RONDO_ENOMEM. */
RONDO_API int rondo_loop_new(const rondo_loop_options *options, rondo_loop **ret_loop);

/** Close the loop if it is not closed yet and release its memory. NULL does nothing.
 *  Returns 0; RONDO_ERUNNING while it runs or closes, RONDO_EFORKED as rondo_loop_close: nothing changed. */
RONDO_API int rondo_loop_free(rondo_loop *loop);

/** Run until stop is called (run_forever, 18.5.1.1). Called with a stop pending it makes one pass
 *  that does not block. Makes this loop the running one of the thread while it lasts.
 *  Returns 0 after a stop; RONDO_ECLOSED, RONDO_ERUNNING (this or another loop of the thread),
 *  RONDO_EFORKED: nothing happened; RONDO_EINTERRUPTED when a callback raised it; an error of the
 *  backend's wait. In each case the loop can run again. */
RONDO_API int rondo_loop_run_forever(rondo_loop *loop);

/** Run until @future is done (run_until_complete, 18.5.1.1). Consumes the caller's reference to
 *  @future in every case; take another one before the call to keep it.
 *  Returns what rondo_future_result would; its value goes to @ret_value (may be NULL).
 *  RONDO_ESTOPPED when the loop was stopped first: the future goes on pending. RONDO_EOTHERLOOP,
 *  RONDO_ECLOSED, RONDO_ERUNNING: nothing was started. A NULL @future gives the error of the call that
 *  returned it (rondo_last_error). */
RONDO_API int rondo_loop_run_until_complete(rondo_loop *loop, rondo_future *future, void **ret_value);

/** Ask the loop to end its run after the current pass (18.5.1.1). Does not wake it: from another
 *  thread send it through call_soon_threadsafe. On a closed loop it does nothing. */
RONDO_API void rondo_loop_stop(rondo_loop *loop);

RONDO_API bool rondo_loop_is_running(const rondo_loop *loop);
RONDO_API bool rondo_loop_is_closed(const rondo_loop *loop);

/** Close (18.5.1.1): queued callbacks and timers are dropped uncalled, their contexts released;
 *  open transports end with connection_lost(RONDO_ECLOSED); pending tasks are reported and
 *  destroyed. Waits for the kernel to give back every buffer in flight, not for the resolver's
 *  threads. May be repeated. Returns 0; RONDO_ERUNNING; RONDO_EFORKED in a forked child, which leaves its copy alone, as
 *  closing it would reach the parent's connections: nothing changed. */
RONDO_API int rondo_loop_close(rondo_loop *loop);

/** Queue @callback for the next pass (call_soon, 18.5.1.2). First in, first out; called exactly
 *  once. @ret_handle may be NULL. Loop thread only (checked in debug mode while it runs).
 *  Returns 0; RONDO_ECLOSED, RONDO_EINVAL (no callback), RONDO_ETHREAD, RONDO_ENOMEM: nothing queued. */
RONDO_API int rondo_loop_call_soon(rondo_loop *loop, rondo_handle *ret_handle, rondo_callback *callback,
                                   void *context);

/** The same from any thread, waking the loop where it sleeps (call_soon_threadsafe, 18.5.1.2).
 *  Calls of one thread keep their order. The loop must not be freed during the call.
 *  The handle may be cancelled on the loop's thread only. */
RONDO_API int rondo_loop_call_soon_threadsafe(rondo_loop *loop, rondo_handle *ret_handle,
                                              rondo_callback *callback, void *context);

/** Call @callback once when @delay has passed (call_later, 18.5.1.3). Any delay is legal: one that
 *  is negative is due in the next pass, RONDO_FOREVER never. Errors as call_soon. */
RONDO_API int rondo_loop_call_later(rondo_loop *loop, rondo_ns delay, rondo_handle *ret_handle,
                                    rondo_callback *callback, void *context);

/** The same with an absolute time on the scale of rondo_loop_time (call_at, 18.5.1.3). */
RONDO_API int rondo_loop_call_at(rondo_loop *loop, rondo_ns when, rondo_handle *ret_handle,
                                 rondo_callback *callback, void *context);

/** A call with all that can be said of it, for rondo_loop_call. */
typedef struct rondo_call {
    size_t size; /**< sizeof(rondo_call) */
    rondo_callback *callback;
    void *context;
    rondo_destructor *destroy; /**< releases @context once: after the call, at cancel or at close */
    const char *name;          /**< for the debug mode's reports; must outlive the call */
    rondo_ns when;             /**< deadline; looked at by rondo_loop_call_timed only */
} rondo_call;

/** call_soon, call_soon_threadsafe and call_at for a call with a destructor and a name.
 *  When they fail, the destructor is not called: the context is still the caller's. */
RONDO_API int rondo_loop_call(rondo_loop *loop, const rondo_call *call, rondo_handle *ret_handle);
RONDO_API int rondo_loop_call_threadsafe(rondo_loop *loop, const rondo_call *call, rondo_handle *ret_handle);
RONDO_API int rondo_loop_call_timed(rondo_loop *loop, const rondo_call *call, rondo_handle *ret_handle);

/** The loop's clock (18.5.1.3): monotonic, arbitrary origin, read afresh at each call. */
RONDO_API rondo_ns rondo_loop_time(const rondo_loop *loop);

/* --- the loop of a thread ------------------------------------------------------------------ */

/** The loop that runs on this thread (get_running_loop); NULL with RONDO_ENOTRUNNING. */
RONDO_API rondo_loop *rondo_loop_running(void);

/** The running loop, else the one set for this thread; the process's main thread gets one made at
 *  the first call (get_event_loop). NULL with RONDO_ENOTRUNNING on other threads, or with the
 *  error of rondo_loop_new. A loop made here is owned by the thread: set it to NULL to free it. */
RONDO_API rondo_loop *rondo_loop_current(void);

/** Set the loop of this thread (set_event_loop). NULL is allowed. A loop that rondo_loop_current
 *  made is freed when it is replaced, but not in a forked child; one set by the program is not. Returns 0; RONDO_ERUNNING where
 *  the one to be freed runs: nothing changed. */
RONDO_API int rondo_loop_set_current(rondo_loop *loop);

/* --- errors that nobody waits for (18.5.1.14) --------------------------------------------- */

/** What an exception handler is told. `message` is always there, the rest may be NULL or 0.
 *  Borrowed for the call. New fields are added at the end; `size` tells. */
typedef struct rondo_exception_context {
    size_t size;
    const char *message;
    int error;                 /**< `exception`: a code, 0 for none */
    const char *error_message; /**< its text */
    rondo_future *future;
    const rondo_handle *handle;
    const char *handle_name; /**< the name given with rondo_call */
    rondo_protocol *protocol;
    rondo_transport *transport;
    rondo_socket socket; /**< RONDO_INVALID_SOCKET for none */
    rondo_task *task;
    const struct rondo_exception_context *context; /**< the first one, where the handler failed */
} rondo_exception_context;

#define RONDO_EXCEPTION_CONTEXT_INIT                                                                        \
    {                                                                                                       \
        sizeof(rondo_exception_context), NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, RONDO_INVALID_SOCKET, \
            NULL, NULL                                                                                      \
    }

typedef void rondo_exception_handler(rondo_loop *loop, const rondo_exception_context *context, void *user);

/** Install @handler (set_exception_handler); NULL brings the default back. */
RONDO_API int rondo_loop_set_exception_handler(rondo_loop *loop, rondo_exception_handler *handler,
                                               void *user);

/** The handler and, in @ret_user (may be NULL), its user pointer; NULL while the default is in use. */
RONDO_API rondo_exception_handler *rondo_loop_get_exception_handler(const rondo_loop *loop, void **ret_user);

/** Call the handler that is in use, at once (call_exception_handler). A handler that fails
 *  (rondo_raise) makes the default one run with that error and @context nested in it. */
RONDO_API int rondo_loop_call_exception_handler(rondo_loop *loop, const rondo_exception_context *context);

/** What is done without a handler (default_exception_handler): the message and the other entries
 *  are logged through rondo_log. A handler may call it to defer to it. */
RONDO_API void rondo_loop_default_exception_handler(rondo_loop *loop, const rondo_exception_context *context);

/* --- logging ------------------------------------------------------------------------------- */

typedef enum rondo_log_level {
    RONDO_LOG_DEBUG,
    RONDO_LOG_INFO,
    RONDO_LOG_WARNING,
    RONDO_LOG_ERROR
} rondo_log_level;

/** Receives each finished line, without a newline. May be called from any thread. */
typedef void rondo_log_sink(rondo_log_level level, const char *line, void *user);

/** Where log lines go, for the whole process. The default writes warnings and errors to the
 *  standard error stream, as Python's logging of last resort does. @sink NULL: nothing is written. */
RONDO_API void rondo_log_set_sink(rondo_log_sink *sink, void *user);

/** Bring the default sink back. */
RONDO_API void rondo_log_reset_sink(void);

/* --- debug mode (18.5.1.15) ----------------------------------------------------------------- */

/** True at first if RONDO_DEBUG or PYTHONASYNCIODEBUG is set in the environment and not empty. */
RONDO_API bool rondo_loop_get_debug(const rondo_loop *loop);
RONDO_API void rondo_loop_set_debug(rondo_loop *loop, bool enabled);

/** In debug mode a callback or step that takes this long is logged; 100 ms at first. */
RONDO_API rondo_ns rondo_loop_get_slow_callback_duration(const rondo_loop *loop);
RONDO_API void rondo_loop_set_slow_callback_duration(rondo_loop *loop, rondo_ns duration);

/* --- metrics -------------------------------------------------------------------------------- */

/** Counters since the loop was made. */
typedef struct rondo_loop_metrics {
    size_t size;
    uint64_t passes;      /**< turns of the loop */
    uint64_t callbacks;   /**< items run from the queue */
    uint64_t completions; /**< finished I/O operations */
    uint64_t timers;      /**< timers fired */
    uint64_t waits;       /**< passes that slept in the kernel */
} rondo_loop_metrics;

/** Fill in *@ret_metrics, whose `size` the caller has set. Loop thread.
 *  Returns 0; RONDO_EINVAL for a size of 0. */
RONDO_API int rondo_loop_get_metrics(const rondo_loop *loop, rondo_loop_metrics *ret_metrics);

RONDO_END_DECLS

#endif
