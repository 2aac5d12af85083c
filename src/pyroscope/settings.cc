#include "src/pyroscope/settings.h"

#include <unistd.h>

#include <optional>
#include <string_view>

#include "src/pyroscope/headers.h"
#include "src/pyroscope/text.h"

namespace pyroscope::internal {
namespace {

using pprof::Result;
using pprof::Status;

constexpr std::chrono::milliseconds kDefaultInterval = std::chrono::seconds(15);
constexpr std::chrono::milliseconds kMinInterval{100};
// A server refuses profiles that began more than an hour ago; a queue needs some of that time.
constexpr std::chrono::milliseconds kMaxInterval = std::chrono::minutes(10);
// Grafana's flame graph of a span searches for profiles that began within 30 s of it.
constexpr std::chrono::milliseconds kLongInterval = std::chrono::seconds(30);
constexpr int kMaxRate = 1000;
constexpr std::size_t kQuoteBytes = 80;

Status Wrong(std::string message) { return {Status::Code::kInvalidArgument, std::move(message)}; }

std::string Quoted(std::string_view text) { return '"' + Printable(text, kQuoteBytes) + '"'; }

// What OpenTelemetry's variables say of this service.
struct Service {
  std::string name;
  std::string name_space;
};

// The steps of Resolve; the first error stays.
class Resolver {
 public:
  Resolver(const Config& config, const Environment& environment)
      : config_(config), environment_(environment) {}

  Result<Resolved> Run() {
    ReadLogLevel();
    if (!Enabled()) return Off(Resolved::Off::kSwitchedOff);
    const std::string address = Text(config_.server_address, "PYROSCOPE_SERVER_ADDRESS");
    if (Trim(address).empty()) {
      if (!status_.ok()) return status_;
      return Off(Resolved::Off::kNoServer);
    }
    ReadServer(address);
    ReadNames();
    ReadHeaders();
    ReadInterval();
    ReadRest();
    if (!status_.ok()) return status_;
    return std::move(resolved_);
  }

 private:
  Resolved Off(Resolved::Off why) {
    resolved_.off = why;
    return std::move(resolved_);
  }

  // True unless an earlier or this step failed.
  bool Check(Status status) {
    if (status_.ok() && !status.ok()) status_ = std::move(status);
    return status_.ok();
  }

  std::string Text(const std::string& in_code, const char* variable) {
    return in_code.empty() ? environment_(variable) : in_code;
  }

  // The parsed value of a variable; nothing if it is unset or wrong.
  template <class Parse>
  auto Parsed(const char* variable, Parse parse)
      -> std::optional<std::decay_t<decltype(*parse(std::string()))>> {
    const std::string text = environment_(variable);
    if (text.empty()) return std::nullopt;
    auto value = parse(text);
    if (value.ok()) return *value;
    Check(Wrong(std::string(variable) + ": " + value.status().message));
    return std::nullopt;
  }

  void ReadLogLevel() { resolved_.log_level = Parsed("PYROSCOPE_LOG_LEVEL", ParseLogLevel); }

  bool Enabled() { return Parsed("PYROSCOPE_PROFILING_ENABLED", ParseBool).value_or(true); }

  void ReadServer(const std::string& address) {
    Result<Endpoint> endpoint = ParseEndpoint(address);
    if (!Check(endpoint.status())) return;
    resolved_.settings.endpoint = *endpoint;
    resolved_.settings.proxy = FindProxy(*endpoint, environment_);
  }

  // A mistake in OTEL_RESOURCE_ATTRIBUTES makes it void, as OpenTelemetry says; it is theirs.
  Service OpenTelemetryService() {
    Service service;
    const std::string text = environment_("OTEL_RESOURCE_ATTRIBUTES");
    const Result<StringMap> attributes = ParseResourceAttributes(text);
    if (attributes.ok()) {
      const auto find = [&](const char* key) {
        const auto entry = (*attributes).find(key);
        return entry == (*attributes).end() ? std::string() : entry->second;
      };
      service = {find("service.name"), find("service.namespace")};
    } else {
      resolved_.warnings.push_back("OTEL_RESOURCE_ATTRIBUTES is ignored: " +
                                   attributes.status().message);
    }
    const std::string name = environment_("OTEL_SERVICE_NAME");
    if (!name.empty()) service.name = name;
    return service;
  }

