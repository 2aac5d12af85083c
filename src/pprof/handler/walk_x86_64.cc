#include "src/pprof/handler/walk_x86_64.h"

#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk.h"
#include "src/pprof/handler/walk_lookup.h"

namespace pprof::handler {

std::atomic<const UnwindTable*> g_unwind_table{nullptr};

namespace {

constexpr std::uintptr_t kPage = 4096;
constexpr std::uintptr_t kRedZone = 128;
// What is fetched ahead of the stack: some 20 frames of ordinary code.
constexpr std::uintptr_t kPrefetchedStack = 2048;
// On a stack that is not known, how far above the first stack pointer memory is read.
constexpr std::uintptr_t kUnknownStackReach = 1u << 20;
// A frame larger than any known stack is a misread.
constexpr std::uintptr_t kMaxFrameBytes = 256u << 20;
// How often a walk goes back for kBaseRegister: hostile stacks must not make it quadratic.
constexpr std::uint32_t kMaxRecoveries = 4;

// DWARF register number (System V ABI, AMD64 supplement, figure 3.36) -> index in gregs.
constexpr int kGregs[16] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

// What a walk of ordinary code runs is kept together and small, the rest apart: at 100 Hz the code
// itself has left the processor's caches between two samples, and each line of it is fetched anew.
class Walker {
 public:
  Walker(const ucontext_t& context, StackBounds stack, const UnwindTable* table, ThreadRules* rules)
      : gregs_(context.uc_mcontext.gregs), search_(table, rules) {
    StartAtRegisters();
    if (sp_ < stack.high && sp_ >= kRedZone && sp_ - kRedZone >= stack.low) {
      mapped_low_ = sp_ - kRedZone;
      mapped_bytes_ = (stack.high & ~std::uintptr_t{7}) - mapped_low_;  // aligned words fit wholly
    }
  }

  WalkResult Run(std::uint64_t* out, std::uint32_t max) {
    std::uint32_t frames = 0;
    for (;;) {
      if (frames == max) return {frames, WalkEnd::kTruncated};
      const std::uint32_t rule = Rule(pc_);
      if (KindOf(rule) == kSpecial && rule != PackSpecial(kStop) && !registers_known_ &&
          NeverCalled(rule)) {
        out[frames++] = pc_ + 1;  // the return address as it is
        if (rule == PackSpecial(kEnd)) return {frames, WalkEnd::kComplete};
      } else {
        out[frames++] = pc_;
      }
      const WalkEnd end = Step(rule);
      if (end != kGoOn) return {frames, end};
    }
  }

 private:
  static constexpr WalkEnd kGoOn = static_cast<WalkEnd>(255);

  // Code that a hand-made stack returns to: the trampoline behind a signal handler, and the first
  // instruction of a function, where no call returns to. That is where a context of makecontext
  // begins.
  [[gnu::noinline, gnu::cold]] bool NeverCalled(std::uint32_t rule) {
    if (rule == PackSpecial(kSignal)) return true;
    return rule == PackSpecial(kEnd) && Rule(pc_ + 1) != PackSpecial(kEnd);
  }

  std::uintptr_t Greg(int index) const { return static_cast<std::uintptr_t>(gregs_[index]); }

  void StartAtRegisters() {
    pc_ = Greg(REG_RIP);
    sp_ = first_sp_ = Greg(REG_RSP);
    fp_ = Greg(REG_RBP);
    registers_known_ = true;
  }

  // Moves pc_, sp_ and fp_ to the caller.
  [[gnu::always_inline]] WalkEnd Step(std::uint32_t rule) {
    if (KindOf(rule) == kSpecial) {
      return rule == PackSpecial(kStop) ? WalkEnd::kComplete : StepSpecial(OffsetOf(rule));
    }
    std::uintptr_t cfa = 0;
    const std::uintptr_t offset = static_cast<std::uintptr_t>(std::intptr_t{OffsetOf(rule)} * 8);
    switch (KindOf(rule)) {
      case kSp:
        cfa = sp_ + offset;
        break;
      case kFp:
        cfa = fp_ + offset;
        break;
      case kFpDeref:
        if (!Read(fp_ + offset, &cfa)) return WalkEnd::kUnreadable;
        break;
      case kSpDeref8:
        if (!Read(sp_ + offset, &cfa)) return WalkEnd::kUnreadable;
        cfa += 8;
        break;
      case kFpDeref8:
        if (!Read(fp_ + offset, &cfa)) return WalkEnd::kUnreadable;
        cfa += 8;
        break;
      default:
        return StepByRegister(rule);
    }
    return ToCaller(cfa, FpOf(rule));
  }

