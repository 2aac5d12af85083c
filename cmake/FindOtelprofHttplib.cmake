# Finds cpp-httplib and defines otel-profiling-cpp::httplib.
#
# Debian's package is a compiled library with a pkg-config file and no CMake package; upstream's is header-only
# or compiled, with one. This module serves both the build and, installed beside the package configuration,
# the programs that link a static build.
if(NOT TARGET otel-profiling-cpp::httplib)
  find_package(httplib CONFIG QUIET)
  if(TARGET httplib::httplib)
    add_library(otel-profiling-cpp::httplib INTERFACE IMPORTED)
    target_link_libraries(otel-profiling-cpp::httplib INTERFACE httplib::httplib)
    set(OTELPROF_HTTPLIB_HOW "package httplib")
  else()
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
      pkg_check_modules(OTELPROF_HTTPLIB_PC QUIET IMPORTED_TARGET cpp-httplib)
    endif()
    if(TARGET PkgConfig::OTELPROF_HTTPLIB_PC)
      add_library(otel-profiling-cpp::httplib INTERFACE IMPORTED)
      target_link_libraries(otel-profiling-cpp::httplib INTERFACE PkgConfig::OTELPROF_HTTPLIB_PC)
      set(OTELPROF_HTTPLIB_HOW "pkg-config cpp-httplib")
    endif()
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OtelprofHttplib
  REQUIRED_VARS OTELPROF_HTTPLIB_HOW
  REASON_FAILURE_MESSAGE "install cpp-httplib 0.11 or later (Debian: libcpp-httplib-dev)")
