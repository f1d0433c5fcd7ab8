/* SPDX-License-Identifier: MIT */
/* Keeps what a loop reported: contexts of the exception handler and log lines.
 *
 * What a case does not ask about fails it when it ends, so nothing is reported behind a test's back.
 * Log lines may come from any thread: the count is claimed atomically before the line is written. */
#include "support.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { MAX_REPORTS = 64, MAX_LINES = 64, LINE = 1024 };

static support_report reports[MAX_REPORTS];
static size_t report_count;
static size_t reports_asked;

static char lines[MAX_LINES][LINE];
static bool lines_asked[MAX_LINES];
static atomic_size_t line_count;

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

void support_record(rondo_loop *loop, const rondo_exception_context *context, void *user)
{
    (void) user;
    if (report_count == MAX_REPORTS)
        ck_abort_msg("too many reports, the last one: %s", context->message);
    support_report *report = &reports[report_count++];
    report->context = *context;
    report->loop = loop;
    report->had_handle = context->handle != NULL;
    copy_text(report->message, sizeof report->message, context->message);
    copy_text(report->error_message, sizeof report->error_message, context->error_message);
    copy_text(report->handle_name, sizeof report->handle_name, context->handle_name);
    report->context.message = report->message;
    report->context.error_message = report->error_message;
    report->context.handle_name = report->handle_name;
}

size_t support_reports(void)
{
    reports_asked = report_count;
    return report_count;
}

const support_report *support_report_at(size_t index)
{
    ck_assert_msg(index < report_count, "there are only %zu reports", report_count);
    if (reports_asked <= index)
        reports_asked = index + 1;
    return &reports[index];
}

void support_reports_clear(void)
{
    report_count = reports_asked = 0;
}

static void keep_line(rondo_log_level level, const char *line, void *user)
{
    (void) user;
    if (level < RONDO_LOG_WARNING)
        return;
    size_t index = atomic_fetch_add(&line_count, 1);
    if (index < MAX_LINES)
        copy_text(lines[index], LINE, line);
}

static size_t kept_lines(void)
{
    size_t count = atomic_load(&line_count);
    return count < MAX_LINES ? count : MAX_LINES;
}

size_t support_log_lines(const char *text)
{
    size_t found = 0;
    for (size_t i = 0; i < kept_lines(); i++) {
        if (text && !strstr(lines[i], text))
            continue;
        lines_asked[i] = true;
        found++;
    }
    return found;
}

const char *support_log_last(void)
{
    size_t count = kept_lines();
    if (count == 0)
        return "";
    lines_asked[count - 1] = true;
    return lines[count - 1];
}

void support_log_clear(void)
{
    atomic_store(&line_count, 0);
    memset(lines_asked, 0, sizeof lines_asked);
}

void support_record_begin(void)
{
    support_reports_clear();
    support_log_clear();
    rondo_log_set_sink(keep_line, NULL);
}

void support_record_end(void)
{
    rondo_log_reset_sink();
    if (report_count > reports_asked)
        ck_abort_msg("an unexpected report: %s (%s)", reports[reports_asked].message,
                     reports[reports_asked].error_message);
    for (size_t i = 0; i < kept_lines(); i++)
        ck_assert_msg(lines_asked[i], "an unexpected log line: %s", lines[i]);
}
