// A user's program that ships its profiles: a push client without a server, which is fine and does
// nothing, and the pull routes on a free port. Writes the profile that the routes give.
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include <pprof_http/pprof_http.h>
#include <pyroscope/pyroscope.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  pyroscope::Config config;
  config.application_name = "consumer";
  auto profiler = pyroscope::Start(config);
  if (!profiler.ok() || profiler->running()) {
    std::fprintf(stderr, "without a server Start() is ok and nothing runs\n");
    return 1;
  }
  auto server = pprof_http::Serve({"127.0.0.1:0"});
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().message.c_str());
    return 1;
  }
  bool stop = false;
  std::thread worker([&] {
    volatile double sum = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) sum = sum + 1;
  });
  const pprof_http::Response response =
      pprof_http::Handle({"GET", "/debug/pprof/profile?seconds=1", {}});
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  worker.join();
  std::ofstream(argv[1], std::ios::binary) << response.body;
  return response.status == 200 ? 0 : 1;
}
