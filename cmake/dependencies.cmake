# What is written once for each architecture: <name>_${OTELPROF_ARCH}.cc.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(OTELPROF_ARCH aarch64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(OTELPROF_ARCH x86_64)
else()
  message(FATAL_ERROR "no stack walk for ${CMAKE_SYSTEM_PROCESSOR}: x86_64 and aarch64 are supported")
endif()

# What the libraries need; ARCHITECTURE.md says why each one. Found once, wrapped where Debian ships no CMake package.
find_package(ZLIB REQUIRED)
find_package(LibLZMA REQUIRED)  # .gnu_debugdata is compressed with xz
find_package(Threads REQUIRED)

find_path(OTELPROF_PROTOZERO_INCLUDE_DIR protozero/pbf_writer.hpp)
mark_as_advanced(OTELPROF_PROTOZERO_INCLUDE_DIR)
if(NOT OTELPROF_PROTOZERO_INCLUDE_DIR)
  message(FATAL_ERROR "protozero not found: install libprotozero-dev")
endif()

# Of the push client alone, which is left out where these are missing.
find_package(CURL 7.85 QUIET)
find_package(nlohmann_json QUIET)
# Of pprof_http alone, likewise.
list(PREPEND CMAKE_MODULE_PATH ${PROJECT_SOURCE_DIR}/cmake)
find_package(OtelprofHttplib MODULE QUIET)
list(POP_FRONT CMAKE_MODULE_PATH)

# The bridge is header-only and needs the API target alone. Nothing else looks for opentelemetry-cpp.
if(PROJECT_IS_TOP_LEVEL AND NOT TARGET opentelemetry-cpp::api)
  find_package(opentelemetry-cpp CONFIG QUIET)
  if(NOT opentelemetry-cpp_FOUND)
    message(STATUS "opentelemetry-cpp not found: its bridge is installed but neither tested nor used by examples")
  endif()
endif()

if(OTEL_PROFILING_CPP_TESTS)
  find_package(GTest REQUIRED)
endif()
if(OTEL_PROFILING_CPP_BENCH)
  find_package(benchmark REQUIRED)
endif()
