/* SPDX-License-Identifier: MIT */
/* The loop of a thread: the one that runs, and the one that is set.
 *
 * The running one is recorded for exactly the time of the run; a forked child has none, which the loop's
 * process number tells. The one that is set belongs to the program, but for one made here on the main thread. */
#include "loop.h"

_Thread_local struct rondo_thread_state rondo_thread_state;

rondo_loop *rondo_loop_of_thread(void)
{
    rondo_loop *loop = rondo_thread_state.running;
    return loop && loop->process == rondo_process_self() ? loop : NULL;
}

rondo_loop *rondo_loop_running(void)
{
    rondo_loop *loop = rondo_loop_of_thread();
    if (!loop)
        rondo_fail(RONDO_ENOTRUNNING, "no loop is running on this thread");
    return loop;
}

rondo_loop *rondo_loop_current(void)
{
    rondo_loop *loop = rondo_loop_of_thread();
    if (loop)
        return loop;
    if (rondo_thread_state.set)
        return rondo_thread_state.set;
    if (!rondo_thread_is_main()) {
        rondo_fail(RONDO_ENOTRUNNING, "there is no current loop on this thread; make one and set it");
        return NULL;
    }
    if (rondo_loop_new(NULL, &loop) < 0)
        return NULL;
    rondo_thread_state.set = loop;
    rondo_thread_state.owns_set = true;
    return loop;
}

int rondo_loop_set_current(rondo_loop *loop)
{
    rondo_loop *old = rondo_thread_state.owns_set ? rondo_thread_state.set : NULL;
    bool is_ours = old && old->process == rondo_process_self(); /* else it is left alone */
    if (is_ours && old != loop) {
        int rc = rondo_loop_free(old);
        if (rc < 0)
            return rc; /* it runs: it stays */
    }
    rondo_thread_state.owns_set = old && old == loop;
    rondo_thread_state.set = loop;
    return 0;
}
