/* SPDX-License-Identifier: MIT */
/* Errors that nobody waits for: rondo_raise, the exception handler, the default one (18.5.1.14).
 *
 * A callback that fails says so by rondo_raise; whoever called it takes the failure up when it returns and reports
 * it. A handler that fails makes the default one run with both failures. The loop survives all of it. */
#include "loop.h"

#include <stdio.h>
#include <string.h>

int rondo_raise(int code, const char *format, ...)
{
    if (code >= 0)
        code = RONDO_EFAILED;
    va_list arguments;
    va_start(arguments, format);
    rondo_fail_v(code, format, arguments);
    va_end(arguments);
    rondo_loop *loop = rondo_thread_state.calling ? rondo_thread_state.calling : rondo_thread_state.running;
    if (loop && (!rondo_thread_state.coroutine || loop->nesting)) {
        loop->raised = code;
        snprintf(loop->raised_message, sizeof loop->raised_message, "%s", rondo_last_error_message());
    }
    return code;
}

int rondo_loop_take_raised_slow(rondo_loop *loop, const char **ret_message)
{
    int code = loop->raised;
    loop->raised = 0;
    if (rondo_err_class(code) == RONDO_CLASS_INTERRUPT) {
        rondo_loop_interrupt(loop, code);
        return 0;
    }
    *ret_message = loop->raised_message;
    return code;
}

void rondo_loop_interrupt(rondo_loop *loop, int code)
{
    rondo_fail_text(code, NULL);
    loop->interrupt = code;
}

int rondo_loop_set_exception_handler(rondo_loop *loop, rondo_exception_handler *handler, void *user)
{
    if (!loop)
        return rondo_fail(RONDO_EINVAL, "no loop given");
    loop->exception_handler = handler;
    loop->exception_handler_user = handler ? user : NULL;
    return 0;
}

rondo_exception_handler *rondo_loop_get_exception_handler(const rondo_loop *loop, void **ret_user)
{
    if (!loop)
        return NULL;
    if (ret_user)
        *ret_user = loop->exception_handler_user;
    return loop->exception_handler;
}

/* One line for each entry that is there, in the order of its key. */
void rondo_loop_default_exception_handler(rondo_loop *loop, const rondo_exception_context *context)
{
    if (!loop || !context)
        return;
    rondo_log(RONDO_LOG_ERROR, "%s",
              context->message ? context->message : "Unhandled exception in event loop");
    if (context->context)
        rondo_log(RONDO_LOG_ERROR, "context: %s: %s", context->context->message,
                  context->context->error_message ? context->context->error_message : "");
    if (context->error)
        rondo_log(RONDO_LOG_ERROR, "exception: %s: %s", rondo_err_name(context->error),
                  context->error_message ? context->error_message : rondo_strerror(context->error));
    if (context->future)
        rondo_log(RONDO_LOG_ERROR, "future: %p", (void *) context->future);
    if (context->handle)
        rondo_log(RONDO_LOG_ERROR, "handle: %s", context->handle_name ? context->handle_name : "(no name)");
    if (context->protocol)
        rondo_log(RONDO_LOG_ERROR, "protocol: %p", (void *) context->protocol);
    if (context->socket != RONDO_INVALID_SOCKET)
        rondo_log(RONDO_LOG_ERROR, "socket: %lld", (long long) context->socket);
    if (context->task)
        rondo_log(RONDO_LOG_ERROR, "task: %s", rondo_task_name(context->task));
    if (context->transport)
        rondo_log(RONDO_LOG_ERROR, "transport: %p", (void *) context->transport);
}

/* The handler failed: the default one hears of that, with the first failure nested. */
static void report_handler_failure(rondo_loop *loop, int code, const rondo_exception_context *first)
{
    char text[sizeof loop->raised_message];
    memcpy(text, loop->raised_message, sizeof text);
    rondo_exception_context context = RONDO_EXCEPTION_CONTEXT_INIT;
    context.message = "Unhandled error in exception handler";
    context.error = code;
    context.error_message = text;
    context.context = first;
    rondo_loop_default_exception_handler(loop, &context);
}

int rondo_loop_call_exception_handler(rondo_loop *loop, const rondo_exception_context *context)
{
    if (!loop || !context || !context->size || !context->message)
        return rondo_fail(RONDO_EINVAL, "no loop, no context or no message given");
    if (!loop->exception_handler) {
        rondo_loop_default_exception_handler(loop, context);
        return 0;
    }
    int outer = loop->raised; /* a handler may be called by a callback that has raised already */
    char outer_message[sizeof loop->raised_message];
    memcpy(outer_message, loop->raised_message, sizeof outer_message);
    loop->raised = 0;
    rondo_loop *outer_loop = rondo_nested_enter(loop);
    loop->exception_handler(loop, context, loop->exception_handler_user);
    rondo_nested_leave(loop, outer_loop);
    const char *message;
    int code = rondo_loop_take_raised(loop, &message);
    if (code)
        report_handler_failure(loop, code, context);
    loop->raised = outer;
    memcpy(loop->raised_message, outer_message, sizeof outer_message);
    return 0;
}

void rondo_loop_report(rondo_loop *loop, rondo_exception_context context)
{
    char text[512]; /* the handler may raise, which overwrites what the message points to */
    context.size = sizeof context;
    if (context.error_message) {
        snprintf(text, sizeof text, "%s", context.error_message);
        context.error_message = text;
    }
    rondo_loop_call_exception_handler(loop, &context);
}
