// The work that requests do: each function is what one scenario's flame graph must show. Sizes are
// CPU time, not turns of a loop, so that a span has the same number of samples on every machine.
#pragma once

#include <chrono>
#include <string>

namespace rideshare {

using Cpu = std::chrono::microseconds;

// How much of its CPU time the calling thread has left to spend. For one thread.
class CpuBudget {
 public:
  explicit CpuBudget(Cpu cpu);
  bool Left() const;

 private:
  std::chrono::nanoseconds end_;
};

double FindNearestVehicle(Cpu cpu);        // a hot loop: distances on a sphere
double BookSeat(Cpu cpu);                  // what is done under the lock
std::size_t PrintReceipts(Cpu cpu);        // builds and drops strings and maps
double ScoreDrivers(int part, Cpu cpu);    // one task of the pool
double ExpandRoute(double from, Cpu cpu);  // one leg of the coroutine
double SnapToRoad(int ping, Cpu cpu);      // 300 us
double EstimateSurge(Cpu cpu);             // in the pricing service

// Waits for a reply that comes over a socket after `delay`; uses next to no CPU time.
std::string ReadMapTile(std::chrono::milliseconds delay);

}  // namespace rideshare
