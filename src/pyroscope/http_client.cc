#include "src/pyroscope/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

namespace pyroscope::internal {
namespace {

using pprof::Result;
using pprof::Status;

// What is kept of an answer, for the log; and what is read before the connection is given up.
constexpr std::size_t kKeptBytes = 4096;
constexpr std::size_t kMaxReadBytes = std::size_t{64} * 1024;
constexpr std::size_t kMaxHeaderBytes = std::size_t{256} * 1024;

// Never destroyed: Start may be called in static construction and destruction.
struct CurlInit {
  std::mutex mutex;
  bool done = false;
};
CurlInit& Init() {
  alignas(CurlInit) static char storage[sizeof(CurlInit)];
  static auto* const init = new (storage) CurlInit();
  return *init;
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

bool Append(List* list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(list->get(), line.c_str());
  if (longer == nullptr) return false;
  static_cast<void>(list->release());
  list->reset(longer);
  return true;
}

// The body of an answer as it comes in.
struct Body {
  std::string kept;
  std::size_t read = 0;
  std::size_t header_bytes = 0;
  bool cut = false;
};

std::size_t OnHeader(char*, std::size_t size, std::size_t count, void* out) {
  auto* const body = static_cast<Body*>(out);
  body->header_bytes += size * count;
  return body->header_bytes <= kMaxHeaderBytes ? size * count : 0;
}

std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* out) {
  auto* const body = static_cast<Body*>(out);
  const std::size_t bytes = size * count;
  body->read += bytes;
  const std::size_t room = kKeptBytes - body->kept.size();
  try {
    body->kept.append(data, std::min(bytes, room));
  } catch (...) {  // the words of the answer are lost, its status is not
  }
  if (body->read <= kMaxReadBytes) return bytes;
  body->cut = true;
  return 0;  // ends the transfer
}

}  // namespace

struct HttpClient::Handles {
  ~Handles() {
    if (easy != nullptr) curl_easy_cleanup(easy);
    if (multi != nullptr) curl_multi_cleanup(multi);
  }
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
  List headers;
  Body body;
  char error[CURL_ERROR_SIZE] = "";
};

Status InitCurl() {
  CurlInit& init = Init();
  const std::lock_guard<std::mutex> lock(init.mutex);
  if (init.done) return {};
  const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) {
    return {Status::Code::kUnavailable,
            std::string("libcurl cannot be set up: ") + curl_easy_strerror(code)};
  }
  init.done = true;
  return {};
}

void ResetCurlInitInChild() noexcept { new (&Init().mutex) std::mutex(); }

