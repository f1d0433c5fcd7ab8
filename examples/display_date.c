/* SPDX-License-Identifier: MIT */
/* The current date every second for five seconds, with call_later: the second example of asyncio's page
 * (18.5.1.18.2).
 *
 * The callback registers itself again until the end time is near, and then stops the loop. */
#include <rondo.h>
#include <stdio.h>
#include <time.h>

struct clock {
    rondo_loop *loop;
    rondo_ns end_time; /* on the scale of rondo_loop_time */
};

static void print_now(void)
{
    struct timespec now;
    char date[32];
    timespec_get(&now, TIME_UTC);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", localtime(&now.tv_sec));
    printf("%s.%06ld\n", date, now.tv_nsec / 1000);
    fflush(stdout);
}

static void display_date(void *context)
{
    struct clock *clock = context;
    print_now();
    if (rondo_loop_time(clock->loop) + RONDO_S(1) < clock->end_time)
        rondo_loop_call_later(clock->loop, RONDO_S(1), NULL, display_date, clock);
    else
        rondo_loop_stop(clock->loop);
}

int main(void)
{
    struct clock clock = { NULL, 0 };
    if (rondo_loop_new(NULL, &clock.loop) < 0) {
        fprintf(stderr, "display_date: %s\n", rondo_last_error_message());
        return 1;
    }

    /* Schedule the first call to display_date(). */
    clock.end_time = rondo_loop_time(clock.loop) + RONDO_S(5);
    rondo_loop_call_soon(clock.loop, NULL, display_date, &clock);

    /* Blocking call interrupted by rondo_loop_stop(). */
    rondo_loop_run_forever(clock.loop);

    rondo_loop_free(clock.loop);
    return 0;
}
