/* SPDX-License-Identifier: MIT */
/* What http_server serves: from the target of a request to a file. */
#define _POSIX_C_SOURCE 200809L

#include "http_files.h"

#include <errno.h>
#include <fcntl.h>
#include <http_parser.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static int hex(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char) (digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool http_decode_path(const char *url, size_t length, char *path)
{
    struct http_parser_url parts;
    http_parser_url_init(&parts);
    if (http_parser_parse_url(url, length, 0, &parts) != 0 || !(parts.field_set & 1 << UF_PATH))
        return false;
    const char *from = url + parts.field_data[UF_PATH].off;
    const char *end = from + parts.field_data[UF_PATH].len;
    while (from < end) {
        if (*from != '%') {
            *path++ = *from++;
            continue;
        }
        int high = end - from > 2 ? hex(from[1]) : -1;
        int low = high >= 0 ? hex(from[2]) : -1;
        if (low < 0 || high + low == 0)
            return false;
        *path++ = (char) (high << 4 | low);
        from += 3;
    }
    *path = '\0';
    return true;
}

int http_open_below(int root, char *path)
{
    int folder = root;
    char *rest = path;
    for (;;) {
        char *name = rest + strspn(rest, "/");
        size_t length = strcspn(name, "/");
        bool is_last = name[length] == '\0';
        if (length == 0)
            name = "index.html";
        else if (!is_last)
            name[length] = '\0';
        int flags = is_last ? O_NONBLOCK : O_DIRECTORY;
        bool is_up = strcmp(name, "..") == 0;
        int next = is_up ? -1 : openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags);
        int error = is_up ? ENOENT : errno;
        if (folder != root)
            close(folder);
        errno = error;
        if (next < 0 || is_last)
            return next;
        folder = next;
        rest = name + length + 1;
    }
}

const char *http_type_of(const char *path)
{
    static const char *const types[][2] = {
        { ".html", "text/html; charset=utf-8" },
        { ".htm", "text/html; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },
        { ".js", "text/javascript; charset=utf-8" },
        { ".json", "application/json" },
        { ".txt", "text/plain; charset=utf-8" },
        { ".md", "text/plain; charset=utf-8" },
        { ".xml", "application/xml" },
        { ".svg", "image/svg+xml" },
        { ".png", "image/png" },
        { ".jpg", "image/jpeg" },
        { ".jpeg", "image/jpeg" },
        { ".gif", "image/gif" },
        { ".webp", "image/webp" },
        { ".ico", "image/x-icon" },
        { ".pdf", "application/pdf" },
        { ".wasm", "application/wasm" },
        { ".woff2", "font/woff2" },
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(dot, types[i][0]) == 0)
            return types[i][1];
    size_t length = strlen(path);
    return length == 0 || path[length - 1] == '/' ? types[0][1] : "application/octet-stream";
}
