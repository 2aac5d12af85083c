# What the consumer projects share: programs that link the library as users do, and the tests that
# run them. Given by the caller: CONSUME_DIR (the folder of this file), CONSUME_STANDARD (17, 20),
# CONSUME_FLAGS (extra compile flags).
enable_testing()
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# consumer_program(NAME LIBRARIES... ): compiles programs/NAME.cc with a user's strict warnings.
function(consumer_program name contains)
  add_executable(consumer_${name} ${CONSUME_DIR}/programs/${name}.cc)
  set_target_properties(consumer_${name} PROPERTIES
    CXX_STANDARD ${CONSUME_STANDARD} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
  separate_arguments(flags UNIX_COMMAND "${CONSUME_FLAGS}")
  target_compile_options(consumer_${name} PRIVATE -O1 -Wall -Wextra -Wpedantic -Werror ${flags})
  target_link_libraries(consumer_${name} PRIVATE ${ARGN})
  add_test(NAME ${name} COMMAND Python3::Interpreter ${CONSUME_DIR}/check_profile.py ${name}.pb.gz
    --contains ${contains} -- $<TARGET_FILE:consumer_${name}> ${name}.pb.gz)
endfunction()
