/* SPDX-License-Identifier: MIT */
/** Futures (18.5.1.4): an outcome that arrives later.
 *
 *  Counted: who is given a future holds one reference and lets it go with rondo_future_unref.
 *  A call that *waits* for a future (rondo_await, rondo_loop_run_until_complete, rondo_wait_for,
 *  rondo_shield) consumes the caller's reference, so that calls nest without leaking:
 *  rondo_await(rondo_sleep(loop, RONDO_MS(50)), NULL). A call that returns a future and cannot even
 *  begin returns NULL; waiting for NULL gives the error of that call.
 *  All functions: loop thread only. */
#ifndef RONDO_FUTURE_H
#define RONDO_FUTURE_H

#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** A pending future of @loop (create_future, 18.5.1.4); one reference. Works on a closed loop too.
 *  NULL with RONDO_ENOMEM or RONDO_EINVAL. */
RONDO_API rondo_future *rondo_future_new(rondo_loop *loop);

/** One more reference; returns @future. NULL is allowed. */
RONDO_API rondo_future *rondo_future_ref(rondo_future *future);

/** One less. The last one frees it; if it holds an error that nobody has looked at, the exception
 *  handler hears of it. NULL is allowed. */
RONDO_API void rondo_future_unref(rondo_future *future);

/** Complete it with @value. Callbacks are queued in the order added, never run here.
 *  Returns 0; RONDO_EINVALIDSTATE when it is done already (then @value is still the caller's);
 *  RONDO_ERUNTIME codes: RONDO_ECLOSED when it has callbacks and its loop is closed, RONDO_EBUSY on
 *  a task (only its coroutine completes it). */
RONDO_API int rondo_future_set_result(rondo_future *future, void *value);

/** The same with a value that the future owns: @destroy is called with it when the future is
 *  freed, unless somebody has taken it with rondo_future_take. */
RONDO_API int rondo_future_set_result_owned(rondo_future *future, void *value, rondo_destructor *destroy);

/** Complete it with the error @code (negative) and @message (copied; NULL: the code's text).
 *  Errors as set_result; RONDO_EINVAL for a code that is no error, RONDO_ETYPE for RONDO_ECANCELLED
 *  (use rondo_future_cancel). */
RONDO_API int rondo_future_set_error(rondo_future *future, int code, const char *message);

/** Ask for cancellation (Future.cancel, Task.cancel). A plain future is cancelled at once; a task
 *  gets RONDO_ECANCELLED from the call it waits in, and may refuse. Returns true if the request was
 *  taken, false if the future is done already; its error then counts as seen. */
RONDO_API bool rondo_future_cancel(rondo_future *future);

RONDO_API bool rondo_future_done(const rondo_future *future);
RONDO_API bool rondo_future_cancelled(const rondo_future *future);

/** The outcome. Returns 0 (a task: what its coroutine returned, if not negative) with the value in
 *  @ret_value (may be NULL; borrowed from the future), or the error it was completed with,
 *  RONDO_ECANCELLED included; RONDO_EINVALIDSTATE while pending. Looking counts as having seen the error. */
RONDO_API int rondo_future_result(rondo_future *future, void **ret_value);

/** The error it was completed with, 0 for a result; @ret_message (may be NULL) gets the text,
 *  borrowed from the future. RONDO_EINVALIDSTATE while pending, RONDO_ECANCELLED when cancelled. */
RONDO_API int rondo_future_error(rondo_future *future, const char **ret_message);

/** Take the value out of a done future: like rondo_future_result, and the value is the caller's
 *  from now on. */
RONDO_API int rondo_future_take(rondo_future *future, void **ret_value);

/** Called once when the future is done, from the queue; @future is borrowed for the call. */
typedef void rondo_done_callback(rondo_future *future, void *context);

/** Queue @callback when the future is done; at once if it is (add_done_callback). The same callback
 *  may be added several times. Returns 0; RONDO_EINVAL, RONDO_ENOMEM, RONDO_ECLOSED. */
RONDO_API int rondo_future_add_done_callback(rondo_future *future, rondo_done_callback *callback,
                                             void *context);

/** Remove every occurrence of @callback with @context that is not queued yet; returns how many. */
RONDO_API size_t rondo_future_remove_done_callback(rondo_future *future, rondo_done_callback *callback,
                                                   void *context);

/** The loop it belongs to. Any thread. */
RONDO_API rondo_loop *rondo_future_loop(const rondo_future *future);

RONDO_END_DECLS

#endif
