/* SPDX-License-Identifier: MIT */
/* Bar charts as one SVG: for each case a row for each server, with two bars (CPU time, rate) or one
 * (memory, time).
 *
 * It has no background of its own and takes its colours from the reader's scheme (prefers-color-scheme),
 * so that it reads well on light and on dark pages; opened by itself it asks for a background of that scheme.
 * Bars start at zero; the thin line on a bar spans the rounds; the figure at its end is the median. Within a case, bars of one column share their scale. */
#include "svg.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    WIDTH = 880,
    MARGIN = 24,
    LABELS = 132, /* width of the column of names */
    GAP = 28,     /* between the two charts */
    ROW = 21,
    BAR = 13,
    VALUE = 66 /* kept free behind the longest bar for its figure */
};

/* One column of bars. */
struct column {
    const char *caption;
    enum bench_metric metric;
    double factor; /* from the metric's unit to the one shown */
    int left, width;
};

struct layout {
    size_t count;
    struct column columns[2];
};

static const char *const styles = "  <style>\n"
                                  "    :root { color-scheme: light dark; }\n"
                                  "    text { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, "
                                  "'DejaVu Sans', sans-serif; fill: #1f2933; }\n"
                                  "    .title { font-size: 17px; font-weight: 600; }\n"
                                  "    .section { font-size: 14px; font-weight: 600; }\n"
                                  "    .case { font-weight: 600; }\n"
                                  "    .quiet { fill: #616e7c; font-size: 11px; }\n"
                                  "    .value { font-variant-numeric: tabular-nums; }\n"
                                  "    .selector { fill: #2563eb; } .proactor { fill: #ea580c; }\n"
                                  "    .bare { fill: #7b8794; } .peer { fill: #cbd2d9; }\n"
                                  "    .range { stroke: #1f2933; stroke-width: 1.2; stroke-opacity: 0.6; }\n"
                                  "    .axis { stroke: #9aa5b1; stroke-width: 1; }\n"
                                  "    @media (prefers-color-scheme: dark) {\n"
                                  "      text { fill: #e4e7eb; } .quiet { fill: #9aa5b1; }\n"
                                  "      .selector { fill: #5b9bff; } .proactor { fill: #ff8f4d; }\n"
                                  "      .bare { fill: #9aa5b1; } .peer { fill: #52606d; }\n"
                                  "      .range { stroke: #f5f7fa; } .axis { stroke: #616e7c; }\n"
                                  "    }\n"
                                  "  </style>\n";

static void write_escaped(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            fputs("&amp;", file);
        else if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '>')
            fputs("&gt;", file);
        else
            fputc(*text, file);
    }
}

