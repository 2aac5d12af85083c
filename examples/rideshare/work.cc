#include "examples/rideshare/work.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <thread>
#include <vector>

namespace rideshare {
namespace {

std::chrono::nanoseconds ThreadCpu() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

constexpr double kRadians = 3.14159265358979323846 / 180;

double Distance(double latitude, double longitude, int vehicle) {
  const double other = (vehicle % 180 - 90) * kRadians;
  const double turn = (vehicle % 360 - 180) * kRadians - longitude;
  return std::acos(std::clamp(
      std::sin(latitude) * std::sin(other) + std::cos(latitude) * std::cos(other) * std::cos(turn),
      -1.0, 1.0));
}

}  // namespace

CpuBudget::CpuBudget(Cpu cpu) : end_(ThreadCpu() + cpu) {}
bool CpuBudget::Left() const { return ThreadCpu() < end_; }

[[gnu::noinline]] double FindNearestVehicle(Cpu cpu) {
  double nearest = 10;
  int vehicle = 0;
  for (const CpuBudget budget(cpu); budget.Left();) {
    for (int i = 0; i < 500; ++i, ++vehicle) {
      nearest = std::min(nearest, Distance(52.5 * kRadians, 13.4 * kRadians, vehicle));
    }
  }
  return nearest;
}

[[gnu::noinline]] double BookSeat(Cpu cpu) {
  static std::vector<double> seats(4096, 1.0);  // under the caller's lock
  double taken = 0;
  for (const CpuBudget budget(cpu); budget.Left();) {
    for (double& seat : seats) taken += seat = std::sqrt(seat + 0.5);
  }
  return taken;
}

[[gnu::noinline]] std::size_t PrintReceipts(Cpu cpu) {
  std::size_t letters = 0;
  for (const CpuBudget budget(cpu); budget.Left();) {
    std::map<std::string, std::vector<std::string>> receipts;
    for (int i = 0; i < 200; ++i) {
      auto& lines = receipts["customer-" + std::to_string(i * 7919 % 101)];
      lines.push_back("a ride of " + std::to_string(i) + " minutes through the town");
    }
    for (const auto& receipt : receipts) letters += receipt.second.front().size();
  }
  return letters;
}

[[gnu::noinline]] double ScoreDrivers(int part, Cpu cpu) {
  double score = part + 1;
  for (const CpuBudget budget(cpu); budget.Left();) {
    for (int i = 1; i < 500; ++i) score += std::log(score + i);
  }
  return score;
}

[[gnu::noinline]] double ExpandRoute(double from, Cpu cpu) {
  double length = from;
  for (const CpuBudget budget(cpu); budget.Left();) {
    for (int i = 1; i < 500; ++i) length = std::hypot(length, 1.0 / i);
  }
  return length;
}

[[gnu::noinline]] double SnapToRoad(int ping, Cpu cpu) {
  double best = ping;
  for (const CpuBudget budget(cpu); budget.Left();) {
    for (int i = 1; i < 100; ++i) best = std::fmod(best * 1.1 + i, 360.0);
  }
  return best;
}

[[gnu::noinline]] double EstimateSurge(Cpu cpu) {
  double surge = 1;
  for (const CpuBudget budget(cpu); budget.Left();) {
    for (int i = 1; i < 500; ++i) surge = 1 + std::pow(surge / (i + 1), 0.7);
  }
  return surge;
}

[[gnu::noinline]] std::string ReadMapTile(std::chrono::milliseconds delay) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::runtime_error("no sockets left");
  }
  // Stands for the map server.
  std::thread map_server([end = ends[1], delay] {
    std::this_thread::sleep_for(delay);
    const char tile[] = "tile";
    if (write(end, tile, sizeof tile - 1) < 0) return;
  });
  char tile[16];
  const ssize_t size = read(ends[0], tile, sizeof tile);
  map_server.join();
  close(ends[0]);
  close(ends[1]);
  if (size <= 0) throw std::runtime_error("the map server gave no tile");
  return std::string(tile, static_cast<std::size_t>(size));
}

}  // namespace rideshare
