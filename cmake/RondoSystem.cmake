# RONDO_SYSTEM: which folder of platform/ and which backends a build takes.
# RONDO_POSIX: whether platform/posix is in it.
if(WIN32)
    set(RONDO_SYSTEM windows)
elseif(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(RONDO_SYSTEM linux)
elseif(APPLE)
    set(RONDO_SYSTEM darwin)
elseif(CMAKE_SYSTEM_NAME MATCHES "BSD|DragonFly")
    set(RONDO_SYSTEM bsd)
else()
    message(FATAL_ERROR "Rondo has no platform folder for ${CMAKE_SYSTEM_NAME} yet.")
endif()

if(RONDO_SYSTEM STREQUAL "windows")
    set(RONDO_POSIX OFF)
else()
    set(RONDO_POSIX ON)
endif()
