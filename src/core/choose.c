/* SPDX-License-Identifier: MIT */
/* Choosing a backend, and asking what can run here.
 *
 * A request is a name, a family, or auto (then RONDO_BACKEND in the environment may name one). A family takes the first of
 * its backends that opens; a name takes that or fails with the reason; with `fallback` anything that opens is taken and
 * the reason kept. */
#include "choose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

static const struct {
    rondo_backend backend;
    const char *name;
} names[] = {
    { RONDO_BACKEND_AUTO, "auto" },         { RONDO_BACKEND_SELECTOR, "selector" },
    { RONDO_BACKEND_PROACTOR, "proactor" }, { RONDO_BACKEND_EPOLL, "epoll" },
    { RONDO_BACKEND_KQUEUE, "kqueue" },     { RONDO_BACKEND_POLL, "poll" },
    { RONDO_BACKEND_IO_URING, "io_uring" }, { RONDO_BACKEND_IOCP, "iocp" },
};

#define NAME_COUNT (sizeof names / sizeof *names)

const char *rondo_backend_name(rondo_backend backend)
{
    for (size_t i = 0; i < NAME_COUNT; i++)
        if (names[i].backend == backend)
            return names[i].name;
    return "unknown";
}

int rondo_backend_from_name(const char *name, rondo_backend *ret_backend)
{
    for (size_t i = 0; name && i < NAME_COUNT; i++) {
        if (strcmp(names[i].name, name) == 0) {
            if (ret_backend)
                *ret_backend = names[i].backend;
            return 0;
        }
    }
    return rondo_fail(RONDO_EINVAL,
                      "no backend is called '%s'; there are auto, selector, proactor, epoll, kqueue, "
                      "poll, io_uring, iocp",
                      name ? name : "");
}

static bool is_wanted(const struct rondo_driver_ops *ops, rondo_backend wanted)
{
    if (wanted == RONDO_BACKEND_SELECTOR)
        return !ops->is_proactor;
    if (wanted == RONDO_BACKEND_PROACTOR)
        return ops->is_proactor;
    return ops->backend == wanted;
}

/* Open the first backend that fits, or any; the error of the first that did not open. */
static int open_first(rondo_backend wanted, bool any, const struct rondo_driver_config *config,
                      struct rondo_core *core)
{
    int rc = 0;
    for (size_t i = 0; rondo_driver_registry[i]; i++) {
        const struct rondo_driver_ops *ops = rondo_driver_registry[i];
        if (!any && !is_wanted(ops, wanted))
            continue;
        int opened = ops->open(config, core, &core->driver);
        if (opened == 0)
            return 0;
        if (rc == 0)
            rc = opened;
    }
    if (rc == 0)
        return rondo_fail(RONDO_EUNAVAILABLE, "the backend '%s' is not built into this library",
                          rondo_backend_name(wanted));
    return rc;
}

/* auto: the environment's word, else the first backend in the registry's own order of preference. */
static int resolve_auto(rondo_backend *backend)
{
    const char *name = getenv("RONDO_BACKEND");
    if (name && *name)
        return rondo_backend_from_name(name, backend);
    return 0;
}

static int open_auto(const struct rondo_driver_config *config, struct rondo_core *core)
{
    return open_first(RONDO_BACKEND_AUTO, true, config, core);
}

int rondo_choose_driver(const rondo_loop_options *options, const rondo_allocator *allocator,
                        struct rondo_core *core, char **ret_reason)
{
    struct rondo_driver_config config = {
        .allocator = allocator,
        .receive_buffer_size = options->receive_buffer_size,
        .receive_buffers = options->receive_buffers,
        .ring_entries = options->ring_entries,
        .extended = options->extended,
    };
    rondo_backend wanted = options->backend;
    int rc = wanted == RONDO_BACKEND_AUTO ? resolve_auto(&wanted) : 0;
    if (rc < 0)
        return rc;
    if (wanted == RONDO_BACKEND_AUTO)
        return open_auto(&config, core);
    rc = open_first(wanted, false, &config, core);
    if (rc == 0 || !options->fallback)
        return rc;
    char reason[512];
    snprintf(reason, sizeof reason, "%s: %s", rondo_backend_name(wanted), rondo_last_error_message());
    if (open_auto(&config, core) < 0)
        return rondo_fail(rc, "%s", reason);
    *ret_reason = rondo_duplicate_text(allocator, reason);
    return 0;
}

