# Warnings, visibility and sanitizers.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)

# -O2 is where a release of ours stands; CMake's own default would be -O3.
if(PROJECT_IS_TOP_LEVEL AND CMAKE_C_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
    set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
endif()

# A sanitizer must be told of every object in a program, so it is set for the whole build.
if(RONDO_SANITIZE)
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${RONDO_SANITIZE}>
        -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=${RONDO_SANITIZE})
    if(RONDO_SANITIZE MATCHES "undefined")
        add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-fno-sanitize-recover=all>)
    endif()
endif()

if(RONDO_LTO)
    include(CheckIPOSupported)
    check_ipo_supported(LANGUAGES C)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        add_compile_options($<$<COMPILE_LANGUAGE:C>:-ffat-lto-objects>)
    endif()
endif()

# Everything of ours is compiled with these: the libraries, the tests, the examples, the bench.
function(rondo_compile_options target)
    set_target_properties(${target} PROPERTIES C_VISIBILITY_PRESET hidden)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:
        -Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<BOOL:${RONDO_WERROR}>:-Werror>>)
endfunction()

# Names in the shared library are bound inside it; nobody may put his own in between.
include(CheckCCompilerFlag)
set(CMAKE_REQUIRED_FLAGS -Werror) # a flag that means nothing for the system is but warned of
check_c_compiler_flag(-fno-semantic-interposition RONDO_HAVE_NO_INTERPOSITION)
# gcc clears what is larger than a few words by "rep stos", which takes most of ten nanoseconds to begin: as long as
# a step of a task.
set(clear_by_stores -mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign)
check_c_compiler_flag(${clear_by_stores} RONDO_HAVE_MEMSET_STRATEGY)
unset(CMAKE_REQUIRED_FLAGS)
if(RONDO_HAVE_NO_INTERPOSITION)
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-fno-semantic-interposition>)
endif()
if(RONDO_HAVE_MEMSET_STRATEGY)
    add_compile_options($<$<COMPILE_LANGUAGE:C>:${clear_by_stores}>)
endif()
