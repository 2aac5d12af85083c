#include "src/pprof/handler/walk_aarch64.h"

#include <signal.h>

#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk.h"
#include "src/pprof/handler/walk_lookup.h"

namespace pprof::handler {

std::atomic<const UnwindTable*> g_unwind_table{nullptr};

namespace {

constexpr std::uintptr_t kPage = 4096;  // the smallest; larger ones are probed more than once
// What is fetched ahead of the stack: some 20 frames of ordinary code.
constexpr std::uintptr_t kPrefetchedStack = 2048;
// On a stack that is not known, how far above the first stack pointer memory is read.
constexpr std::uintptr_t kUnknownStackReach = 1u << 20;
constexpr int kFpIndex = 29;  // in mcontext_t::regs
constexpr int kLrIndex = 30;

// Where pointer authentication is on, a saved return address has a signature in its upper bits.
// `xpaclri` takes it out of x30, and does nothing on processors and addresses without one.
std::uintptr_t WithoutSignature(std::uintptr_t address) {
  register std::uintptr_t x30 asm("x30") = address;
  asm("hint #7" : "+r"(x30));
  return x30;
}

// Whether that word of memory is `value`. The kernel reads it: code that is known to no table may
// be unmapped at any moment, or never have been code.
bool WordIs(std::uintptr_t address, std::uint32_t value) {
  return RawSyscall6(SYS_futex, static_cast<long>(address), FUTEX_CMP_REQUEUE_PRIVATE, 0, 0,
                     static_cast<long>(address), static_cast<long>(value)) == 0;
}

// The code that signal handlers return to, __kernel_rt_sigreturn. The vDSO of Linux 5.8 and later
// says nothing about its frame; unwinders know it by its instructions.
bool IsSigreturn(std::uintptr_t pc) {
  constexpr std::uint32_t kMovX8RtSigreturn = 0xd2801168;
  constexpr std::uint32_t kSvc0 = 0xd4000001;
  return (pc & 3) == 0 && pc >= kPage && WordIs(pc, kMovX8RtSigreturn) && WordIs(pc + 4, kSvc0);
}

class Walker {
 public:
  Walker(const ucontext_t& context, StackBounds stack, const UnwindTable* table, ThreadRules* rules)
      : search_(table, rules) {
    StartAt(context.uc_mcontext);
    if (sp_ < stack.high && sp_ >= stack.low) {
      mapped_low_ = sp_;
      mapped_bytes_ = (stack.high & ~std::uintptr_t{7}) - mapped_low_;  // aligned words fit wholly
    }
  }

  WalkResult Run(std::uint64_t* out, std::uint32_t max) {
    std::uint32_t frames = 0;
    for (;;) {
      if (frames == max) return {frames, WalkEnd::kTruncated};
      std::uint32_t rule = Rule(pc_);
      out[frames++] = pc_;
      if (rule == PackSpecial(kEnd) || rule == PackSpecial(kSignal)) {
        rule = WithoutRow(rule, &out[frames - 1]);
      }
      const WalkEnd end = Step(rule);
      if (end != kGoOn) return {frames, end};
    }
  }

 private:
  static constexpr WalkEnd kGoOn = static_cast<WalkEnd>(255);

  void StartAt(const mcontext_t& registers) {
    pc_ = registers.pc;
    sp_ = first_sp_ = registers.sp;
    fp_ = registers.regs[kFpIndex];
    lr_ = registers.regs[kLrIndex];
    registers_known_ = sp_exact_ = true;
  }

  // Code that a hand-made stack returns to, as it is: the trampoline behind a signal handler, and
  // the first instruction of a function, where no call returns to. That is where a context of
  // makecontext begins; a walk has come to its end there.
  [[gnu::noinline, gnu::cold]] std::uint32_t WithoutRow(std::uint32_t rule, std::uint64_t* frame) {
    const std::uintptr_t pc = registers_known_ ? pc_ : pc_ + 1;
    if (rule == PackSpecial(kEnd) &&
        (IsSigreturn(pc) || (registers_known_ && IsSigreturn(pc - 4)))) {
      rule = PackSpecial(kSignal);
    }
    if (registers_known_) return rule;
    if (rule == PackSpecial(kSignal)) {
      *frame = pc;
    } else if (Rule(pc) != PackSpecial(kEnd)) {
      *frame = pc;
      return PackSpecial(kStop);
    }
    return rule;
  }

