# How everything of ours is compiled. GCC below 14 silently miscompiles some co_await expressions: refused.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
    message(FATAL_ERROR "GCC ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines; use clang++-19 "
                        "(Debian 12: apt-get install clang-19; cmake --preset release) or GCC 14 or newer.")
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
    message(FATAL_ERROR "Clang ${CMAKE_CXX_COMPILER_VERSION} is too old; 19 or newer is needed.")
endif()

option(KEEPWELL_SANITIZE "build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(KEEPWELL_WERROR "warnings are errors" OFF)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
        CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

add_library(keepwell_compiler INTERFACE)
target_compile_options(keepwell_compiler INTERFACE -Wall -Wextra -Wpedantic -Wshadow)
if(KEEPWELL_WERROR)
    target_compile_options(keepwell_compiler INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Where GCC inlines only one of the two functions by which Asio allocates and frees a coroutine's frame, it sees a
    # mismatch that is none. Where it inlines moves of a std::variant, it takes the alternative that is not there for one that
    # may be; what is really not initialized Clang and the sanitizers find.
    target_compile_options(keepwell_compiler INTERFACE -Wno-mismatched-new-delete -Wno-maybe-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # Beast of Boost 1.83 uses what libstdc++ 14 calls deprecated in C++23; Clang complains of it even in headers of the system.
    # GCC does not, and tells of our own uses of such.
    target_compile_options(keepwell_compiler INTERFACE -Wno-deprecated-declarations)
    add_link_options(-fuse-ld=lld)
endif()
if(KEEPWELL_SANITIZE)
    # Without vptr: it asks the kernel by pipe(2) whether memory is there, and so cries wolf when descriptors run out.
    set(sanitizers -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_compile_options(keepwell_compiler INTERFACE ${sanitizers})
    target_link_options(keepwell_compiler INTERFACE ${sanitizers})
endif()
if(KEEPWELL_FUZZERS)
    target_compile_options(keepwell_compiler INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_include_directories(keepwell_compiler INTERFACE ${CMAKE_SOURCE_DIR})
