/* SPDX-License-Identifier: MIT */
/* How far it is. The time that is left is estimated from the steps that were done. A signal that ends the program
 * takes the bar off the terminal first; the children end with their parent. */
#include "progress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host.h"

enum { WIDTH = 20 };

static void on_end(int signal)
{
    ssize_t written = write(STDERR_FILENO, "\r\033[K", 4);
    (void) written;
    raise(signal); /* by its default now: SA_RESETHAND; it comes when this function has returned */
}

static void clear_when_ended(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    struct sigaction action = { .sa_handler = on_end, .sa_flags = (int) SA_RESETHAND };
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

void bench_progress_begin(struct bench_progress *progress, size_t total)
{
    *progress = (struct bench_progress){ .total = total, .begin = bench_now() };
    progress->terminal = isatty(STDERR_FILENO) == 1;
    if (progress->terminal)
        clear_when_ended();
}

static size_t terminal_width(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known ? size.ws_col : 80;
}

static void draw(const struct bench_progress *progress, const char *kind, const char *title, const char *name)
{
    char bar[WIDTH + 1], left[32] = "", line[256];
    size_t filled = progress->done * WIDTH / progress->total;
    memset(bar, '.', WIDTH);
    memset(bar, '#', filled);
    bar[WIDTH] = '\0';
    if (progress->done > 0) {
        double used = (double) (bench_now() - progress->begin) / 1e9;
        double each = used / (double) progress->done;
        unsigned seconds = (unsigned) (each * (double) (progress->total - progress->done) + 1);
        snprintf(left, sizeof left, "%u:%02u left  ", seconds / 60, seconds % 60);
    }
    snprintf(line, sizeof line, "[%s] %3zu%%  %s%s  %s, %s", bar, progress->done * 100 / progress->total,
             left, name, kind, title);
    /* A line that wraps could not be drawn over. */
    fprintf(stderr, "\r%.*s\033[K", (int) terminal_width() - 1, line);
    fflush(stderr);
}

void bench_progress_step(struct bench_progress *progress, const char *kind, const char *title,
                         const char *name)
{
    if (progress->terminal)
        draw(progress, kind, title, name);
    else if (progress->last_case != title)
        fprintf(stderr, "%3zu%%  %s: %s\n", progress->done * 100 / progress->total, kind, title);
    progress->last_case = title;
    progress->done++;
}

void bench_progress_end(struct bench_progress *progress)
{
    if (progress->terminal)
        fprintf(stderr, "\r\033[K");
}