  // Moves pc_, sp_ and fp_ to the caller.
  WalkEnd Step(std::uint32_t rule) {
    const std::uintptr_t offset = std::uintptr_t{CfaUnitsOf(rule)} * 16;
    switch (KindOf(rule)) {
      case kSpBelowCfa:
      case kSpAboveSp:
        return sp_exact_ ? ToCaller(rule, sp_, sp_ + offset) : StepByRecord(rule, offset);
      case kFpBelowCfa:
      case kFpAboveFp:
        return ToCaller(rule, fp_, fp_ + offset);
      default:
        return StepSpecial(CfaUnitsOf(rule));
    }
  }

  WalkEnd ToCaller(std::uint32_t rule, std::uintptr_t base, std::uintptr_t cfa) {
    constexpr std::uintptr_t kMaxFrameBytes = 256u << 20;  // larger than any known stack: a misread
    const std::uint32_t return_slot = ReturnSlotOf(rule);
    const std::uint32_t fp_slot = FpSlotOf(rule);
    const bool above = KindOf(rule) == kSpAboveSp || KindOf(rule) == kFpAboveFp;
    if ((cfa & 7) != 0 || cfa < sp_ || cfa - sp_ > kMaxFrameBytes) return WalkEnd::kNotProgressing;
    std::uintptr_t return_address = lr_;
    std::uintptr_t fp = fp_;
    if (return_slot == kInPlace) {
      if (!registers_known_) return WalkEnd::kBadRow;  // a call has overwritten x30
    } else if (cfa == sp_) {
      return WalkEnd::kNotProgressing;
    } else if (!Read(Slot(above, base, cfa, return_slot), &return_address)) {
      return WalkEnd::kUnreadable;
    }
    if (fp_slot != kInPlace && !Read(Slot(above, base, cfa, fp_slot), &fp)) {
      return WalkEnd::kUnreadable;
    }
    return GoTo(WithoutSignature(return_address), cfa, fp);
  }

  static std::uintptr_t Slot(bool above, std::uintptr_t base, std::uintptr_t cfa,
                             std::uint32_t slot) {
    return above ? base + (std::uintptr_t{slot} - 1) * 8 : cfa - std::uintptr_t{slot} * 8;
  }

  WalkEnd GoTo(std::uintptr_t return_address, std::uintptr_t sp, std::uintptr_t fp) {
    if (return_address == 0) return WalkEnd::kComplete;
    sp_ = sp;
    fp_ = fp;
    pc_ = return_address - 1;  // inside the call, whose row holds
    registers_known_ = false;
    return kGoOn;
  }

  [[gnu::noinline, gnu::cold]] WalkEnd StepSpecial(std::uint32_t special) {
    if (special == kStop) return WalkEnd::kComplete;
    if (special == kSignal) return StepSignal();
    if (special == kEnd) return StepWithoutRow();
    return WalkEnd::kBadRow;
  }

  // The kernel's signal frame at sp: a siginfo, then the ucontext of what was interrupted.
  WalkEnd StepSignal() {
    const std::uintptr_t at = sp_ + sizeof(siginfo_t) + offsetof(ucontext_t, uc_mcontext);
    std::uintptr_t word = 0;
    // Its first and its last word: less than a page apart, so all are readable.
    if (!sp_exact_ || !Read(at, &word) || !Read(at + offsetof(mcontext_t, pc), &word)) {
      return WalkEnd::kUnreadable;
    }
    const auto& registers = *reinterpret_cast<const mcontext_t*>(at);
    // From an alternate stack back to the thread's own: any direction, but only once, or hostile
    // memory could loop. Nothing is known to be mapped there: after an overflow the stack pointer
    // lies in the guard page.
    if (registers.sp <= sp_) {
      if (switched_stack_) return WalkEnd::kNotProgressing;
      switched_stack_ = true;
      mapped_bytes_ = 0;
    }
    StartAt(registers);
    return kGoOn;
  }

