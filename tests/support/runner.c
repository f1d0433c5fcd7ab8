/* SPDX-License-Identifier: MIT */
/* Runs a suite once for each backend.
 *
 * The happy path: the backends are probed, and for each that can run here the suite is built and run with
 * support_backend() naming it. A backend that cannot run is printed with its reason. Failures: a failing case
 * or no backend at all make the program fail; a case that hangs is ended by the deadline. A program
 * that is told its backend ends where that cannot run.
 * Invariant: the current backend does not change while a suite runs. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BACKENDS = 16, SKIPPED = 77 };

static rondo_backend_info current = { .backend = RONDO_BACKEND_AUTO, .name = NULL };

rondo_backend support_backend(void)
{
    return current.backend;
}

const char *support_backend_name(void)
{
    return current.name ? current.name : "none";
}

bool support_backend_is_proactor(void)
{
    return current.is_proactor;
}

unsigned support_default_deadline(void)
{
    const char *text = getenv("RONDO_TEST_DEADLINE");
    int seconds = text ? atoi(text) : 0;
    return seconds > 0 ? (unsigned) seconds : 30;
}

static void begin_case(void)
{
    trace_clear();
    support_memory_begin();
    support_record_begin();
    support_deadline(support_default_deadline());
}

static void end_case(void)
{
    support_deadline(0);
    support_record_end();
    support_memory_end();
}

TCase *support_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, begin_case, end_case);
    tcase_set_timeout(tcase, support_default_deadline() + 10); /* ours comes first and says more */
    suite_add_tcase(suite, tcase);
    return tcase;
}

static int run_suite(const char *name, void (*add_cases)(Suite *suite))
{
    char title[128];
    snprintf(title, sizeof title, "%s%s%s", name, current.name ? " on " : "",
             current.name ? current.name : "");
    Suite *suite = suite_create(title);
    add_cases(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    int ran = srunner_ntests_run(runner);
    srunner_free(runner);
    fflush(stdout);
    return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The next backend that is to run, from *@index on; what is skipped on the way is printed. */
static bool next_backend(const rondo_backend_info *infos, size_t count, size_t *index)
{
    const char *only = getenv("RONDO_TEST_BACKEND");
    while (*index < count) {
        const rondo_backend_info *info = &infos[(*index)++];
        if (only && *only && strcmp(only, info->name) != 0)
            continue;
        if (info->available) {
            current = *info;
            return true;
        }
        fprintf(stderr, "SKIP backend %s: %s\n", info->name, info->reason ? info->reason : "no reason given");
    }
    return false;
}

static size_t probe(rondo_backend_info *infos)
{
    size_t count = rondo_backend_probe(infos, MAX_BACKENDS);
    if (count > MAX_BACKENDS) {
        fprintf(stderr, "more backends than the tests have room for\n");
        exit(EXIT_FAILURE);
    }
    return count;
}

int support_main(const char *name, void (*add_cases)(Suite *suite))
{
    rondo_backend_info infos[MAX_BACKENDS];
    size_t count = probe(infos);
    size_t index = 0;
    int status = EXIT_SUCCESS;
    int ran = 0;
    while (next_backend(infos, count, &index)) {
        if (run_suite(name, add_cases) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
        ran++;
    }
    if (ran == 0) {
        fprintf(stderr, "no backend can run here\n");
        return EXIT_FAILURE;
    }
    return status;
}

int support_main_once(const char *name, void (*add_cases)(Suite *suite))
{
    return run_suite(name, add_cases);
}

void support_use_backend(const char *name)
{
    rondo_backend wanted;
    if (rondo_backend_from_name(name, &wanted) < 0) {
        fprintf(stderr, "%s\n", rondo_last_error_message());
        exit(2);
    }
    rondo_backend_info infos[MAX_BACKENDS];
    size_t count = probe(infos);
    const char *reason = "the name is for several of them";
    for (size_t i = 0; i < count; i++) {
        if (infos[i].backend != wanted)
            continue;
        current = infos[i];
        if (current.available)
            return;
        reason = current.reason ? current.reason : "no reason given";
    }
    fprintf(stderr, "SKIP backend %s: %s\n", name, reason);
    exit(SKIPPED);
}

static void (*asserting)(void);

START_TEST(test_assertions)
{
    asserting();
}
END_TEST

int support_assertions(const char *name, void (*body)(void))
{
    asserting = body;
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_add_test(tcase, test_assertions);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    if (failed)
        srunner_print(runner, CK_NORMAL);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
