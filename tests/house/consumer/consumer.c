/* SPDX-License-Identifier: MIT */
/* A program of somebody else's: a task that sleeps, on a loop of the default backend. */
#include <rondo.h>

#include <stdio.h>

static int body(void *context)
{
    *(const char **) context = rondo_loop_backend_name(rondo_loop_running());
    return rondo_await(rondo_sleep(rondo_loop_running(), RONDO_MS(1)), NULL);
}

int main(void)
{
    const char *backend = "none";
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    int rc = rondo_run(&options, body, (void *) &backend);
    printf("consumer in C: %s, %s\n", backend, rondo_strerror(rc));
    return rc < 0;
}
