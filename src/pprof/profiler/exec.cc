#include <pprof/exec.h>

#include "src/pprof/sampler/sampler.h"

namespace pprof {

void PrepareForExec() noexcept { sampler::Sampler::PauseForExec(); }
void ExecFailed() noexcept { sampler::Sampler::ResumeAfterExec(); }

}  // namespace pprof
