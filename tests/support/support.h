/* SPDX-License-Identifier: MIT */
/* What every test of the public interface leans on: a runner that repeats a suite on each backend, loops
 * on the backend whose turn it is, traces, recorded reports, virtual time, counted memory, threads.
 *
 * Every case (support_case) begins with an empty trace and ends with checks of its own: every block that a
 * loop of support_loop took was given back, and nothing was reported to the exception handler or
 * logged as a warning that the case did not ask about. A case that hangs is ended by a deadline. */
#ifndef RONDO_TESTS_SUPPORT_H
#define RONDO_TESTS_SUPPORT_H

#include <check.h>

#include <rondo.h>

#if defined(__cplusplus)
#error "the tests are C"
#endif

/* --- runner (runner.c) ------------------------------------------------------------------------ */

/* Run the suite that @add_cases fills in on every backend that can run here, and say of every other
 * one why it was skipped. RONDO_TEST_BACKEND=name keeps to one. Returns what main returns: 0 if all passed
 * and at least one backend was there. */
int support_main(const char *name, void (*add_cases)(Suite *suite));

/* The same once, for programs whose subject needs no loop. */
int support_main_once(const char *name, void (*add_cases)(Suite *suite));

/* A case of @suite with the checks described above. */
TCase *support_case(Suite *suite, const char *name);

/* For programs that are told their backend: it becomes the current one. Ends the program with 77 and the reason where it
 * cannot run here, with 2 if no backend has the name. */
void support_use_backend(const char *name);

/* Call @body in this process as a case of its own, without the checks of support_case: Check's assertions want one around
 * them. What failed is printed. Returns what main returns. */
int support_assertions(const char *name, void (*body)(void));

/* The backend whose turn it is, and what is known of it. */
rondo_backend support_backend(void);
const char *support_backend_name(void);
bool support_backend_is_proactor(void);

/* --- loops (loop.c) --------------------------------------------------------------------------- */

/* A loop on the current backend with counted memory and the recording exception handler. Fails the case
 * where it cannot be made. */
rondo_loop *support_loop(void);

/* The same from @options; a backend of AUTO becomes the current one, no allocator the counted one. */
rondo_loop *support_loop_with(const rondo_loop_options *options);

/* One that is extended: with it a proactor, too, watches descriptors and has datagrams. */
rondo_loop *support_extended_loop(void);

/* Close and free @loop; both must succeed. */
void support_loop_end(rondo_loop *loop);

/* Run passes until everything that is queued now, and @passes - 1 generations after it, has run. */
void support_run_passes(rondo_loop *loop, int passes);

/* How many passes @loop has begun. */
uint64_t support_passes(rondo_loop *loop);

/* run_forever, which must end by a stop. */
void support_run(rondo_loop *loop);

/* A loop whose time stands still while callbacks run and goes on by SUPPORT_TICK each time the loop
 * sleeps. With timers at multiples of the tick the order of events does not depend on the machine. */
rondo_loop *support_virtual_loop(void);
#define SUPPORT_TICK RONDO_US(1)
#define TICKS(n) ((rondo_ns) (n) *SUPPORT_TICK)

/* Move the time of the virtual loop forward by hand. */
void support_clock_advance(rondo_ns span);

/* --- traces (trace.c) ------------------------------------------------------------------------- */

/* Append a word to the trace; words are kept apart by one space. Any thread, one at a time. */
void trace(const char *format, ...) RONDO_PRINTF(1, 2);
const char *trace_text(void);
void trace_clear(void);

/* A callback that appends its context, a text. */
void trace_word(void *word);

/* The trace so far is @expected; it is empty afterwards. */
#define trace_is(expected)                          \
    do {                                            \
        ck_assert_str_eq(trace_text(), (expected)); \
        trace_clear();                              \
    } while (0)

/* --- reports (record.c) ----------------------------------------------------------------------- */

/* A copy of what the exception handler was told; pointers are only good for comparison. */
typedef struct support_report {
    rondo_exception_context context;
    char message[256];
    char error_message[256];
    char handle_name[64];
    bool had_handle;
    rondo_loop *loop;
} support_report;

/* The handler that records; loops of support_loop have it. The user pointer is not looked at. */
void support_record(rondo_loop *loop, const rondo_exception_context *context, void *user);

/* How many reports there are. Asking counts as having expected them. */
size_t support_reports(void);
/* The report with number @index, from 0; fails the case if there is none. */
const support_report *support_report_at(size_t index);
void support_reports_clear(void);

/* How many log lines of warnings and errors contain @text (NULL: all). Asking counts as having
 * expected those lines. */
size_t support_log_lines(const char *text);
/* The last line of a warning or an error; "" if there is none. */
const char *support_log_last(void);
void support_log_clear(void);

/* --- memory (memory.c) ------------------------------------------------------------------------ */

/* malloc with a count and a planned failure. */
extern const rondo_allocator support_allocator;

/* Blocks, and bytes, that are taken and not given back. */
size_t support_blocks(void);
size_t support_bytes(void);
/* Allocations and reallocations so far in the case. */
size_t support_allocations(void);

/* Let the @nth allocation from now on fail (1: the next one), and only that; 0: none. */
void support_fail_nth(size_t nth);
/* Let it and every later one fail. */
void support_fail_from(size_t nth);
/* Whether the planned failure has come about. */
bool support_has_failed(void);

/* --- threads and deadlines (posix.c, windows.c) ----------------------------------------------- */

typedef struct support_thread support_thread;

/* Run @body(@context) in a new thread; join waits for its end and releases it. */
support_thread *support_thread_start(void (*body)(void *context), void *context);
void support_thread_join(support_thread *thread);

/* A gate that threads wait at until it is opened; once open it stays open. */
typedef struct support_gate support_gate;
support_gate *support_gate_new(void);
void support_gate_open(support_gate *gate);
void support_gate_wait(support_gate *gate);
void support_gate_free(support_gate *gate);

/* The system's monotonic clock. */
rondo_ns support_now(void);

/* Whether valgrind keeps the limit of descriptors itself: it lets the kernel make one too many, closes it and says EMFILE, so
 * that what it stood for is gone and not waiting. */
bool support_has_own_limits(void);
/* Keep the thread busy or asleep for @span: for slow callbacks, never to wait for something. */
void support_pause(rondo_ns span);
/* CPU time that the process has used. */
rondo_ns support_cpu_time(void);

/* Set (NULL: remove) an environment variable. */
void support_setenv(const char *name, const char *value);

/* End the process with a message after @seconds unless called again; 0 calls it off. */
void support_deadline(unsigned seconds);
/* What support_case uses: RONDO_TEST_DEADLINE or 30. */
unsigned support_default_deadline(void);

/* Used by the runner before and after each case. */
void support_memory_begin(void);
void support_memory_end(void);
void support_record_begin(void);
void support_record_end(void);

#endif
