/* SPDX-License-Identifier: MIT */
/* See watch.h. */
#include "watch.h"

static void destroy(void *context)
{
    watch_act *act = context;
    act->destroyed++;
    trace("~%s", act->name);
    if (act->insists && act->destroyed == 1)
        act->refusal = rondo_loop_add_writer(act->loop, act->sock, watch_on_ready, act);
}

int watch_add_reader(rondo_loop *loop, watch_act *act)
{
    rondo_call call = { sizeof call, watch_on_ready, act, destroy, act->name, 0 };
    act->loop = loop;
    return rondo_loop_add_reader_call(loop, act->sock, &call);
}

int watch_add_writer(rondo_loop *loop, watch_act *act)
{
    rondo_call call = { sizeof call, watch_on_ready, act, destroy, act->name, 0 };
    act->loop = loop;
    return rondo_loop_add_writer_call(loop, act->sock, &call);
}

void watch_on_ready(void *context)
{
    watch_act *act = context;
    char bytes[64];
    act->calls++;
    trace("%s", act->name);
    if (act->reads)
        peer_recv_now(act->sock, bytes, sizeof bytes);
    if (act->removes_reader)
        ck_assert_int_eq(rondo_loop_remove_reader(act->loop, act->sock), 1);
    if (act->removes_writer)
        ck_assert_int_eq(rondo_loop_remove_writer(act->loop, act->sock), 1);
    if (act->adds_reader)
        ck_assert_int_eq(watch_add_reader(act->loop, act->adds_reader), 0);
    if (act->adds_writer)
        ck_assert_int_eq(watch_add_writer(act->loop, act->adds_writer), 0);
    if (act->raises)
        rondo_raise(RONDO_EINVAL, "no good");
    if (act->stops)
        rondo_loop_stop(act->loop);
    if (act->removes_reader || act->removes_writer || act->adds_reader || act->adds_writer)
        trace("%s.", act->name); /* the context is still there */
}