  // Code without unwind information: linkers' PLT stubs and leaf functions in assembly, whose
  // caller is in x30, or code with a frame record {x29, x30} that x29 points to.
  WalkEnd StepWithoutRow() {
    std::uintptr_t record_return = 0;
    const bool has_record =
        fp_ >= sp_ && (fp_ & 7) == 0 && Read(fp_ + 8, &record_return) && record_return != 0;
    record_return = WithoutSignature(record_return);
    if (registers_known_) {
      // After a call x30 points into the code itself, which has no row.
      const std::uintptr_t lr = WithoutSignature(lr_);
      if (lr > 4 && !(has_record && lr == record_return) &&
          search_.Anywhere(lr - 1) != PackSpecial(kEnd)) {
        return GoTo(lr, sp_, fp_);
      }
    }
    std::uintptr_t fp = 0;
    if (!has_record || !InKnownCode(record_return) || !Read(fp_, &fp)) return WalkEnd::kNoRow;
    sp_exact_ = false;  // a record lies anywhere in its frame
    return GoTo(record_return, fp_ + 16, fp);
  }

  // In a caller whose stack pointer is not known: x29 points to its record, and the rule says where
  // in the frame that is.
  [[gnu::noinline, gnu::cold]] WalkEnd StepByRecord(std::uint32_t rule, std::uintptr_t offset) {
    const std::uint32_t slot = FpSlotOf(rule);
    const std::uint32_t below = KindOf(rule) == kSpBelowCfa ? slot - 1 : slot + 1;
    if (slot == kInPlace || ReturnSlotOf(rule) != below || fp_ < sp_) return WalkEnd::kNoRow;
    std::uintptr_t return_address = 0;
    if (!Read(fp_ + 8, &return_address)) return WalkEnd::kUnreadable;
    if (return_address != 0 && !InKnownCode(WithoutSignature(return_address))) {
      return WalkEnd::kNoRow;
    }
    const std::uintptr_t at_record = std::uintptr_t{slot} * 8;
    const std::uintptr_t base =
        KindOf(rule) == kSpBelowCfa ? fp_ + at_record - offset : fp_ + 8 - at_record;
    sp_exact_ = true;
    return ToCaller(rule, base, base + offset);
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

  [[gnu::noinline, gnu::cold]] bool Probe(std::uintptr_t address) {
    if (address - first_sp_ > kUnknownStackReach) return false;  // also below: wraps around
    const std::uintptr_t page = address & ~(kPage - 1);
    if (page == probed_page_) return true;
    if (!Readable(address)) return false;
    probed_page_ = page;
    return true;
  }

  RuleSearch search_;
  // What is mapped for certain: from the interrupted code's stack pointer to its stack's end.
  std::uintptr_t mapped_low_ = 0;
  std::uintptr_t mapped_bytes_ = 0;
  std::uintptr_t pc_ = 0;
  std::uintptr_t sp_ = 0;  // if not sp_exact_: at or below it
  std::uintptr_t fp_ = 0;
  std::uintptr_t lr_ = 0;  // of use while registers_known_
  std::uintptr_t first_sp_ = 0;
  std::uintptr_t probed_page_ = 1;  // no page has this address
  bool registers_known_ = true;     // of the present frame: it was interrupted
  bool sp_exact_ = true;
  bool switched_stack_ = false;
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
  const auto sp = static_cast<std::uintptr_t>(context.uc_mcontext.sp);
  Prefetch(reinterpret_cast<const void*>(sp), reinterpret_cast<const void*>(sp + kPrefetchedStack));
  const UnwindTable* const table = g_unwind_table.load(std::memory_order_seq_cst);
  if (table != nullptr) __builtin_prefetch(&table->generation);
}

}  // namespace pprof::handler