/* --- questions --------------------------------------------------------------------------------- */

static _Thread_local char probe_texts[8][512]; /* what the last probe of this thread had to say */

static void probe_one(const struct rondo_driver_ops *ops, char *text, size_t capacity,
                      rondo_backend_info *info)
{
    struct rondo_driver_config config = { .allocator = &rondo_allocator_default };
    struct rondo_driver *driver;
    info->error = ops->open(&config, NULL, &driver);
    info->available = info->error == 0;
    if (info->available) {
        snprintf(text, capacity, "%s", ops->describe ? ops->describe(driver) : "");
        info->details = text;
        ops->close(driver);
    } else {
        snprintf(text, capacity, "%s", rondo_last_error_message());
        info->reason = text;
    }
}

size_t rondo_backend_probe(rondo_backend_info *ret_infos, size_t capacity)
{
    size_t count = 0;
    for (size_t i = RONDO_BACKEND_EPOLL; i <= RONDO_BACKEND_IOCP; i++, count++) {
        if (count >= capacity || !ret_infos)
            continue;
        rondo_backend backend = (rondo_backend) i;
        ret_infos[count] = (rondo_backend_info){
            .backend = backend,
            .name = rondo_backend_name(backend),
            .is_proactor = backend == RONDO_BACKEND_IO_URING || backend == RONDO_BACKEND_IOCP,
            .error = RONDO_ENOTSUP,
            .reason = "not built into this library",
            .details = "",
        };
        for (size_t k = 0; rondo_driver_registry[k]; k++) {
            if (rondo_driver_registry[k]->backend != backend)
                continue;
            ret_infos[count].reason = "";
            probe_one(rondo_driver_registry[k], probe_texts[count], sizeof probe_texts[count],
                      &ret_infos[count]);
        }
    }
    return count;
}

rondo_backend rondo_loop_backend(const rondo_loop *loop)
{
    return loop && loop->core.driver ? loop->core.driver->ops->backend : RONDO_BACKEND_AUTO;
}

const char *rondo_loop_backend_name(const rondo_loop *loop)
{
    return loop && loop->core.driver ? loop->core.driver->ops->name : "closed";
}

const char *rondo_loop_fallback_reason(const rondo_loop *loop)
{
    return loop ? loop->fallback_reason : NULL;
}

unsigned rondo_loop_capabilities(const rondo_loop *loop)
{
    if (!loop || !loop->core.driver)
        return 0;
    const struct rondo_driver_ops *ops = loop->core.driver->ops;
    return ops->capabilities | (loop->options.extended ? ops->extended_capabilities : 0);
}

const char *rondo_capability_name(unsigned capability)
{
#define NAME(bit) \
    {             \
        bit, #bit \
    }
    static const struct {
        unsigned bit;
        const char *name;
    } known[] = {
        NAME(RONDO_CAN_WATCH_DESCRIPTORS),
        NAME(RONDO_CAN_DATAGRAMS),
        NAME(RONDO_CAN_PIPES),
        NAME(RONDO_CAN_SUBPROCESSES),
        NAME(RONDO_CAN_BLOCKING_SOCKETS),
        NAME(RONDO_CAN_STREAMS),
        NAME(RONDO_CAN_UNIX_SOCKETS),
        NAME(RONDO_CAN_SIGNALS),
        NAME(RONDO_CAN_REUSE_PORT),
        NAME(RONDO_CAN_PROACT),
        NAME(RONDO_CAN_SOCKET_CALLS),
    };
#undef NAME
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].bit == capability)
            return known[i].name;
    return NULL;
}