  void ReadNames() {
    const Service service = OpenTelemetryService();
    Settings& settings = resolved_.settings;
    settings.service_name = Text(config_.application_name, "PYROSCOPE_APPLICATION_NAME");
    if (settings.service_name.empty()) settings.service_name = service.name;
    if (!Check(CheckServiceName(settings.service_name))) return;
    if (!service.name.empty() && service.name != settings.service_name) {
      resolved_.warnings.push_back(
          "the application name " + Quoted(settings.service_name) +
          " differs from OpenTelemetry's service name " + Quoted(service.name) +
          ": Grafana will find no profiles for its spans; make them equal");
    }
    settings.tags = config_.tags;
    if (const auto labels = Parsed("PYROSCOPE_LABELS", ParseLabels)) {
      settings.tags.insert(labels->begin(), labels->end());
    }
    if (!service.name_space.empty()) {
      settings.tags.emplace("service_namespace", service.name_space);
    }
    Check(CheckTags(settings.tags, settings.service_name));
  }

  void ReadHeaders() {
    Settings& settings = resolved_.settings;
    Credentials credentials;
    credentials.user = Text(config_.basic_auth_user, "PYROSCOPE_BASIC_AUTH_USER");
    credentials.password = Text(config_.basic_auth_password, "PYROSCOPE_BASIC_AUTH_PASSWORD");
    credentials.tenant_id = Text(config_.tenant_id, "PYROSCOPE_TENANT_ID");
    if (credentials.user.empty() && credentials.password.empty()) {
      credentials.user = settings.endpoint.user;
      credentials.password = settings.endpoint.password;
    }
    StringMap custom = config_.http_headers;
    if (const auto more = Parsed("PYROSCOPE_HTTP_HEADERS", ParseJsonObject)) {
      AddMissing(*more, &custom);
    }
    if (!Check(CheckCredentials(credentials)) || !Check(CheckHeaders(custom))) return;
    settings.headers = MakeHeaders(credentials, custom);
    settings.secrets = SecretsOf(credentials, custom);
    settings.secrets.push_back(settings.endpoint.password);
  }

  // Names in any case of letters are the same.
  static void AddMissing(const StringMap& more, StringMap* headers) {
    std::map<std::string, bool> given;
    for (const auto& header : *headers) given[LowerCase(header.first)] = true;
    for (const auto& header : more) {
      if (given.count(LowerCase(header.first)) == 0) headers->insert(header);
    }
  }

  void ReadInterval() {
    Settings& settings = resolved_.settings;
    settings.upload_interval = kDefaultInterval;
    if (config_.upload_interval) {
      settings.upload_interval = *config_.upload_interval;
    } else if (const auto interval = Parsed("PYROSCOPE_UPLOAD_INTERVAL", ParseDuration)) {
      settings.upload_interval = *interval;
    }
    if (settings.upload_interval < kMinInterval || settings.upload_interval > kMaxInterval) {
      Check(Wrong("upload_interval is " + std::to_string(settings.upload_interval.count()) +
                  " ms: choose 100 ms to 10 min, 15 s is usual"));
    } else if (settings.upload_interval >= kLongInterval) {
      resolved_.warnings.push_back(
          "upload_interval is " + std::to_string(settings.upload_interval.count() / 1000) +
          " s: Grafana looks for a span's profile within 30 s of the span and may miss it; "
          "choose less than 30 s");
    }
  }

  void ReadRest() {
    Settings& settings = resolved_.settings;
    settings.sample_rate = config_.sample_rate;
    if (settings.sample_rate < 1 || settings.sample_rate > kMaxRate) {
      Check(Wrong("sample_rate is " + std::to_string(settings.sample_rate) +
                  " Hz: choose 1 to 1000, 100 is usual"));
    }
    settings.ca_file = Text(config_.ca_file, "PYROSCOPE_CA_FILE");
    if (!settings.ca_file.empty() && access(settings.ca_file.c_str(), R_OK) != 0) {
      Check(Wrong("ca_file " + Quoted(settings.ca_file) + " cannot be read"));
    }
  }

  const Config& config_;
  const Environment& environment_;
  Resolved resolved_;
  Status status_;
};

}  // namespace

Result<Resolved> Resolve(const Config& config, const Environment& environment) {
  return Resolver(config, environment).Run();
}

}  // namespace pyroscope::internal
