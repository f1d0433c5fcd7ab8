/* SPDX-License-Identifier: MIT */
/* A resolver that answers what a test tells it and notes what it was asked.
 *
 * The happy path: fake_resolver_install puts it in front of a loop; each lookup is noted, the trace gets a
 * word, and the next answer of the script is given at once, or when the test says so. Failures: a lookup that
 * the script has no answer for fails with RONDO_EAI_NONAME. Invariant: what it holds is released by
 * fake_resolver_end. */
#include "resolver.h"

#include <stdio.h>
#include <string.h>

static void free_info(void *info)
{
    rondo_addrinfo_free(info);
}

static rondo_addrinfo *make_info(const fake_answer *answer)
{
    rondo_addrinfo *info = rondo_addrinfo_new(answer->count);
    ck_assert_ptr_nonnull(info);
    ck_assert_uint_eq(info->count, answer->count);
    for (size_t i = 0; i < answer->count; i++) {
        rondo_addrinfo_entry *entry = &info->entries[i];
        const fake_address *from = &answer->addresses[i];
        int rc = rondo_address_from_numeric(&entry->address, from->host, from->port);
        ck_assert_int_eq(rc, 0);
        entry->family = from->family ? from->family : rondo_address_family(&entry->address);
        entry->type = FAKE_STREAM;
    }
    return info;
}

static void settle(rondo_future *future, const fake_answer *answer)
{
    if (answer->error) {
        ck_assert_int_eq(rondo_future_set_error(future, answer->error, NULL), 0);
        return;
    }
    ck_assert_int_eq(rondo_future_set_result_owned(future, make_info(answer), free_info), 0);
}

static rondo_future *resolve(rondo_loop *loop, const rondo_addrinfo_query *query, void *user)
{
    fake_resolver *fake = user;
    static const fake_answer unknown = { .error = RONDO_EAI_NONAME };
    ck_assert_uint_lt(fake->asked, FAKE_LOOKUPS);
    fake_lookup *lookup = &fake->lookups[fake->asked];
    const fake_answer *answer = fake->asked < fake->answer_count ? &fake->answers[fake->asked] : &unknown;
    fake->asked++;
    snprintf(lookup->host, sizeof lookup->host, "%s", query->host ? query->host : "(none)");
    snprintf(lookup->service, sizeof lookup->service, "%s", query->service ? query->service : "(none)");
    lookup->family = query->family;
    lookup->type = query->type;
    lookup->proto = query->proto;
    lookup->flags = query->flags;
    trace("resolve:%s", lookup->host);
    if (answer->refuse) {
        rondo_raise(RONDO_EUSER, "the resolver refuses");
        return NULL;
    }
    rondo_future *future = rondo_future_new(loop);
    ck_assert_ptr_nonnull(future);
    lookup->future = rondo_future_ref(future);
    lookup->answer = answer;
    if (!answer->later)
        settle(future, answer);
    return future;
}

void fake_resolver_install(rondo_loop *loop, fake_resolver *fake)
{
    ck_assert_int_eq(rondo_loop_set_resolver(loop, resolve, fake), 0);
}

void fake_resolver_answer(fake_resolver *fake, size_t index)
{
    ck_assert_uint_lt(index, fake->asked);
    settle(fake->lookups[index].future, fake->lookups[index].answer);
}

void fake_resolver_end(fake_resolver *fake)
{
    for (size_t i = 0; i < fake->asked; i++)
        rondo_future_unref(fake->lookups[i].future);
    fake->asked = 0;
}
