/* SPDX-License-Identifier: MIT */
/* Hello World with call_soon: the first example of asyncio's page (18.5.1.18.1).
 *
 * A callback is queued, the loop runs it in its first pass, and it stops the loop. */
#include <rondo.h>
#include <stdio.h>

static void hello_world(void *context)
{
    rondo_loop *loop = context;
    printf("Hello World\n");
    rondo_loop_stop(loop);
}

int main(void)
{
    rondo_loop *loop = NULL;
    if (rondo_loop_new(NULL, &loop) < 0) { /* NULL: the default options */
        fprintf(stderr, "hello_world: %s\n", rondo_last_error_message());
        return 1;
    }

    /* Schedule a call to hello_world(). Its handle, with which it could be cancelled, is not needed. */
    rondo_loop_call_soon(loop, NULL, hello_world, loop);

    /* Blocking call interrupted by rondo_loop_stop(). */
    rondo_loop_run_forever(loop);

    rondo_loop_free(loop); /* closes it, too */
    return 0;
}
