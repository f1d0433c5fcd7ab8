/* SPDX-License-Identifier: MIT */
/* Files on Windows; see platform/file.h. Regular files can be read at a place. Pipes are for the completion port to serve,
 * and no selector runs here: reading and writing without a place are refused.
 *
 * Failures: codes by rondo_error_from_system. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "../file.h"
#include "../socket.h"

static int last_error(void)
{
    return rondo_error_from_system((int) GetLastError());
}

int rondo_file_kind(rondo_file file, enum rondo_file_kind *ret_kind)
{
    SetLastError(NO_ERROR);
    DWORD type = GetFileType(file);
    if (type == FILE_TYPE_UNKNOWN && GetLastError() != NO_ERROR)
        return last_error();
    *ret_kind = type == FILE_TYPE_DISK   ? RONDO_FILE_REGULAR
                : type == FILE_TYPE_PIPE ? RONDO_FILE_PIPE
                : type == FILE_TYPE_CHAR ? RONDO_FILE_DEVICE
                                         : RONDO_FILE_OTHER;
    return 0;
}

int rondo_file_is_nonblocking(rondo_file file)
{
    (void) file;
    return 0;
}

int rondo_file_silence(rondo_file file)
{
    (void) file;
    return 0;
}

ptrdiff_t rondo_file_read(rondo_file file, void *buffer, size_t length)
{
    (void) file;
    (void) buffer;
    (void) length;
    return RONDO_ENOTSUP;
}

ptrdiff_t rondo_file_write(rondo_file file, const rondo_bytes *pieces, size_t count)
{
    (void) file;
    (void) pieces;
    (void) count;
    return RONDO_ENOTSUP;
}

ptrdiff_t rondo_file_read_at(rondo_file file, int64_t offset, void *buffer, size_t length)
{
    OVERLAPPED place = { 0 };
    place.Offset = (DWORD) (uint64_t) offset;
    place.OffsetHigh = (DWORD) ((uint64_t) offset >> 32);
    DWORD n = 0;
    if (ReadFile(file, buffer, length > 0x40000000 ? 0x40000000 : (DWORD) length, &n, &place))
        return (ptrdiff_t) n;
    return GetLastError() == ERROR_HANDLE_EOF ? 0 : last_error();
}

ptrdiff_t rondo_file_send(rondo_socket sock, rondo_file file, int64_t offset, size_t length)
{
    (void) sock;
    (void) file;
    (void) offset;
    (void) length;
    return RONDO_ENOTSUP;
}
