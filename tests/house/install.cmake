# Installs the build into WORK_DIR/prefix, moves it (a package must not know where it was installed), and
# builds and runs the consumer: by find_package, and by pkg-config with a bare compiler.
cmake_minimum_required(VERSION 3.25)

function(run)
    execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/first --config ${CONFIG})
file(RENAME ${WORK_DIR}/first ${WORK_DIR}/prefix)
set(prefix ${WORK_DIR}/prefix)

# By find_package.
run(${CMAKE_COMMAND} -S ${CONSUMER_DIR} -B ${WORK_DIR}/build -G ${GENERATOR}
    -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_C_COMPILER=${CC} -DCMAKE_CXX_COMPILER=${CXX}
    -DCONSUMER_SHARED=${SHARED})
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build --config ${CONFIG})
foreach(program consumer_static consumer_shared consumer_cxx consumer_cxx_shared)
    if(EXISTS ${WORK_DIR}/build/${program})
        run(${WORK_DIR}/build/${program})
        list(APPEND ran ${program})
    endif()
endforeach()
set(expected consumer_static)
if(SHARED)
    list(APPEND expected consumer_shared)
endif()
if(CXX)
    list(APPEND expected consumer_cxx)
endif()
if(SHARED AND CXX)
    list(APPEND expected consumer_cxx_shared)
endif()
if(NOT ran STREQUAL expected)
    message(FATAL_ERROR "ran '${ran}', not '${expected}'")
endif()

# By pkg-config.
find_program(PKG_CONFIG NAMES pkg-config pkgconf REQUIRED)
set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
function(flags variable)
    execute_process(COMMAND ${PKG_CONFIG} ${ARGN} rondo OUTPUT_VARIABLE text
        OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(text UNIX_COMMAND "${text}")
    set(${variable} ${text} PARENT_SCOPE)
endfunction()

flags(cflags --cflags)
if(SHARED)
    flags(libs --libs)
    run(${CC} -std=c11 ${cflags} ${CONSUMER_DIR}/consumer.c -o ${WORK_DIR}/by_pkgconfig ${libs}
        -Wl,-rpath,${prefix}/${LIBDIR})
    run(${WORK_DIR}/by_pkgconfig)
endif()

# The static library, in a tree where it stands alone.
file(GLOB shared ${prefix}/${LIBDIR}/librondo.so* ${prefix}/${LIBDIR}/librondo*.dylib)
if(shared)
    file(REMOVE ${shared})
endif()
flags(libs --static --libs)
run(${CC} -std=c11 ${cflags} ${CONSUMER_DIR}/consumer.c -o ${WORK_DIR}/by_pkgconfig_static ${libs})
run(${WORK_DIR}/by_pkgconfig_static)
