// Sends the demo's profiles to a Pyroscope server, if PYROSCOPE_SERVER_ADDRESS names one.
#pragma once

namespace demo {

// False: the configuration is wrong, and stderr says how. An unreachable server is no error.
bool StartPush();
// Sends what is left and prints what became of it. Nothing if no server was named.
void StopPush();

}  // namespace demo
