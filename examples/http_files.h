/* SPDX-License-Identifier: MIT */
/* The files of http_server. */
#ifndef HTTP_FILES_H
#define HTTP_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* The path of @url with its escapes undone into @path, which has room for it. False: it is none. */
bool http_decode_path(const char *url, size_t length, char *path);

/* Open @path, which is changed, below the folder @root. A folder stands for its index.html; without the slash at the end it is a
 * folder, for whoever asks. -1 with errno: there is no such file, or it cannot be opened now. */
int http_open_below(int root, char *path);

/* The media type, by the ending of @path. */
const char *http_type_of(const char *path);

#endif
