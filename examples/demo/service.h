// A small service without a network: clients that call its operations, a pool that requests hand
// work to, and housekeeping that belongs to no request.
#pragma once

#include <chrono>

namespace demo {

// Runs the service for `duration` on two client threads, two pool threads and one housekeeping
// thread. Returns when all of them have ended. Calls `progress(seconds so far, spans so far)` about
// four times a second.
void RunService(std::chrono::seconds duration, void (*progress)(double, std::size_t));

}  // namespace demo
