/* SPDX-License-Identifier: MIT */
/* What only Windows has under the platform's contracts: two spaces of error numbers, the console's Ctrl+C
 * on a thread of its own, and wake channels made of sockets. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winsock2.h>

#include "platform/interrupt.h"
#include "platform/socket.h"
#include "platform/thread.h"
#include "platform/wake.h"
#include "support.h"

START_TEST(both_kinds_of_numbers_are_known)
{
    static const struct {
        int number, code;
    } pairs[] = {
        { WSAECONNREFUSED, RONDO_ECONNREFUSED },
        { ERROR_CONNECTION_REFUSED, RONDO_ECONNREFUSED },
        { WSAECONNRESET, RONDO_ECONNRESET },
        { ERROR_NETNAME_DELETED, RONDO_ECONNRESET },
        { WSAEWOULDBLOCK, RONDO_EAGAIN },
        { WSAETIMEDOUT, RONDO_ETIMEDOUT },
        { ERROR_SEM_TIMEOUT, RONDO_ETIMEDOUT },
        { ERROR_OPERATION_ABORTED, RONDO_ECANCELLED },
        { WSAEMFILE, RONDO_EMFILE },
        { ERROR_NOT_ENOUGH_MEMORY, RONDO_ENOMEM },
        { WSAEADDRINUSE, RONDO_EADDRINUSE },
        { 12345678, RONDO_EOS },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        ck_assert_int_eq(rondo_error_from_system(pairs[i].number), pairs[i].code);
}
END_TEST

START_TEST(wake_is_readable)
{
    struct rondo_wake wake;
    char byte;
    ck_assert_int_eq(rondo_wake_open(&wake), 0);
    ck_assert_int_eq((int) rondo_socket_recv(wake.reader, &byte, 1), RONDO_EAGAIN);
    WSASetLastError(4711);
    rondo_wake_signal(&wake);
    ck_assert_int_eq(WSAGetLastError(), 4711);
    WSAPOLLFD poll = { .fd = wake.reader, .events = POLLRDNORM };
    ck_assert_int_eq(WSAPoll(&poll, 1, 10000), 1);
    rondo_wake_drain(&wake);
    ck_assert_int_eq(WSAPoll(&poll, 1, 0), 0);
    rondo_wake_close(&wake);
}
END_TEST

static HANDLE interrupted;
static uintptr_t interrupting_thread;

static void note_interrupt(void *context)
{
    (*(int *) context)++;
    interrupting_thread = rondo_thread_self();
    SetEvent(interrupted);
}

START_TEST(console_interrupts)
{
    FreeConsole(); /* one that is inherited may be none that events go to */
    ck_assert(AllocConsole());
    SetConsoleCtrlHandler(NULL, FALSE); /* a parent may have switched Ctrl+C off */
    interrupted = CreateEventW(NULL, FALSE, FALSE, NULL);
    int count = 0;
    for (int turn = 1; turn <= 3; turn++) {
        ck_assert_int_eq(rondo_interrupt_watch(note_interrupt, &count), 0);
        ck_assert(GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0));
        ck_assert_uint_eq(WaitForSingleObject(interrupted, INFINITE), WAIT_OBJECT_0);
        rondo_interrupt_unwatch();
        ck_assert_int_eq(count, turn);
        ck_assert_uint_ne(interrupting_thread, rondo_thread_self());
    }
    CloseHandle(interrupted);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "windows");
    tcase_add_test(tcase, both_kinds_of_numbers_are_known);
    tcase_add_test(tcase, wake_is_readable);
    tcase_add_test(tcase, console_interrupts);
}

int main(void)
{
    return support_main_once("platform windows", add_cases);
}
