// Tests of the installation, of which a process has one: each runs in a fork child.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include <gtest/gtest.h>

namespace otelpyroscope_test {

// Runs `test` in a fork child, where nothing is installed yet; exit code 0 means passed. What
// failed is printed by the child.
template <class F>
void InFreshProcess(F test) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    test();
    std::exit(testing::Test::HasFailure() ? 1 : 0);  // with static destruction and leak check
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace otelpyroscope_test
