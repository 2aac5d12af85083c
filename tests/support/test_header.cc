// Only the source that CMake wants beside a precompiled header (cmake/module.cmake).
