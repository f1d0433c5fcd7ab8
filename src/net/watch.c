/* SPDX-License-Identifier: MIT */
/* add_reader, add_writer and their removal (18.5.1.8), over the table of descriptors.
 *
 * The happy path: the side gets the call, and from then on each completion of its operation is a call of the callback.
 * Failures: what the program may not watch is refused at once; a registration that fails later ends the watch, which the
 * exception handler hears. Invariant: a context is released exactly once, and never while its callback runs. */
#include <rondo/watch.h>

#include "descriptor.h"

/* --- being told --------------------------------------------------------------------------------------------- */

static void report(rondo_loop *loop, const struct rondo_watch *watch, rondo_socket sock, const char *message,
                   int code, const char *error_message)
{
    rondo_loop_report(loop, (rondo_exception_context){
                                .message = message,
                                .error = code,
                                .error_message = error_message,
                                .handle_name = watch->name,
                                .socket = sock,
                            });
}

/* The callback may take the watch off, and so the context is not released before it has returned. */
static void call_ready(struct rondo_side *side)
{
    rondo_loop *loop = side->loop;
    struct rondo_watch watch = side->watch;
    bool gone = false;
    side->gone = &gone;
    loop->callback_name = watch.name;
    watch.callback(watch.context);
    const char *message;
    int code = rondo_loop_take_raised(loop, &message);
    if (code)
        report(loop, &watch, side->op.socket, "Exception in callback", code, message);
    if (!gone)
        side->gone = NULL;
    else if (watch.destroy)
        watch.destroy(watch.context);
}

static void call_ended(struct rondo_side *side, const struct rondo_watch *watch, int reason)
{
    if (reason != RONDO_EBUSY && reason != RONDO_ECLOSED)
        report(side->loop, watch, side->op.socket, "A descriptor cannot be watched any more", reason, NULL);
    if (side->gone) {
        *side->gone = true;
        side->gone = NULL;
    } else if (watch->destroy) {
        watch->destroy(watch->context);
    }
}

static const struct rondo_watch_type call_type = { .ready = call_ready, .ended = call_ended };

/* --- the calls ------------------------------------------------------------------------------------------------ */

static int check(rondo_loop *loop, rondo_socket descriptor)
{
    int rc = rondo_loop_check(loop);
    if (rc < 0)
        return rc;
    if (!(rondo_loop_capabilities(loop) & RONDO_CAN_WATCH_DESCRIPTORS))
        return rondo_fail(RONDO_ENOTSUP,
                          "a proactor's loop does not watch descriptors, unless it is made with "
                          "options.extended");
    if (rondo_descriptor_owner(loop, descriptor))
        return rondo_fail(RONDO_EBUSY, "the descriptor is used by a transport");
    return 0;
}

static int add(rondo_loop *loop, rondo_socket descriptor, enum rondo_side_number number,
               const rondo_call *call)
{
    int rc = check(loop, descriptor);
    if (rc < 0)
        return rc;
    if (!call || call->size < offsetof(rondo_call, when) || !call->callback)
        return rondo_fail(RONDO_EINVAL, "no callback given, or the size of the call is not set");
    const struct rondo_watch watch = { &call_type, call->callback, call->context, call->destroy, call->name };
    return rondo_descriptor_watch(loop, descriptor, number, &watch, NULL);
}

static int remove_watch(rondo_loop *loop, rondo_socket descriptor, enum rondo_side_number number)
{
    if (loop && loop->closed)
        return 0;
    int rc = check(loop, descriptor);
    if (rc < 0)
        return rc;
    struct rondo_side *side = rondo_descriptor_watched(loop, descriptor, number);
    if (!side || side->watch.type != &call_type)
        return 0;
    struct rondo_watch watch = side->watch;
    rondo_side_clear(side);
    call_ended(side, &watch, RONDO_EBUSY);
    return 1;
}

int rondo_loop_add_reader_call(rondo_loop *loop, rondo_socket descriptor, const rondo_call *call)
{
    return add(loop, descriptor, RONDO_SIDE_READ, call);
}

int rondo_loop_add_writer_call(rondo_loop *loop, rondo_socket descriptor, const rondo_call *call)
{
    return add(loop, descriptor, RONDO_SIDE_WRITE, call);
}

int rondo_loop_add_reader(rondo_loop *loop, rondo_socket descriptor, rondo_callback *callback, void *context)
{
    rondo_call call = { .size = sizeof call, .callback = callback, .context = context };
    return add(loop, descriptor, RONDO_SIDE_READ, &call);
}

int rondo_loop_add_writer(rondo_loop *loop, rondo_socket descriptor, rondo_callback *callback, void *context)
{
    rondo_call call = { .size = sizeof call, .callback = callback, .context = context };
    return add(loop, descriptor, RONDO_SIDE_WRITE, &call);
}

int rondo_loop_remove_reader(rondo_loop *loop, rondo_socket descriptor)
{
    return remove_watch(loop, descriptor, RONDO_SIDE_READ);
}

int rondo_loop_remove_writer(rondo_loop *loop, rondo_socket descriptor)
{
    return remove_watch(loop, descriptor, RONDO_SIDE_WRITE);
}
