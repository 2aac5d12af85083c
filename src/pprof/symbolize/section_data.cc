#include "src/pprof/symbolize/section_data.h"

#include <elf.h>
#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

namespace pprof::symbolize {
namespace {

constexpr std::uint64_t kBlock = 16u << 10;
constexpr std::uint64_t kView = 4 * kBlock;
constexpr std::size_t kMaxBlocks = 512;  // 8 MiB

// Deflate cannot shrink more than 1032 times: a larger promise is a lie, and not worth an
// allocation.
bool Believable(std::uint64_t packed, std::uint64_t size) { return size / 1040 <= packed; }

}  // namespace

bool SectionData::Open(const ElfFile& file, const ElfSection* section, MemoryBudget* budget) {
  *this = SectionData();
  if (section == nullptr) return true;
  const bool gnu_style = section->name.compare(0, 8, ".zdebug_") == 0;
  if (!gnu_style && (section->flags & SHF_COMPRESSED) == 0) {
    source_ = &file.source();
    offset_ = section->offset;
    size_ = section->size;
    return true;
  }
  // Only the compressed bytes are held beside the result, and only while it is made.
  if (section->size > budget->left()) return budget->Take(section->size);
  std::vector<std::uint8_t> packed(static_cast<std::size_t>(section->size));
  if (!file.source().Read(section->offset, packed.data(), packed.size())) return false;
  if (gnu_style) {  // "ZLIB", then the size as 8 big-endian bytes
    if (packed.size() < 12 || std::memcmp(packed.data(), "ZLIB", 4) != 0) return false;
    std::uint64_t size = 0;
    for (std::size_t i = 4; i < 12; ++i) size = size << 8 | packed[i];
    return Inflate(packed, 12, size, budget);
  }
  Elf64_Chdr header = {};
  if (packed.size() < sizeof header) return false;
  std::memcpy(&header, packed.data(), sizeof header);
  if (header.ch_type != ELFCOMPRESS_ZLIB) return false;
  return Inflate(packed, sizeof header, header.ch_size, budget);
}

bool SectionData::Inflate(const std::vector<std::uint8_t>& packed, std::size_t skip,
                          std::uint64_t size, MemoryBudget* budget) {
  if (!Believable(packed.size(), size)) return false;
  if (!budget->Take(size)) return false;
  inflated_.resize(static_cast<std::size_t>(size));
  uLongf got = inflated_.size();
  if (uncompress(inflated_.data(), &got, packed.data() + skip, packed.size() - skip) != Z_OK ||
      got != inflated_.size()) {
    *this = SectionData();
    return false;
  }
  size_ = size;
  in_memory_ = true;
  return true;
}

bool SectionData::Read(std::uint64_t offset, void* to, std::size_t size) const {
  if (offset > size_ || size > size_ - offset) return false;
  if (!in_memory_) return size == 0 || source_->Read(offset_ + offset, to, size);
  std::memcpy(to, inflated_.data() + offset, size);
  return true;
}

// Looks back a little as well: readers go forward, but not strictly.
ByteReader SectionData::Look(std::uint64_t offset) {
  if (in_memory_) {
    const std::size_t skip = std::min<std::uint64_t>(offset, inflated_.size());
    return ByteReader(inflated_.data() + skip, inflated_.size() - skip);
  }
  view_.clear();
  view_begin_ = 0;
  if (offset >= size_) return ByteReader(nullptr, 0);
  const std::uint64_t begin = offset & ~(kBlock - 1);
  view_.resize(static_cast<std::size_t>(std::min(kView, size_ - begin)));
  if (!Read(begin, view_.data(), view_.size())) {
    view_.clear();
    return ByteReader(nullptr, 0);
  }
  view_begin_ = begin;
  return ByteReader(view_.data() + (offset - begin), view_.size() - (offset - begin));
}

const std::vector<std::uint8_t>* SectionData::Block(std::uint64_t number) {
  const auto found = blocks_.find(number);
  if (found != blocks_.end()) return &found->second;
  if (blocks_.size() >= kMaxBlocks) blocks_.clear();
  std::vector<std::uint8_t> block(
      static_cast<std::size_t>(std::min(kBlock, size_ - number * kBlock)));
  if (!Read(number * kBlock, block.data(), block.size())) return nullptr;
  return &blocks_.emplace(number, std::move(block)).first->second;
}

std::string SectionData::String(std::uint64_t offset) {
  std::string text;
  while (offset < size_ && text.size() < kMaxString) {
    const std::uint8_t* from = nullptr;
    std::size_t count = 0;
    if (in_memory_) {
      from = inflated_.data() + offset;
      count = static_cast<std::size_t>(size_ - offset);
    } else {
      const std::vector<std::uint8_t>* block = Block(offset / kBlock);
      if (block == nullptr) return {};
      from = block->data() + offset % kBlock;
      count = block->size() - static_cast<std::size_t>(offset % kBlock);
    }
    count = std::min(count, kMaxString - text.size());
    const auto* zero = static_cast<const std::uint8_t*>(std::memchr(from, 0, count));
    if (zero != nullptr)
      return text.append(reinterpret_cast<const char*>(from), reinterpret_cast<const char*>(zero));
    text.append(reinterpret_cast<const char*>(from), count);
    offset += count;
  }
  return text;
}

std::vector<std::uint8_t> UnpackXz(const std::vector<std::uint8_t>& packed, std::size_t max_size) {
  lzma_stream stream = LZMA_STREAM_INIT;
  std::vector<std::uint8_t> out;
  if (lzma_stream_decoder(&stream, max_size, LZMA_CONCATENATED) != LZMA_OK) return out;
  stream.next_in = packed.data();
  stream.avail_in = packed.size();
  lzma_ret result = LZMA_OK;
  try {
    while (result == LZMA_OK && out.size() < max_size) {
      const std::size_t had = out.size();
      out.resize(std::min(max_size, std::max<std::size_t>(had * 2, 64u << 10)));
      stream.next_out = out.data() + had;
      stream.avail_out = out.size() - had;
      result = lzma_code(&stream, LZMA_FINISH);
      out.resize(out.size() - stream.avail_out);
    }
  } catch (...) {
    lzma_end(&stream);
    throw;
  }
  lzma_end(&stream);
  if (result != LZMA_STREAM_END) out.clear();
  return out;
}

}  // namespace pprof::symbolize