HttpClient::HttpClient(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {}
HttpClient::~HttpClient() = default;

namespace {

// True if every option was taken.
class Options {
 public:
  explicit Options(CURL* easy) : easy_(easy) {}
  template <class Value>
  void Set(CURLoption option, Value value) {
    if (curl_easy_setopt(easy_, option, value) != CURLE_OK) ok_ = false;
  }
  bool ok() const { return ok_; }

 private:
  CURL* easy_;
  bool ok_ = true;
};

bool SetHeaders(const Settings& settings, Options* options, List* list) {
  for (const auto& [name, value] : settings.headers) {
    // "Name:" would take the header away; "Name;" sends it without a value.
    std::string line = name;
    line += value.empty() ? ";" : ": ";
    line += value;
    if (!Append(list, line)) return false;
  }
  // No waiting for "100 Continue", no "Accept: */*".
  if (!Append(list, "Expect:") || !Append(list, "Accept:")) return false;
  options->Set(CURLOPT_HTTPHEADER, list->get());
  // Else a proxy would get the credentials of the server.
  options->Set(CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
  return true;
}

void SetTransfer(const Settings& settings, const HttpTimeouts& timeouts, Options* options) {
  options->Set(CURLOPT_URL, settings.endpoint.url.c_str());
  options->Set(CURLOPT_PROTOCOLS_STR, "http,https");
  options->Set(CURLOPT_FOLLOWLOCATION, 0L);
  options->Set(CURLOPT_NOSIGNAL, 1L);
  options->Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeouts.connect.count()));
  options->Set(CURLOPT_TIMEOUT_MS, static_cast<long>(timeouts.total.count()));
  options->Set(CURLOPT_SSL_VERIFYPEER, 1L);
  options->Set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!settings.ca_file.empty()) options->Set(CURLOPT_CAINFO, settings.ca_file.c_str());
  // Also when empty, so that curl does not read the environment while other threads change it.
  options->Set(CURLOPT_PROXY, settings.proxy.url.c_str());
  options->Set(CURLOPT_NOPROXY, settings.proxy.no_proxy.c_str());
#if LIBCURL_VERSION_NUM >= 0x075700
  options->Set(CURLOPT_QUICK_EXIT, 1L);  // a name server that hangs must not keep Stop waiting
#endif
}

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::Create(const Settings& settings,
                                                       HttpTimeouts timeouts) {
  const Status no_memory{Status::Code::kUnavailable, "no memory for an HTTP client"};
  auto handles = std::make_unique<Handles>();
  handles->multi = curl_multi_init();
  handles->easy = curl_easy_init();
  if (handles->multi == nullptr || handles->easy == nullptr) return no_memory;
  Options options(handles->easy);
  SetTransfer(settings, timeouts, &options);
  options.Set(CURLOPT_ERRORBUFFER, static_cast<char*>(handles->error));
  options.Set(CURLOPT_HEADERFUNCTION, &OnHeader);
  options.Set(CURLOPT_HEADERDATA, static_cast<void*>(&handles->body));
  options.Set(CURLOPT_WRITEFUNCTION, &OnBody);
  options.Set(CURLOPT_WRITEDATA, static_cast<void*>(&handles->body));
  if (!SetHeaders(settings, &options, &handles->headers)) return no_memory;
  if (!options.ok()) {
    return Status{Status::Code::kUnavailable,
                  "libcurl refuses an option: it is older than 7.85 or lacks TLS"};
  }
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(handles)));
}

int HttpClient::Run() {
  CURLM* const multi = handles_->multi;
  // A connection may end, or a name be found, without anything to read.
  constexpr int kPollMs = 1000;
  while (!abort_.load(std::memory_order_acquire)) {
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK) return CURLE_FAILED_INIT;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) return message->data.result;
    }
    if (curl_multi_poll(multi, nullptr, 0, kPollMs, nullptr) != CURLM_OK) return CURLE_FAILED_INIT;
  }
  return CURLE_ABORTED_BY_CALLBACK;
}

Answer HttpClient::ReadAnswer(Handles* handles, int code) {
  CURL* const easy = handles->easy;
  Answer answer;
  long status = 0;
  curl_off_t sent = 0;
  curl_off_t retry_after = 0;
  const char* text = nullptr;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
  if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK && retry_after > 0) {
    answer.retry_after = std::chrono::seconds(retry_after);
  }
  answer.curl_code = code;
  answer.status = static_cast<int>(status);
  answer.complete = code == CURLE_OK || (status != 0 && handles->body.cut);
  answer.aborted = code == CURLE_ABORTED_BY_CALLBACK;
  answer.bytes_sent = static_cast<std::uint64_t>(sent);
  curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &text);
  if (text != nullptr) answer.content_type = text;
  text = nullptr;
  curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &text);
  if (text != nullptr) answer.location = text;
  answer.body = std::move(handles->body.kept);
  if (!answer.complete) {
    answer.error = handles->error[0] != '\0' ? handles->error
                                             : curl_easy_strerror(static_cast<CURLcode>(code));
  }
  return answer;
}

Answer HttpClient::Post(std::string_view body) {
  Handles& handles = *handles_;
  CURL* const easy = handles.easy;
  handles.body = {};
  handles.error[0] = '\0';
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
  if (curl_multi_add_handle(handles.multi, easy) != CURLM_OK) {
    Answer failed;
    failed.curl_code = CURLE_FAILED_INIT;
    failed.error = "libcurl cannot begin a transfer";
    return failed;
  }
  const int code = Run();
  Answer answer = ReadAnswer(&handles, code);
  answer.body_sent = answer.bytes_sent >= body.size();
  curl_multi_remove_handle(handles.multi, easy);
  return answer;
}

void HttpClient::Abort() noexcept {
  abort_.store(true, std::memory_order_release);
  curl_multi_wakeup(handles_->multi);
}

}  // namespace pyroscope::internal
