// "host:port" of a listening socket, and which names reach it from this machine alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pprof_http {

struct Address {
  std::string host;  // without brackets; "0.0.0.0" where none was given
  int port = 0;
};

// nullopt: not host:port with a port from 0 to 65535. An IPv6 host must stand in brackets.
std::optional<Address> ParseAddress(std::string_view text);
std::string FormatAddress(const Address& address);

// localhost, 127.0.0.0/8 and ::1.
bool IsLoopback(std::string_view host);
// The host of a Host header, without port and brackets.
std::string_view HostOfHeader(std::string_view header);

}  // namespace pprof_http
