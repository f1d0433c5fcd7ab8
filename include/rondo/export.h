/* SPDX-License-Identifier: MIT */
/** What differs between compilers and systems in the headers: export marks, C++ guards and
 *  the types of a socket and a file. The only public header with a system condition in it. */
#ifndef RONDO_EXPORT_H
#define RONDO_EXPORT_H

#include <stdint.h>

#if defined(_WIN32)
#if defined(RONDO_BUILD_SHARED)
#define RONDO_API __declspec(dllexport)
#elif defined(RONDO_USE_SHARED)
#define RONDO_API __declspec(dllimport)
#else
#define RONDO_API
#endif
#elif defined(__GNUC__)
#define RONDO_API __attribute__((visibility("default")))
#else
#define RONDO_API
#endif

#if defined(__MINGW32__) && !defined(__clang__)
#define RONDO_PRINTF(format_index, first_index) __attribute__((format(gnu_printf, format_index, first_index)))
#elif defined(__GNUC__)
#define RONDO_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define RONDO_PRINTF(format_index, first_index)
#endif

#if defined(__cplusplus)
#define RONDO_BEGIN_DECLS extern "C" {
#define RONDO_END_DECLS }
#else
#define RONDO_BEGIN_DECLS
#define RONDO_END_DECLS
#endif

/** A socket of the system: a descriptor on Unix, a SOCKET on Windows. */
#if defined(_WIN32)
typedef uintptr_t rondo_socket;
#define RONDO_INVALID_SOCKET ((rondo_socket) ~(uintptr_t) 0)
#else
typedef int rondo_socket;
#define RONDO_INVALID_SOCKET (-1)
#endif

/** A file or a pipe of the system: a descriptor on Unix, a HANDLE on Windows. */
#if defined(_WIN32)
typedef void *rondo_file;
#define RONDO_INVALID_FILE ((rondo_file) (intptr_t) -1)
#else
typedef int rondo_file;
#define RONDO_INVALID_FILE (-1)
#endif

#endif
