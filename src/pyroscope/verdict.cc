#include "src/pyroscope/verdict.h"

#include <curl/curl.h>

#include <string_view>

#include "src/pyroscope/headers.h"
#include "src/pyroscope/text.h"

namespace pyroscope::internal {
namespace {

constexpr int kOk = 200;
constexpr std::string_view kPushAnswerType = "application/proto";

// Parameters behind ';' do not count.
bool IsPushAnswer(const Answer& answer) {
  const std::string type = LowerCase(answer.content_type);
  return Trim(std::string_view(type).substr(0, type.find(';'))) == kPushAnswerType;
}

const char* TransportRemedy(int code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return "check the host name in server_address";
    case CURLE_COULDNT_RESOLVE_PROXY:
      return "check the proxy variables (https_proxy, http_proxy, no_proxy)";
    case CURLE_COULDNT_CONNECT:
      return "check that the server runs and that server_address names its port";
    case CURLE_PEER_FAILED_VERIFICATION:
      return "the server's certificate is not trusted: set ca_file (PYROSCOPE_CA_FILE)";
    case CURLE_SSL_CACERT_BADFILE:
      return "check ca_file (PYROSCOPE_CA_FILE)";
    case CURLE_SSL_CONNECT_ERROR:
      return "does server_address say https for a port without TLS?";
    case CURLE_OPERATION_TIMEDOUT:
      return "the server or the way to it is too slow";
    default:
      return "check the server and what stands before it";
  }
}

const char* StatusRemedy(int status) {
  switch (status) {
    case 400:
    case 422:
      return "the server refuses this profile; if it speaks of time, check this machine's clock";
    case 401:
    case 403:
      return "check basic_auth_user, basic_auth_password and tenant_id, or your own Authorization "
             "header";
    case 404:
    case 405:
    case 501:
      return "check server_address: is it a Pyroscope server, with the right path?";
    case 407:
      return "the proxy wants credentials: put them into its URL (https_proxy, http_proxy)";
    case 413:
      return "raise the body limit of the proxy before the server";
    case 429:
      return "the tenant sends more than its limit (ingestion_rate_mb, ingestion_burst_size_mb)";
    default:
      return "look at the server's own log";
  }
}

bool IsRetryable(int status) {
  constexpr int kNotImplemented = 501;
  return status == 408 || status == 429 || (status >= 500 && status != kNotImplemented);
}

// A gateway says so when it does not know what became of the request; a server that fails may have
// stored the profile before. One that is unavailable did not begin.
bool MayHaveBeenTaken(int status) {
  constexpr int kUnavailable = 503;
  return status == 408 || (status >= 500 && status != kUnavailable && IsRetryable(status));
}

Verdict JudgeTransport(const Answer& answer) {
  Verdict verdict;
  verdict.outcome = answer.aborted ? Outcome::kAborted : Outcome::kRetry;
  verdict.counts = verdict.maybe_taken = answer.body_sent;
  verdict.kind = "curl " + std::to_string(answer.curl_code);
  verdict.problem = answer.error;
  verdict.remedy = TransportRemedy(answer.curl_code);
  return verdict;
}

// Not what a push server says: a redirect, a proxy's page, an answer that broke off.
Verdict JudgeStranger(const Answer& answer) {
  Verdict verdict;
  verdict.counts = true;
  verdict.maybe_taken = answer.status < 300;
  verdict.outcome = answer.status < 300 ? Outcome::kRetry : Outcome::kRefused;
  if (answer.status >= 300) {
    verdict.remedy = answer.location.empty()
                         ? "redirects are not followed: set server_address to where the server is"
                         : "redirects are not followed: set server_address to what it names";
    // What follows '?' may be a token of a login page.
    verdict.problem = " to " + answer.location.substr(0, answer.location.find('?'));
    return verdict;
  }
  verdict.remedy = "something before the server answers in its place: check server_address";
  return verdict;
}

}  // namespace

Verdict Judge(const Answer& answer) {
  if (answer.status == 0 || answer.aborted || (answer.status < 300 && !answer.complete)) {
    return JudgeTransport(answer);
  }
  Verdict verdict;
  if (answer.status == kOk && IsPushAnswer(answer)) {
    verdict.outcome = Outcome::kAccepted;
    return verdict;
  }
  if (answer.status < 400) {
    verdict = JudgeStranger(answer);
  } else {
    verdict.outcome = IsRetryable(answer.status) ? Outcome::kRetry : Outcome::kRefused;
    verdict.counts = true;
    verdict.maybe_taken = MayHaveBeenTaken(answer.status);
    verdict.remedy = StatusRemedy(answer.status);
  }
  verdict.kind = "HTTP " + std::to_string(answer.status);
  std::string words = verdict.kind;
  if (answer.status < 300) words += " of type \"" + answer.content_type + '"';
  words += verdict.problem;
  if (!answer.body.empty()) words += ": " + answer.body;
  verdict.problem = std::move(words);
  return verdict;
}

}  // namespace pyroscope::internal
