#include "src/pprof/sampler/copies.h"

#include <link.h>
#include <sched.h>

#include <atomic>
#include <cstdio>
#include <cstring>

#include "src/pprof/base/log.h"
#include "src/pprof/base/status.h"
#include "src/pprof/elf/notes.h"
#include "src/pprof/handler/handler.h"

namespace pprof::sampler {
namespace {

enum State : std::uint32_t { kIdle = 0, kClaiming = 1, kSampling = 2 };

constexpr std::uint32_t kLayout = 1;
constexpr std::uint32_t kNoteType = 1;
constexpr char kNoteName[] = "otel-profiling-cpp";
constexpr std::size_t kMaxPath = 160;  // of a module, in messages

// Read by copies of other versions: nothing may ever change but by a new kLayout.
struct CopyRecord {
  std::uint32_t layout;
  std::atomic<std::uint32_t> state;
  void (*handler)(int, siginfo_t*, void*);
  std::atomic<std::uint32_t> magic;
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace

// Named by the note below, so it keeps its name under link-time optimisation.
extern "C" {
__attribute__((used, visibility("hidden")))
CopyRecord otelprof_copy_record = {kLayout, {kIdle}, handler::OnSigprof, {0}};
}

// The linker keeps notes, also with --gc-sections. The content is the record's distance from
// itself, which needs no relocation when the module is loaded.
asm(R"(
  .pushsection .note.otel-profiling-cpp,"a",%note
  .balign 4
  .long 1f - 0f
  .long 3f - 2f
  .long 1
0: .asciz "otel-profiling-cpp"
1: .balign 4
2: .quad otelprof_copy_record - .
3: .popsection
)");

namespace {

// The record of a module, or nullptr. REQUIRES: the loader is locked, so that the module stays.
CopyRecord* RecordOf(const dl_phdr_info& module) noexcept {
  for (int i = 0; i < module.dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = module.dlpi_phdr[i];
    if (header.p_type != PT_NOTE) continue;
    const auto* notes = reinterpret_cast<const std::uint8_t*>(module.dlpi_addr + header.p_vaddr);
    const elf::Note note = elf::FindNote(notes, header.p_memsz, kNoteName, kNoteType);
    std::int64_t distance = 0;
    if (note.size != sizeof(distance)) continue;
    std::memcpy(&distance, note.content, sizeof(distance));
    const std::uintptr_t address =
        reinterpret_cast<std::uintptr_t>(note.content) + static_cast<std::uintptr_t>(distance);
    for (int j = 0; j < module.dlpi_phnum; ++j) {
      const ElfW(Phdr)& load = module.dlpi_phdr[j];
      const std::uintptr_t start = module.dlpi_addr + load.p_vaddr;
      if (load.p_type == PT_LOAD && (load.p_flags & PF_W) != 0 && address >= start &&
          address % alignof(CopyRecord) == 0 &&
          address - start + sizeof(CopyRecord) <= load.p_memsz) {
        return reinterpret_cast<CopyRecord*>(address);
      }
    }
  }
  return nullptr;
}

// Calls visit(record, path of its module) for each other copy until it gives true; gives whether it
// did.
template <class Visit>
bool AnyOther(Visit visit) noexcept {
  return dl_iterate_phdr(
             [](dl_phdr_info* module, std::size_t, void* argument) {
               CopyRecord* const record = RecordOf(*module);
               if (record == nullptr || record == &otelprof_copy_record ||
                   record->layout != kLayout) {
                 return 0;
               }
               const bool unnamed = module->dlpi_name == nullptr || module->dlpi_name[0] == '\0';
               const char* const path = unnamed ? "the program itself" : module->dlpi_name;
               return (*static_cast<Visit*>(argument))(*record, path) ? 1 : 0;
             },
             &visit) != 0;
}

std::atomic<bool> g_refused{false};

Status Refused(const char* path) noexcept {
  char text[kMaxPath + 256];
  std::snprintf(
      text, sizeof text,
      "another copy of otel-profiling-cpp profiles this process already: the one in %.*s; stop "
      "its profiles first, or link one shared library only",
      static_cast<int>(kMaxPath), path);
  return base::MakeStatus(Status::Code::kUnavailable, text);
}

}  // namespace

// Each first says that it wants the process, then looks at the others, so of two that come at once
// at least one sees the other. Of those the one with the higher address steps back; the other waits
// for it.
Status ClaimProcess() noexcept {
  std::atomic<std::uint32_t>& state = otelprof_copy_record.state;
  g_refused.store(false, std::memory_order_relaxed);
  if (state.load(std::memory_order_relaxed) == kSampling) return {};
  state.store(kClaiming, std::memory_order_seq_cst);
  char path[kMaxPath] = "";
  bool wait = false;
  do {
    wait = false;
    const bool taken = AnyOther([&](const CopyRecord& other, const char* its_path) {
      const std::uint32_t its = other.state.load(std::memory_order_seq_cst);
      const bool yields = its == kClaiming && &other > &otelprof_copy_record;
      wait = wait || yields;
      if (its == kIdle || yields) return false;
      std::snprintf(path, sizeof path, "%s", its_path);
      return true;
    });
    if (taken) {
      state.store(kIdle, std::memory_order_seq_cst);
      g_refused.store(true, std::memory_order_relaxed);
      return Refused(path);
    }
    if (wait) sched_yield();
  } while (wait);
  state.store(kSampling, std::memory_order_seq_cst);
  return {};
}

void ReleaseProcess() noexcept {
  otelprof_copy_record.state.store(kIdle, std::memory_order_seq_cst);
}

void SayRefusedClaim() noexcept {
  if (!g_refused.exchange(false, std::memory_order_relaxed)) return;
  base::LogOnce(
      LogLevel::kWarning, "another copy",
      "this process has several copies of otel-profiling-cpp, and one of them is profiling: a "
      "profile of this copy was refused; link one shared library only");
}

std::uint32_t ChooseMagic() noexcept {
  const std::uint32_t chosen = otelprof_copy_record.magic.load(std::memory_order_relaxed);
  if (chosen != 0) return chosen;
  const auto mixed = reinterpret_cast<std::uint64_t>(&otelprof_copy_record) * 0x9e3779b97f4a7c15u;
  auto magic = static_cast<std::uint32_t>(mixed >> 48 | 1);
  for (std::uint32_t i = 0; i < handler::kChainMarkSlots; ++i) {
    const std::uint32_t candidate = (magic + 2 * i) & 0xffff;
    const bool taken = AnyOther([&](const CopyRecord& other, const char*) {
      const std::uint32_t its = other.magic.load(std::memory_order_relaxed);
      return its != 0 && handler::ChainMarkSlot(its) == handler::ChainMarkSlot(candidate);
    });
    if (taken) continue;
    magic = candidate;
    break;
  }
  otelprof_copy_record.magic.store(magic, std::memory_order_relaxed);
  return magic;
}

bool BelongsToAnotherCopy(void (*handler)(int, siginfo_t*, void*)) noexcept {
  return AnyOther([&](const CopyRecord& other, const char*) { return other.handler == handler; });
}

}  // namespace pprof::sampler