static void write_text(FILE *file, int x, int y, const char *style, const char *text)
{
    fprintf(file, "  <text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, style);
    write_escaped(file, text);
    fputs("</text>\n", file);
}

static void format_value(char *text, size_t capacity, double value, bool in_thousands)
{
    if (in_thousands && value >= 1000)
        snprintf(text, capacity, value < 99999.5 ? "%.1fk" : "%.0fk", value / 1000);
    else
        snprintf(text, capacity, value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value);
}

static const char *style_of(const struct bench_series *series)
{
    static const char *const names[] = { [BENCH_SELECTOR] = "selector",
                                         [BENCH_PROACTOR] = "proactor",
                                         [BENCH_BARE] = "bare",
                                         [BENCH_PEER] = "peer" };
    if (series->server)
        return names[series->server->family];
    return strcmp(series->name, "rondo") == 0 ? "selector" : "peer"; /* a library of the micro benchmarks */
}

static struct layout layout_of(const struct bench_case *of)
{
    int left = MARGIN + LABELS;
    int half = (WIDTH - MARGIN - left - GAP) / 2;
    int right = left + half + GAP;
    int all = WIDTH - MARGIN - left;
    double per_mib = 1048576.0 / (double) (of->size ? of->size : 1);
    struct layout layout = { 2,
                             { { "CPU time for each, µs: shorter is better", BENCH_CPU, 1, left, half },
                               { "for each second: longer is better", BENCH_RATE, 1, right, half } } };
    switch (bench_kinds[of->kind].figures) {
    case BENCH_PER_MIB:
        layout.columns[0].caption = "CPU time for each MiB, µs: shorter is better";
        layout.columns[0].factor = per_mib;
        layout.columns[1].caption = "MiB/s: longer is better";
        layout.columns[1].factor = 1 / per_mib;
        break;
    case BENCH_PER_CONNECTION:
        layout = (struct layout){ 1, { { "bytes: shorter is better", BENCH_MEMORY, 1, left, all } } };
        break;
    case BENCH_PER_CROWD:
        layout = (struct layout){
            1, { { "p99 beside them to p99 alone: shorter is better", BENCH_P99_RATIO, 1, left, all } }
        };
        break;
    case BENCH_PER_OPERATION:
        layout = (struct layout){ 1, { { "ns: shorter is better", BENCH_TIME, 1, left, all } } };
        break;
    case BENCH_PER_REQUEST:
    case BENCH_PER_LOOP:
        break;
    }
    return layout;
}

static double largest_in(const struct bench_case *of, const struct column *column)
{
    double largest = 0;
    for (size_t i = 0; i < of->series_count; i++) {
        double high = bench_summarize(&of->series[i], column->metric).high;
        if (high > largest)
            largest = high;
    }
    return largest;
}

static void write_bar(FILE *file, const struct column *column, const struct bench_series *series,
                      const char *style, double largest, int top)
{
    struct bench_summary summary = bench_summarize(series, column->metric);
    if (isnan(summary.median) || !(largest > 0)) {
        write_text(file, column->left + 4, top + BAR - 2, "quiet", series->error[0] ? "failed" : "-");
        return;
    }
    double scale = (column->width - VALUE) / largest;
    fprintf(file, "  <rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"1.5\" class=\"%s\"/>\n",
            column->left, top, summary.median * scale, BAR, style);
    double middle = top + BAR / 2.0;
    fprintf(file, "  <line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"range\"/>\n",
            column->left + summary.low * scale, middle, column->left + summary.high * scale, middle);
    char text[32];
    format_value(text, sizeof text, summary.median * column->factor,
                 column->metric == BENCH_RATE && column->factor >= 1);
    write_text(file, column->left + (int) (summary.high * scale) + 6, top + BAR - 2, "value", text);
}

static int write_case(FILE *file, const struct bench_case *of, int top)
{
    struct layout layout = layout_of(of);
    int rows_top = top + 26;
    write_text(file, MARGIN, top + 14, "case", of->title);
    for (size_t i = 0; i < of->series_count; i++) {
        int row = rows_top + (int) i * ROW;
        write_text(file, MARGIN, row + BAR - 2, "name", of->series[i].name);
        for (size_t c = 0; c < layout.count; c++)
            write_bar(file, &layout.columns[c], &of->series[i], style_of(&of->series[i]),
                      largest_in(of, &layout.columns[c]), row);
    }
    int bottom = rows_top + (int) of->series_count * ROW;
    for (size_t c = 0; c < layout.count; c++)
        fprintf(file, "  <line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" class=\"axis\"/>\n",
                layout.columns[c].left, rows_top - 4, layout.columns[c].left, bottom - ROW + BAR + 4);
    return bottom + 8;
}

static int write_section(FILE *file, const struct bench_case *of, int top)
{
    struct layout layout = layout_of(of);
    write_text(file, MARGIN, top + 18, "section", bench_kinds[of->kind].heading);
    for (size_t c = 0; c < layout.count; c++)
        write_text(file, layout.columns[c].left, top + 36, "quiet", layout.columns[c].caption);
    return top + 46;
}

static int write_legend(FILE *file, const struct bench_plan *plan, int top)
{
    static const struct {
        enum bench_family family;
        const char *style, *text;
    } entries[] = {
        { BENCH_SELECTOR, "selector", "Rondo on a selector" },
        { BENCH_PROACTOR, "proactor", "Rondo on a proactor" },
        { BENCH_BARE, "bare", "hand-written loop: the limit" },
        { BENCH_PEER, "peer", "other libraries" },
    };
    int x = MARGIN;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        bool used = false;
        for (size_t s = 0; s < plan->server_count; s++)
            used = used || plan->servers[s]->family == entries[i].family;
        if (!used)
            continue;
        fprintf(file, "  <rect x=\"%d\" y=\"%d\" width=\"11\" height=\"11\" rx=\"1.5\" class=\"%s\"/>\n", x,
                top, entries[i].style);
        write_text(file, x + 17, top + 10, "quiet", entries[i].text);
        x += 50 + 6 * (int) strlen(entries[i].text);
    }
    return top + 22;
}

static int height_of(const struct bench_plan *plan)
{
    int height = 100;
    for (size_t i = 0; i < plan->count; i++) {
        const struct bench_case *of = &plan->cases[i];
        if (i == 0 || plan->cases[i - 1].kind != of->kind)
            height += 58;
        height += 34 + (int) of->series_count * ROW;
    }
    return height;
}

static void write_all(FILE *file, const struct bench_plan *plan)
{
    int height = height_of(plan);
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "role=\"img\">\n"
            "  <title>rondo-bench: selector against proactor</title>\n",
            WIDTH, height, WIDTH, height);
    fputs(styles, file);
    write_text(file, MARGIN, 34, "title", "Rondo: selector against proactor");
    char machine[320];
    snprintf(machine, sizeof machine, "%s, %d cores, %s; medians, thin lines: range of the rounds",
             plan->host.cpu, plan->host.cores, plan->host.kernel);
    write_text(file, MARGIN, 54, "quiet", machine);
    int top = write_legend(file, plan, 66);
    for (size_t i = 0; i < plan->count; i++) {
        const struct bench_case *of = &plan->cases[i];
        if (i == 0 || plan->cases[i - 1].kind != of->kind)
            top = write_section(file, of, top + 12);
        top = write_case(file, of, top);
    }
    fputs("</svg>\n", file);
}

int bench_svg_write(const struct bench_plan *plan, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        fprintf(stderr, "rondo-bench: cannot write %s: %s\n", path, strerror(errno));
        return -1;
    }
    write_all(file, plan);
    int failed = ferror(file) | fclose(file);
    if (failed)
        fprintf(stderr, "rondo-bench: cannot write %s\n", path);
    return failed ? -1 : 0;
}
