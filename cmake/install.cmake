# What `cmake --install` puts where: the libraries, the headers of include/ and nothing else of the
# source, the CMake package `otel-profiling-cpp` with the components pprof, otelpyroscope and, where they
# were built, pyroscope and pprof_http, a pkg-config file for each, and otel-profiling-view. Included once, after the targets exist.
include(CMakePackageConfigHelpers)

get_target_property(OTELPROF_LIBRARY_TYPE otelprof_pprof TYPE)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/otel-profiling-cpp)

install(TARGETS otelprof_pprof EXPORT otel-profiling-cpp-pprof)
install(TARGETS otelprof_otelpyroscope EXPORT otel-profiling-cpp-otelpyroscope)
set(components pprof otelpyroscope)
set(pc_files otel-profiling-pprof otelpyroscope)
if(TARGET otelprof_pyroscope)
  install(TARGETS otelprof_pyroscope EXPORT otel-profiling-cpp-pyroscope)
  list(APPEND components pyroscope)
  list(APPEND pc_files otel-profiling-pyroscope)
endif()
if(TARGET otelprof_pprof_http)
  install(TARGETS otelprof_pprof_http EXPORT otel-profiling-cpp-pprof_http)
  list(APPEND components pprof_http)
  list(APPEND pc_files otel-profiling-pprof-http)
endif()
# With the examples or tests, which bring the reader of pprof files; OPTIONAL: not every build makes it.
if(TARGET otelprof_view_program)
  install(TARGETS otelprof_view_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} OPTIONAL)
endif()
foreach(component IN LISTS components)
  install(EXPORT otel-profiling-cpp-${component} NAMESPACE otel-profiling-cpp::
    FILE otel-profiling-cpp-${component}-targets.cmake DESTINATION ${package_dir})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/${component} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")
endforeach()

set(generated ${PROJECT_BINARY_DIR}/package)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/otel-profiling-cppConfig.cmake.in
  ${generated}/otel-profiling-cppConfig.cmake INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${generated}/otel-profiling-cppConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)  # before 1.0 a minor version may change the API
install(FILES ${generated}/otel-profiling-cppConfig.cmake ${generated}/otel-profiling-cppConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindOtelprofHttplib.cmake
  DESTINATION ${package_dir})

# pkg-config. A static archive needs its libraries on every link line, a shared object does not.
if(OTELPROF_LIBRARY_TYPE STREQUAL "STATIC_LIBRARY")
  set(OTELPROF_PC_REQUIRES "Requires")
  set(OTELPROF_PC_LIBCURL ", libcurl")
  set(OTELPROF_PC_HTTPLIB ", cpp-httplib")
else()
  set(OTELPROF_PC_REQUIRES "Requires.private")
  set(OTELPROF_PC_LIBCURL "\nRequires.private: libcurl")
  set(OTELPROF_PC_HTTPLIB "\nRequires.private: cpp-httplib")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(OTELPROF_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  set(OTELPROF_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
  set(OTELPROF_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()  # relative to the file itself, so that the installed tree can be moved
  file(RELATIVE_PATH up /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
  string(REGEX REPLACE "/$" "" up "${up}")
  set(OTELPROF_PC_PREFIX "\${pcfiledir}/${up}")
  set(OTELPROF_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(OTELPROF_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
foreach(name IN LISTS pc_files)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${generated}/${name}.pc @ONLY)
  install(FILES ${generated}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
