// One HTTP POST at a time through libcurl, with bounds on time and on what is read of the answer.
#pragma once

#include <pprof/status.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/pyroscope/settings.h"

namespace pyroscope::internal {

struct HttpTimeouts {
  std::chrono::milliseconds connect = std::chrono::seconds(10);
  // Of a whole request. A push takes about half a second; pyroscope-go waits as long as this.
  std::chrono::milliseconds total = std::chrono::seconds(30);
};

// What came back.
struct Answer {
  int status = 0;          // 0: no HTTP answer came
  bool complete = false;   // read to its end, or as far as is of use
  bool body_sent = false;  // the whole request left: the server may have acted on it
  bool aborted = false;    // by Abort()
  std::string content_type;
  std::string location;  // of a redirect
  std::string body;      // its first 4 KiB
  std::optional<std::chrono::seconds> retry_after;
  int curl_code = 0;  // CURLcode of the transfer
  std::string error;  // curl's words when there is no complete answer
  std::uint64_t bytes_sent = 0;
};

// libcurl's process-wide set-up, once. Any thread.
pprof::Status InitCurl();
// In a fork child: a set-up that was under way in another thread will never end.
void ResetCurlInitInChild() noexcept;

class HttpClient {
 public:
  static pprof::Result<std::unique_ptr<HttpClient>> Create(const Settings& settings,
                                                           HttpTimeouts timeouts);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Blocks. One thread at a time. May throw std::bad_alloc.
  Answer Post(std::string_view body);
  // Ends the running Post, and any later one, at once. Any thread.
  void Abort() noexcept;

 private:
  struct Handles;
  explicit HttpClient(std::unique_ptr<Handles> handles);
  // Runs the transfer to its end; CURLE_ABORTED_BY_CALLBACK after Abort().
  int Run();
  static Answer ReadAnswer(Handles* handles, int code);

  std::unique_ptr<Handles> handles_;
  std::atomic<bool> abort_{false};
};

}  // namespace pyroscope::internal
