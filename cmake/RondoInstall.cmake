# Headers, both libraries, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)

set(RONDO_TARGETS rondo)
if(RONDO_BUILD_SHARED)
    list(APPEND RONDO_TARGETS rondo_shared)
endif()
install(TARGETS ${RONDO_TARGETS} EXPORT rondo-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")

set(RONDO_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/rondo)
install(EXPORT rondo-targets NAMESPACE rondo:: DESTINATION ${RONDO_PACKAGE_DIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/rondo-config.cmake.in
    ${PROJECT_BINARY_DIR}/cmake/rondo-config.cmake INSTALL_DESTINATION ${RONDO_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/rondo-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES
    ${PROJECT_BINARY_DIR}/cmake/rondo-config.cmake
    ${PROJECT_BINARY_DIR}/cmake/rondo-config-version.cmake
    DESTINATION ${RONDO_PACKAGE_DIR})

# pkg-config: plain --libs takes the shared library; --static --libs adds what the static one needs.
set(RONDO_NEEDS_LIBKQUEUE OFF)
set(RONDO_PC_REQUIRES_PRIVATE "")
if(RONDO_HAVE_IO_URING)
    set(RONDO_PC_REQUIRES_PRIVATE "liburing >= 2.3")
endif()
if(TARGET PkgConfig::LIBKQUEUE)
    set(RONDO_NEEDS_LIBKQUEUE ON)
    string(JOIN ", " RONDO_PC_REQUIRES_PRIVATE ${RONDO_PC_REQUIRES_PRIVATE} libkqueue)
endif()
set(RONDO_PC_LIBS_PRIVATE "${CMAKE_THREAD_LIBS_INIT}")
if(RONDO_SYSTEM STREQUAL "windows")
    string(APPEND RONDO_PC_LIBS_PRIVATE " -lws2_32 -lmswsock")
elseif(NOT CMAKE_THREAD_LIBS_INIT)
    set(RONDO_PC_LIBS_PRIVATE "-pthread")
endif()
set(RONDO_PC_DIR ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${RONDO_PC_DIR}
    OUTPUT_VARIABLE RONDO_PC_PREFIX)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}
    OUTPUT_VARIABLE RONDO_PC_LIBDIR)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}
    OUTPUT_VARIABLE RONDO_PC_INCLUDEDIR)
configure_file(${PROJECT_SOURCE_DIR}/cmake/rondo.pc.in ${PROJECT_BINARY_DIR}/cmake/rondo.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/rondo.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
