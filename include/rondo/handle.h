/* SPDX-License-Identifier: MIT */
/** Handles: what call_soon and its kin return (18.5.1.17). */
#ifndef RONDO_HANDLE_H
#define RONDO_HANDLE_H

#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** Names one registered call. A value: copy it, forget it; nothing is leaked by either.
 *  It may be used after the call ran and after the loop was closed, not after rondo_loop_free.
 *  A zeroed handle names nothing, and cancelling it does nothing. */
typedef struct rondo_handle {
    rondo_loop *loop;
    uint32_t slot;       /**< private */
    uint32_t generation; /**< private */
    rondo_ns when;       /**< private: the deadline of a timer */
    bool cancelled;      /**< private: cancel was called through this value */
} rondo_handle;

/** Prevent the call if it has not begun (Handle.cancel, 18.5.1.17), and release its context at
 *  once. On a handle that was cancelled or has run, or on NULL, it does nothing. Loop thread. */
RONDO_API void rondo_handle_cancel(rondo_handle *handle);

/** Whether cancel was called for the call that @handle names. A copy that was not the one
 *  cancelled may answer false once the loop has dropped the cancelled call. Loop thread. */
RONDO_API bool rondo_handle_cancelled(const rondo_handle *handle);

/** The deadline of a timer on the scale of rondo_loop_time, unchanged after it fired or was
 *  cancelled (TimerHandle.when); 0 for a handle that is no timer. Any thread. */
RONDO_API rondo_ns rondo_handle_when(const rondo_handle *handle);

/** Move the timer that @handle names to the deadline @when without registering it anew; much
 *  cheaper than cancelling it and calling call_at. No Python counterpart. Loop thread.
 *  Returns 0; RONDO_EINVALIDSTATE when it has fired, is already queued to run or was cancelled,
 *  or is no timer: nothing changed. */
RONDO_API int rondo_handle_rearm(rondo_handle *handle, rondo_ns when);

RONDO_END_DECLS

#endif
