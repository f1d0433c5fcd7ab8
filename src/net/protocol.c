/* SPDX-License-Identifier: MIT */
/* Protocols: counted objects with a table of functions and the program's memory behind them. */
#include "net.h"

#include <string.h>

static const rondo_protocol_ops *known_ops(const rondo_protocol_ops *ops)
{
    return ops && ops->size >= offsetof(rondo_protocol_ops, get_buffer) ? ops : NULL;
}

/* The program's memory is aligned for anything; without any there is no need to. */
static const size_t size_without_data = offsetof(rondo_protocol, references) + sizeof(uint32_t);

rondo_protocol *rondo_protocol_new(void *table)
{
    const rondo_protocol_ops *ops = known_ops(table);
    if (!ops || ops->data_size > SIZE_MAX / 2) {
        rondo_fail(RONDO_EINVAL, "no table of functions given, or its size is not set");
        return NULL;
    }
    /* There may be no loop on this thread yet: the process's allocator. */
    size_t size = ops->data_size ? sizeof(rondo_protocol) + ops->data_size : size_without_data;
    rondo_protocol *protocol = rondo_allocate_zeroed(&rondo_allocator_default, size);
    if (!protocol) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    protocol->ops = ops;
    protocol->references = 1;
    return protocol;
}

rondo_protocol *rondo_protocol_ref(rondo_protocol *protocol)
{
    if (protocol)
        protocol->references++;
    return protocol;
}

void rondo_protocol_unref(rondo_protocol *protocol)
{
    if (!protocol || --protocol->references)
        return;
    if (protocol->ops->destroy)
        protocol->ops->destroy(protocol);
    rondo_release(&rondo_allocator_default, protocol);
}

void *rondo_protocol_data(rondo_protocol *protocol)
{
    return protocol ? protocol->data : NULL;
}

rondo_transport *rondo_protocol_transport(const rondo_protocol *protocol)
{
    return protocol ? protocol->transport : NULL;
}

const rondo_protocol_ops *rondo_protocol_get_ops(const rondo_protocol *protocol)
{
    return protocol ? protocol->ops : NULL;
}

rondo_protocol *rondo_protocol_make(rondo_loop *loop, rondo_protocol_factory *factory, void *context)
{
    struct rondo_nested nested;
    const char *message;
    rondo_nested_enter(loop, &nested);
    rondo_protocol *protocol = factory(context);
    int code = rondo_nested_leave(loop, &nested, &message);
    if (code && protocol) {
        rondo_protocol_unref(protocol);
        protocol = NULL;
    }
    if (code)
        rondo_fail_text(code, message);
    else if (!protocol)
        rondo_fail(RONDO_ETYPE, "the protocol factory returned no protocol");
    return protocol;
}
