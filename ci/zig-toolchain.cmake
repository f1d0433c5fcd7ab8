# SPDX-License-Identifier: MIT
# Cross-compiling with zig, which brings the headers and the stubs of the libraries. ci/cross sets RONDO_ZIG_TARGET
# (aarch64-macos, x86_64-freebsd ...) and has put programs called cc, ar and ranlib into RONDO_ZIG_TOOLS.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RONDO_ZIG_TARGET RONDO_ZIG_TOOLS)

if(RONDO_ZIG_TARGET MATCHES "^([a-z0-9_]+)-macos")
    set(CMAKE_SYSTEM_NAME Darwin)
    set(CMAKE_OSX_SYSROOT "") # zig knows where its own is
elseif(RONDO_ZIG_TARGET MATCHES "^([a-z0-9_]+)-freebsd")
    set(CMAKE_SYSTEM_NAME FreeBSD)
elseif(RONDO_ZIG_TARGET MATCHES "^([a-z0-9_]+)-netbsd")
    set(CMAKE_SYSTEM_NAME NetBSD)
else()
    message(FATAL_ERROR "no system is known for RONDO_ZIG_TARGET '${RONDO_ZIG_TARGET}'")
endif()
set(CMAKE_SYSTEM_PROCESSOR ${CMAKE_MATCH_1})

set(CMAKE_C_COMPILER ${RONDO_ZIG_TOOLS}/cc)
set(CMAKE_AR ${RONDO_ZIG_TOOLS}/ar CACHE FILEPATH "" FORCE)
set(CMAKE_RANLIB ${RONDO_ZIG_TOOLS}/ranlib CACHE FILEPATH "" FORCE)
set(CMAKE_INSTALL_NAME_TOOL ${RONDO_ZIG_TOOLS}/ranlib CACHE FILEPATH "" FORCE) # asked for, never run: nothing is installed

set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
