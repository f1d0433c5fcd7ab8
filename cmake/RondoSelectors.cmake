# The selectors that are not everywhere.
#   RONDO_HAVE_PPOLL: poll with nanoseconds.
#   RONDO_HAVE_KQUEUE: whether the kqueue backend is built in: on macOS and the BSDs, and elsewhere over libkqueue
#   when that is asked for.
if(RONDO_POSIX)
    include(CheckSymbolExists)
    set(CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)
    check_symbol_exists(ppoll poll.h RONDO_HAVE_PPOLL)
    unset(CMAKE_REQUIRED_DEFINITIONS)
endif()

set(RONDO_HAVE_KQUEUE OFF)
if(RONDO_SYSTEM STREQUAL "darwin" OR RONDO_SYSTEM STREQUAL "bsd")
    set(RONDO_HAVE_KQUEUE ON)
elseif(RONDO_WITH_LIBKQUEUE)
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(LIBKQUEUE REQUIRED IMPORTED_TARGET libkqueue)
    set(RONDO_HAVE_KQUEUE ON)
    message(STATUS "kqueue backend: built in, over libkqueue ${LIBKQUEUE_VERSION}")
endif()
