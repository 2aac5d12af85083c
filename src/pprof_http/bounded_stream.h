// One connection of cpp-httplib that cannot keep a thread for long: a bound on all the bytes that a
// client sends and on the time it takes to send them or to read an answer.
#pragma once

#include <httplib.h>

#include <chrono>
#include <cstddef>
#include <string>

namespace pprof_http {

// REQUIRES: a connected socket, which outlives this object. One thread.
class BoundedStream final : public httplib::Stream {
 public:
  explicit BoundedStream(socket_t socket);

  bool is_readable() const override;
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

  // Virtual under one name or the other, depending on cpp-httplib's version.
  bool is_writable() const { return true; }
  bool wait_readable() const { return is_readable(); }
  bool wait_writable() const { return true; }
  time_t duration() const { return 0; }

 private:
  using Clock = std::chrono::steady_clock;
  // False: the time was over first.
  bool WaitFor(short events, Clock::time_point until) const;

  const socket_t socket_;
  const Clock::time_point read_until_;
  Clock::time_point write_until_{};  // set by the first write
  std::size_t bytes_left_;
};

// True when the other side has closed the connection.
bool PeerGone(socket_t socket);

}  // namespace pprof_http
