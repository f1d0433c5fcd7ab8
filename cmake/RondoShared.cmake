# The shared library, of the objects that were compiled for the static one.
add_library(rondo_shared SHARED $<TARGET_OBJECTS:rondo>)
add_library(rondo::shared ALIAS rondo_shared)
set_target_properties(rondo_shared PROPERTIES
    OUTPUT_NAME rondo
    EXPORT_NAME shared
    LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}
    INTERPROCEDURAL_OPTIMIZATION ${RONDO_LTO})
target_include_directories(rondo_shared PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(rondo_shared PRIVATE $<TARGET_PROPERTY:rondo,LINK_LIBRARIES>)
if(WIN32)
    target_compile_definitions(rondo PRIVATE RONDO_BUILD_SHARED)
    target_compile_definitions(rondo_shared INTERFACE RONDO_USE_SHARED)
elseif(NOT APPLE AND NOT RONDO_SANITIZE)
    target_link_options(rondo_shared PRIVATE -Wl,-z,defs)
endif()
