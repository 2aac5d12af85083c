#include <signal.h>
#include <ucontext.h>

#include <algorithm>

#include "src/pprof/unwind/single_step.h"

namespace pprof::unwind {
namespace {

constexpr greg_t kTrapFlag = 0x100;
constexpr std::uint32_t kMaxDepth = 2048;
constexpr std::uint32_t kMaxFrames = 2 * kMaxDepth;
constexpr std::uint32_t kMaxPlaces = 1u << 18;

struct Call {
  std::uint64_t slot;  // where the return address stands
  std::uint64_t return_address;
};

// All that the trap handler works with; one stepping at a time.
struct Stepper {
  bool running;
  const StepOptions* options;
  std::uint64_t last_pc, last_sp;
  Call calls[kMaxDepth];
  std::uint32_t depth, deepest;
  std::uint64_t base[kMaxDepth];  // what lies above, leaf-most first
  std::uint32_t base_frames;
  std::uint64_t truth[kMaxFrames];
  std::uint64_t walked[kMaxFrames];
  std::uint64_t asked[kMaxFrames];
  std::vector<StepPlace> places;  // kMaxPlaces, hashed by pc
};
Stepper g_stepper;

std::uint64_t Register(const ucontext_t& context, int index) {
  return static_cast<std::uint64_t>(context.uc_mcontext.gregs[index]);
}

// A call is an instruction of at most 8 bytes that pushes the address behind itself.
void FollowCalls(Stepper& stepper, std::uint64_t pc, std::uint64_t sp) {
  while (stepper.depth > 0 && stepper.calls[stepper.depth - 1].slot < sp) --stepper.depth;
  if (sp == stepper.last_sp - 8) {
    const auto pushed = *reinterpret_cast<const std::uint64_t*>(sp);
    if (pushed - stepper.last_pc >= 2 && pushed - stepper.last_pc <= 8) {
      stepper.calls[stepper.depth++] = {sp, pushed};
    }
  }
  stepper.last_pc = pc;
  stepper.last_sp = sp;
  stepper.deepest = std::max(stepper.deepest, stepper.depth);
}

// Fills stepper.truth; returns the number of frames.
std::uint32_t TrueStack(Stepper& stepper, std::uint64_t pc) {
  std::uint32_t frames = 0;
  stepper.truth[frames++] = pc;
  for (std::uint32_t i = stepper.depth; i > 0; --i) {
    stepper.truth[frames++] = stepper.calls[i - 1].return_address - 1;
  }
  for (std::uint32_t i = 0; i < stepper.base_frames; ++i) stepper.truth[frames++] = stepper.base[i];
  return frames;
}

bool IsApart(const Stepper& stepper) {
  for (std::uint32_t i = 0; i <= stepper.depth; ++i) {
    for (const CodeSpan& span : stepper.options->apart) {
      if (stepper.truth[i] >= span.start && stepper.truth[i] < span.limit) return true;
    }
  }
  return false;
}

StepPlace& PlaceOf(Stepper& stepper, std::uint64_t pc, bool apart) {
  std::uint64_t slot = pc * 0x9e3779b97f4a7c15u >> 32;
  for (;; ++slot) {
    StepPlace& place = stepper.places[slot % kMaxPlaces];
    if (place.pc == 0) {
      place.pc = pc;
      place.apart = apart;
    }
    if (place.pc == pc && place.apart == apart) return place;
  }
}

bool Same(const std::uint64_t* a, std::uint32_t a_frames, const std::uint64_t* b,
          std::uint32_t b_frames) {
  return a_frames == b_frames && std::equal(a, a + a_frames, b);
}

// What the oracle says about a stop that the walk and the truth are known of.
void Ask(Stepper& stepper, const ucontext_t& context, StepCounts& counts,
         handler::WalkResult walked, std::uint32_t depth, bool right) {
  const std::uint32_t asked = stepper.options->oracle(context, stepper.asked, kMaxFrames);
  ++counts.oracle_asked;
  if (!Same(stepper.asked, asked, stepper.truth, depth)) {
    ++counts.oracle_wrong;
  } else if (!right) {
    ++counts.only_ours_wrong;
  }
  if (asked == 0 || stepper.asked[asked - 1] != stepper.truth[depth - 1]) return;
  ++counts.oracle_entry;
  if (walked.end != handler::WalkEnd::kComplete ||
      !Same(stepper.walked, walked.frames, stepper.asked, asked)) {
    ++counts.oracle_differs;
  }
}

void Compare(Stepper& stepper, const ucontext_t& context) {
  const std::uint64_t pc = Register(context, REG_RIP);
  FollowCalls(stepper, pc, Register(context, REG_RSP));
  const std::uint32_t depth = TrueStack(stepper, pc);
  StepPlace& place = PlaceOf(stepper, pc, IsApart(stepper));
  StepCounts& counts = place.counts;
  ++counts.stops;
  // Every other time as on a stack that is not known, which is probed.
  const bool known = counts.stops % 2 != 0;
  const handler::WalkResult walked = handler::Walk(
      context, known ? stepper.options->stack : handler::StackBounds{}, stepper.walked, kMaxFrames);
  const bool right = walked.end == handler::WalkEnd::kComplete &&
                     Same(stepper.walked, walked.frames, stepper.truth, depth);
  if (!right) {
    ++counts.wrong;
    place.depth = depth;
    place.frames = walked.frames;
    place.end = walked.end;
  }
  const StepOptions& options = *stepper.options;
  if (options.oracle != nullptr && counts.stops <= options.oracle_stops) {
    Ask(stepper, context, counts, walked, depth, right);
  }
}

// A breakpoint instruction begins and ends the stepping (the kernel gives that one SI_KERNEL);
// between them every instruction traps.
void OnTrap(int, siginfo_t* info, void* argument) {
  auto& context = *static_cast<ucontext_t*>(argument);
  Stepper& stepper = g_stepper;
  if (info->si_code != SI_KERNEL) return Compare(stepper, context);
  stepper.running = !stepper.running;
  greg_t& flags = context.uc_mcontext.gregs[REG_EFL];
  if (!stepper.running) {
    flags &= ~kTrapFlag;
    return;
  }
  flags |= kTrapFlag;
  stepper.last_pc = Register(context, REG_RIP);
  stepper.last_sp = Register(context, REG_RSP);
  const handler::WalkResult walked =
      handler::Walk(context, stepper.options->stack, stepper.walked, kMaxDepth);
  stepper.base_frames = walked.frames - 1;
  for (std::uint32_t i = 0; i < stepper.base_frames; ++i) stepper.base[i] = stepper.walked[i + 1];
}

StepResult Collect(const Stepper& stepper) {
  StepResult result;
  result.deepest = stepper.deepest;
  for (const StepPlace& place : stepper.places) {
    if (place.pc == 0) continue;
    result.places.push_back(place);
    (place.apart ? result.apart : result.plain).Add(place.counts);
  }
  std::sort(result.places.begin(), result.places.end(),
            [](const StepPlace& a, const StepPlace& b) { return a.pc < b.pc; });
  return result;
}

}  // namespace

void StepCounts::Add(const StepCounts& other) {
  stops += other.stops;
  wrong += other.wrong;
  oracle_asked += other.oracle_asked;
  oracle_entry += other.oracle_entry;
  oracle_differs += other.oracle_differs;
  oracle_wrong += other.oracle_wrong;
  only_ours_wrong += other.only_ours_wrong;
}

__attribute__((noinline)) StepResult StepThrough(long (*run)(), const StepOptions& options) {
  g_stepper = {};
  g_stepper.options = &options;
  g_stepper.places.resize(kMaxPlaces);
  struct sigaction action = {};
  struct sigaction previous = {};
  action.sa_sigaction = OnTrap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGTRAP, &action, &previous);
  asm volatile("int3" ::: "memory");
  run();
  asm volatile("int3" ::: "memory");
  sigaction(SIGTRAP, &previous, nullptr);
  return Collect(g_stepper);
}

}  // namespace pprof::unwind
