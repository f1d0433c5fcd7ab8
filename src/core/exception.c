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

void rondo_nested_keep_raised(rondo_loop *loop, struct rondo_nested *nested)
{
    memcpy(nested->message, loop->raised_message, sizeof nested->message);
    loop->raised = 0;
}

int rondo_nested_take_raised(rondo_loop *loop, struct rondo_nested *nested, const char **ret_message)
{
    char kept[sizeof nested->message];
    const char *message = "";
    int code = rondo_loop_take_raised(loop, &message);
    if (nested->raised)
        memcpy(kept, nested->message, sizeof kept);
    snprintf(nested->message, sizeof nested->message, "%s", message);
    if (nested->raised)
        memcpy(loop->raised_message, kept, sizeof kept);
    loop->raised = nested->raised;
    *ret_message = nested->message;
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
static void report_handler_failure(rondo_loop *loop, int code, const char *message,
                                   const rondo_exception_context *first)
{
    rondo_exception_context context = RONDO_EXCEPTION_CONTEXT_INIT;
    context.message = "Unhandled error in exception handler";
    context.error = code;
    context.error_message = message;
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
    struct rondo_nested nested; /* a handler may be called by a callback that has raised already */
    const char *message;
    rondo_nested_enter(loop, &nested);
    loop->exception_handler(loop, context, loop->exception_handler_user);
    int code = rondo_nested_leave(loop, &nested, &message);
    if (code)
        report_handler_failure(loop, code, message, context);
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