  // Rules with a register in them, and a shorter rbp field.
  [[gnu::noinline, gnu::cold]] WalkEnd StepByRegister(std::uint32_t rule) {
    const std::uint32_t reg = RegisterOf(rule);
    const std::uintptr_t offset = static_cast<std::uintptr_t>(std::intptr_t{OffsetOf(rule)} * 8);
    std::uintptr_t cfa = 0;
    if (registers_known_) {
      cfa = Greg(kGregs[reg]);
    } else if (KindOf(rule) != kRegister || reg != kBaseRegister || !Base(&cfa)) {
      return WalkEnd::kBadRow;
    }
    if (KindOf(rule) == kRegister) {
      cfa += offset;
    } else {
      if (!Read(sp_ + 8 * cfa + offset, &cfa)) return WalkEnd::kUnreadable;
      cfa += 8;
    }
    return ToCaller(cfa, LongFp(rule));
  }

  // The short rbp field as the long one.
  static std::int32_t LongFp(std::uint32_t rule) {
    const std::int32_t slot = ShortFpOf(rule);
    if (slot == kShortFpSame) return kFpSame;
    return slot == kShortFpAtFp ? kFpAtFp : slot;
  }

  WalkEnd ToCaller(std::uintptr_t cfa, std::int32_t fp_slot) {
    if (cfa <= sp_ || (cfa & 7) != 0 || cfa - sp_ > kMaxFrameBytes) return WalkEnd::kNotProgressing;
    std::uintptr_t return_address = 0;
    if (!Read(cfa - 8, &return_address)) return WalkEnd::kUnreadable;
    std::uintptr_t fp = fp_;
    if (fp_slot == kFpAtFp) {
      // gcc leaves this rule on the last instructions of a realigned frame, where rbp is the
      // caller's again: then it points out of the frame.
      if (fp_ >= sp_ && fp_ < cfa && !Read(fp_, &fp)) return WalkEnd::kUnreadable;
    } else if (fp_slot != kFpSame) {
      if (!Read(cfa + static_cast<std::uintptr_t>(std::intptr_t{fp_slot} * 8), &fp)) {
        return WalkEnd::kUnreadable;
      }
    }
    if (return_address == 0) return WalkEnd::kComplete;
    sp_ = cfa;
    fp_ = fp;
    pc_ = return_address -
          1;  // inside the call, whose row holds: the next one may belong to other code
    registers_known_ = false;
    return kGoOn;
  }

  // kBaseRegister in the present frame, which called another function.
  bool Base(std::uintptr_t* value) {
    if (base_known_) {
      *value = base_;
      return true;
    }
    if (++recoveries_ > kMaxRecoveries) return false;
    return RecoverBase(*this, value);
  }

  // Walks to the present frame once more, now with an eye on that register: so it costs nothing in
  // all other stacks. By value: the walker's own state is to stay in registers.
  [[gnu::noinline, gnu::cold]] static bool RecoverBase(Walker walker, std::uintptr_t* value) {
    const std::uintptr_t pc = walker.pc_;
    const std::uintptr_t sp = walker.sp_;
    walker.StartAtRegisters();
    walker.base_ = walker.Greg(kGregs[kBaseRegister]);
    walker.base_known_ = true;
    while (walker.sp_ < sp) {
      const std::uint32_t rule = walker.Rule(walker.pc_);
      const std::uint32_t saved = walker.BaseRule(rule);
      if (saved == PackSpecial(kEnd) || walker.Step(rule) != kGoOn) return false;
      const auto slot = static_cast<std::uintptr_t>(std::intptr_t{FpOf(saved)} * 8);
      if (FpOf(saved) != kFpSame && !walker.Read(walker.sp_ + slot, &walker.base_)) return false;
    }
    *value = walker.base_;
    return walker.pc_ == pc;
  }

  // Where the present frame has saved its caller's kBaseRegister; kEnd: not known.
  std::uint32_t BaseRule(std::uint32_t rule) const {
    // A frame of nothing but the return address has saved nothing, so it has changed nothing.
    if (KindOf(rule) == kSp && OffsetOf(rule) == 1) return PackRule(kSp, 0, kFpSame);
    const UnwindModule* const module = search_.Module(pc_);
    if (module == nullptr || module->base_rows == nullptr) return PackSpecial(kEnd);
    return FindRule(module->base_rows, 0, module->base_row_count,
                    static_cast<std::uint32_t>(pc_ - module->base));
  }

  [[gnu::noinline, gnu::cold]] WalkEnd StepSpecial(std::int32_t special) {
    if (special == kBad) return WalkEnd::kBadRow;
    if (special == kSignal) return StepSignal();
    if (special >= kPlt) {
      const auto threshold = static_cast<std::uintptr_t>(special - kPlt);
      return ToCaller(sp_ + 8 + ((pc_ & 15) >= threshold ? 8 : 0), kFpSame);
    }
    return StepWithoutRow();
  }

