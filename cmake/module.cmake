# One block a folder. A module is an archive of one folder's code; the public library is made of all of them.
#
#   otelprof_module(NAME unwind SOURCES a.cc DEPS handler elf TESTS a_test.cc FUZZ a_fuzz.cc BENCH a_bench.cc)
#
# TESTS: one program for each file, run by ctest under the name unwind.a_test. FUZZ: a_fuzz.cc defines
# LLVMFuzzerTestOneInput; ctest replays tests/corpus/a_fuzz/ through it, with preset `fuzz` libFuzzer runs it.
# BENCH: Google Benchmark programs, built with OTEL_PROFILING_CPP_BENCH. SINGLE_THREADED: one thread at a time uses this
# folder's code, so that ThreadSanitizer has nothing to find in its tests; fuzz targets have one thread always.
# UNTHREADED_TESTS: like TESTS, but they start no thread, and ThreadSanitizer builds leave them out.
# PORTABLE: nothing in this folder depends on the processor; its tests are cross-compiled and emulated in `make check` alone.

# Everything that all targets of this project share; users of the libraries get none of it.
add_library(otelprof_flags INTERFACE)
target_compile_features(otelprof_flags INTERFACE cxx_std_17)
target_include_directories(otelprof_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_options(otelprof_flags INTERFACE
  -fvisibility=hidden $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
if(PROJECT_IS_TOP_LEVEL)
  target_compile_options(otelprof_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor;-Wold-style-cast>)
  if(OTEL_PROFILING_CPP_WERROR)
    target_compile_options(otelprof_flags INTERFACE -Werror)
  endif()
endif()

# Sanitizers: a target of its own, because the handler must stay free of their calls.
add_library(otelprof_sanitize INTERFACE)
if(OTEL_PROFILING_CPP_SANITIZE)
  target_compile_options(otelprof_sanitize INTERFACE
    -fsanitize=${OTEL_PROFILING_CPP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(otelprof_sanitize INTERFACE -fsanitize=${OTEL_PROFILING_CPP_SANITIZE})
endif()
if(OTEL_PROFILING_CPP_FUZZ)
  target_compile_options(otelprof_sanitize INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Whether tests with that label are run in this build (OTEL_PROFILING_CPP_TEST_LABELS).
function(otelprof_runs result label)
  if(NOT OTEL_PROFILING_CPP_TEST_LABELS OR label IN_LIST OTEL_PROFILING_CPP_TEST_LABELS)
    set(${result} ON PARENT_SCOPE)
  else()
    set(${result} OFF PARENT_SCOPE)
  endif()
endfunction()

set(OTELPROF_THREAD_SANITIZER OFF)
if(OTEL_PROFILING_CPP_SANITIZE MATCHES "thread")
  set(OTELPROF_THREAD_SANITIZER ON)
endif()

# Googletest's header is parsed once for all tests. Not by ccache's users, for whom it would cost more than it saves. Tests
# alone, and not in preset dev: there, whatever forgets an include does not compile. So far preset arm64 has it.
if(OTEL_PROFILING_CPP_TESTS AND OTEL_PROFILING_CPP_PRECOMPILE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  add_library(otelprof_test_header OBJECT ${PROJECT_SOURCE_DIR}/tests/support/test_header.cc)
  target_link_libraries(otelprof_test_header PRIVATE otelprof_flags otelprof_sanitize GTest::gtest Threads::Threads)
  target_precompile_headers(otelprof_test_header PRIVATE <gtest/gtest.h>)
endif()

# A program that ctest runs. Labels: `unit` unless given; extra arguments: LIBS, LABEL, TIMEOUT, SERIAL.
function(otelprof_test name)
  cmake_parse_arguments(ARG "SERIAL" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE otelprof_flags otelprof_sanitize ${ARG_LIBS} GTest::gtest GTest::gtest_main Threads::Threads)
  if(TARGET otelprof_test_header)
    target_precompile_headers(${name} REUSE_FROM otelprof_test_header)
  endif()
  if(CMAKE_CROSSCOMPILING)
    target_compile_definitions(${name} PRIVATE OTELPROF_EMULATED)  # less work, and not what measures the emulator
  endif()
  otelprof_runs(runs ${ARG_LABEL})
  if(NOT runs)
    return()
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT 300)
  if(ARG_TIMEOUT)
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
  endif()
  if(ARG_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# Cross-compiled, what does not depend on the processor is left out unless everything is asked for.
set(OTELPROF_PORTABLE_TESTS ON)
if(CMAKE_CROSSCOMPILING AND NOT OTEL_PROFILING_CPP_EMULATE_ALL)
  set(OTELPROF_PORTABLE_TESTS OFF)
endif()

# A fuzz target, and the ctest that replays its seeds and past crashes.
function(otelprof_fuzz name source)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  if(NOT OTELPROF_PORTABLE_TESTS)
    return()
  endif()
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE otelprof_flags otelprof_sanitize ${ARG_LIBS} Threads::Threads)
  if(OTEL_PROFILING_CPP_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/fuzz_replay_main.cc)
  endif()
  otelprof_runs(runs fuzz)
  if(NOT runs)
    return()
  endif()
  # With libFuzzer: -runs=0, or ctest would fuzz and write into the corpus.
  add_test(NAME ${name} COMMAND ${name} $<$<BOOL:${OTEL_PROFILING_CPP_FUZZ}>:-runs=0> ${PROJECT_SOURCE_DIR}/tests/corpus/${name}
    COMMAND_EXPAND_LISTS)
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 300)
endfunction()

function(otelprof_module)
  cmake_parse_arguments(ARG "SINGLE_THREADED;PORTABLE" "NAME" "SOURCES;DEPS;LIBS;OPTIONS;TESTS;UNTHREADED_TESTS;TEST_LIBS;FUZZ;BENCH;BENCH_LIBS" ${ARGN})
  set(target otelprof_${ARG_NAME})
  add_library(${target} STATIC ${ARG_SOURCES})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${target} PRIVATE otelprof_flags)
  if(NOT ARG_NAME STREQUAL "handler")
    target_link_libraries(${target} PRIVATE otelprof_sanitize)
  endif()
  target_compile_options(${target} PRIVATE -ftls-model=initial-exec ${ARG_OPTIONS})
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${target} PUBLIC otelprof_${dep})
  endforeach()
  target_link_libraries(${target} PUBLIC ${ARG_LIBS} Threads::Threads)
  set_property(GLOBAL APPEND PROPERTY OTELPROF_MODULES ${target})

  if(NOT OTELPROF_THREAD_SANITIZER)
    list(APPEND ARG_TESTS ${ARG_UNTHREADED_TESTS})
  endif()
  if(ARG_PORTABLE AND NOT OTELPROF_PORTABLE_TESTS)
    set(ARG_TESTS)
  endif()
  if(OTEL_PROFILING_CPP_TESTS AND NOT (OTELPROF_THREAD_SANITIZER AND ARG_SINGLE_THREADED))
    foreach(source IN LISTS ARG_TESTS)
      get_filename_component(stem ${source} NAME_WE)
      otelprof_test(${stem} SOURCES ${source} LIBS ${target} ${ARG_TEST_LIBS} LABEL unit)
    endforeach()
  endif()
  if(OTEL_PROFILING_CPP_TESTS AND NOT OTELPROF_THREAD_SANITIZER)
    foreach(source IN LISTS ARG_FUZZ)
      get_filename_component(stem ${source} NAME_WE)
      otelprof_fuzz(${stem} ${source} LIBS ${target})
    endforeach()
  endif()
  if(OTEL_PROFILING_CPP_BENCH)
    foreach(source IN LISTS ARG_BENCH)
      get_filename_component(stem ${source} NAME_WE)
      add_executable(${stem} ${source})
      target_link_libraries(${stem} PRIVATE otelprof_flags ${target} ${ARG_BENCH_LIBS} benchmark::benchmark Threads::Threads)
    endforeach()
  endif()
endfunction()
