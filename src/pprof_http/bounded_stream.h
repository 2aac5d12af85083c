// One connection of cpp-httplib that cannot keep a thread for long: a bound on all the bytes that a
// client sends and on the time it takes to send them or to read an answer.
#pragma once

#include <httplib.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace pprof_http {

// Takes the header field "Range" out of a request's head, which ends with an empty line.
// cpp-httplib reads it with a regular expression whose recursion is as deep as the field is long,
// and answers each of its ranges, however many and however large.
void DropRanges(std::string* head);

// REQUIRES: a connected socket, which outlives this object. One thread.
class BoundedStream final : public httplib::Stream {
 public:
  explicit BoundedStream(socket_t socket);

  enum class Head { kRead, kTooLarge, kTooSlow, kGone };
  // Reads the request up to the empty line that ends its header fields. Call it first; read() gives
  // out nothing beyond that, since no request here has a body.
  Head ReadHead();

  bool is_readable() const override { return given_ < head_.size(); }
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

  // Which of these override something depends on cpp-httplib's version.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsuggest-override"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winconsistent-missing-override"
#endif
  bool is_writable() const { return true; }
  bool wait_readable() const { return is_readable(); }
  bool wait_writable() const { return true; }
  time_t duration() const { return 0; }
#pragma GCC diagnostic pop

 private:
  using Clock = std::chrono::steady_clock;
  // False: the time was over first.
  bool WaitFor(short events, Clock::time_point until) const;

  const socket_t socket_;
  const Clock::time_point read_until_;
  Clock::time_point write_until_{};  // set by the first write
  std::string head_;
  std::size_t given_ = 0;  // bytes of it
};

// True when the other side has closed the connection, whatever it sent before.
bool PeerGone(socket_t socket);

// Ends and closes a connection so that what was written still arrives, though the client sent more
// than was read.
void CloseGently(socket_t socket);

}  // namespace pprof_http