  // The kernel's signal frame: rsp points to the ucontext of what was interrupted.
  WalkEnd StepSignal() {
    const std::uintptr_t gregs = sp_ + offsetof(ucontext_t, uc_mcontext.gregs);
    std::uintptr_t first = 0;
    std::uintptr_t pc = 0;
    // The first and the last of the registers: less than a page apart, so all are readable.
    if (!Read(gregs, &first) || !Read(gregs + REG_RIP * 8, &pc)) return WalkEnd::kUnreadable;
    gregs_ = reinterpret_cast<const greg_t*>(gregs);
    const std::uintptr_t sp = Greg(REG_RSP);
    // From an alternate stack back to the thread's own: any direction, but only once, or hostile
    // memory could loop. Nothing is known to be mapped there: after an overflow the stack pointer
    // lies in the guard page.
    if (sp <= sp_) {
      if (switched_stack_) return WalkEnd::kNotProgressing;
      switched_stack_ = true;
      mapped_bytes_ = 0;
    }
    pc_ = pc;
    sp_ = first_sp_ = sp;
    fp_ = Greg(REG_RBP);
    registers_known_ = true;
    return kGoOn;
  }

  // Code without unwind information (JIT, assembly): believe the frame pointer if all about it
  // fits.
  WalkEnd StepWithoutRow() {
    if (pc_ < kPage &&
        registers_known_) {  // a call through a null pointer: its caller is on top of the stack
      std::uintptr_t caller = 0;
      if (Read(sp_, &caller) && InKnownCode(caller)) return ToCaller(sp_ + 8, kFpSame);
    }
    std::uintptr_t return_address = 0;
    if (fp_ < sp_ || (fp_ & 7) != 0 || !Read(fp_ + 8, &return_address) ||
        !InKnownCode(return_address)) {
      return WalkEnd::kNoRow;
    }
    return ToCaller(fp_ + 16, -2);
  }

  bool InKnownCode(std::uintptr_t address) const { return search_.Module(address - 1) != nullptr; }

  [[gnu::always_inline]] std::uint32_t Rule(std::uintptr_t pc) {
    return registers_known_ ? search_.Leaf(pc) : search_.Caller(pc);
  }

  bool Read(std::uintptr_t address, std::uintptr_t* value) {
    if ((address & 7) != 0) return false;
    if (address - mapped_low_ >= mapped_bytes_ && !Probe(address)) return false;
    *value = *reinterpret_cast<const volatile std::uintptr_t*>(address);
    return true;
  }

  bool Probe(std::uintptr_t address) {
    if (address - (first_sp_ - kRedZone) > kUnknownStackReach)
      return false;  // also below: wraps around
    const std::uintptr_t page = address & ~(kPage - 1);
    if (page == probed_page_) return true;
    if (!Readable(address)) return false;
    probed_page_ = page;
    return true;
  }

  const greg_t* gregs_;  // of the innermost frame, or of the one that the last signal interrupted
  RuleSearch search_;
  // What is mapped for certain: from the red zone of the interrupted code to its stack's end. The
  // kernel wrote the signal frame right below, and a stack has no holes above its pointer.
  std::uintptr_t mapped_low_ = 0;
  std::uintptr_t mapped_bytes_ = 0;
  std::uintptr_t pc_ = 0;
  std::uintptr_t sp_ = 0;
  std::uintptr_t fp_ = 0;
  std::uintptr_t first_sp_ = 0;
  std::uintptr_t base_ = 0;  // kBaseRegister, if base_known_
  std::uint32_t recoveries_ = 0;
  std::uintptr_t probed_page_ = 1;  // no page has this address
  bool registers_known_ = true;     // gregs_ are those of the present frame
  bool switched_stack_ = false;
  bool base_known_ = false;
};

}  // namespace

WalkResult Walk(const ucontext_t& context, StackBounds stack, std::uint64_t* out, std::uint32_t max,
                ThreadRules* rules) noexcept {
  // Pairs with the release store in unwind/.
  return Walker(context, stack, g_unwind_table.load(std::memory_order_seq_cst), rules)
      .Run(out, max);
}

void PrefetchWalk(const ucontext_t& context, const ThreadRules& rules) noexcept {
  rules.Prefetch();
  const auto sp = static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP]);
  Prefetch(reinterpret_cast<const void*>(sp), reinterpret_cast<const void*>(sp + kPrefetchedStack));
  const UnwindTable* const table = g_unwind_table.load(std::memory_order_seq_cst);
  if (table != nullptr) __builtin_prefetch(&table->generation);
}

}  // namespace pprof::handler
