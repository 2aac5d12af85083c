# Finds elfutils and defines otel-profiling-cpp::elfutils (libdw and libelf).
#
# Elfutils ships no CMake package, and a pkg-config target does not survive installation, so that this
# module serves both the build of the libraries and, installed beside the package configuration, the
# programs that link a static build of them.
find_path(OTELPROF_ELFUTILS_INCLUDE_DIR elfutils/libdw.h)
find_library(OTELPROF_LIBDW_LIBRARY dw)
find_library(OTELPROF_LIBELF_LIBRARY elf)
mark_as_advanced(OTELPROF_ELFUTILS_INCLUDE_DIR OTELPROF_LIBDW_LIBRARY OTELPROF_LIBELF_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OtelprofElfutils
  REQUIRED_VARS OTELPROF_LIBDW_LIBRARY OTELPROF_LIBELF_LIBRARY OTELPROF_ELFUTILS_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install elfutils with its headers (Debian: libdw-dev libelf-dev)")

if(OtelprofElfutils_FOUND AND NOT TARGET otel-profiling-cpp::elfutils)
  add_library(otel-profiling-cpp::elfutils INTERFACE IMPORTED)
  set_target_properties(otel-profiling-cpp::elfutils PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${OTELPROF_ELFUTILS_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${OTELPROF_LIBDW_LIBRARY};${OTELPROF_LIBELF_LIBRARY}")
endif()
