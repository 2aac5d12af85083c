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
constexpr std::size_t kPackedBlock = 64u << 10;

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
  std::uint8_t head[sizeof(Elf64_Chdr)] = {};
  const std::size_t skip = gnu_style ? 12 : sizeof head;
  if (section->size < skip || !file.source().Read(section->offset, head, skip)) return false;
  std::uint64_t size = 0;
  if (gnu_style) {  // "ZLIB", then the size as 8 big-endian bytes
    if (std::memcmp(head, "ZLIB", 4) != 0) return false;
    for (std::size_t i = 4; i < skip; ++i) size = size << 8 | head[i];
  } else {
    Elf64_Chdr header = {};
    std::memcpy(&header, head, sizeof header);
    if (header.ch_type != ELFCOMPRESS_ZLIB) return false;
    size = header.ch_size;
  }
  if (!Believable(section->size, size)) return false;
  if (!budget->Take(size)) return false;
  return Inflate(file.source(), section->offset + skip, section->size - skip, size);
}

// Of the compressed bytes only a block is held beside the result.
bool SectionData::Inflate(const ByteSource& source, std::uint64_t offset, std::uint64_t packed,
                          std::uint64_t size) {
  inflated_.resize(static_cast<std::size_t>(size));
  z_stream stream = {};
  if (inflateInit(&stream) != Z_OK) return false;
  base::LargeVector<std::uint8_t> block(kPackedBlock);
  stream.next_out = inflated_.data();
  int result = Z_OK;
  for (std::size_t left = inflated_.size(); result == Z_OK && packed > 0;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(packed, block.size()));
    if (!source.Read(offset, block.data(), count)) break;
    offset += count;
    packed -= count;
    stream.next_in = block.data();
    stream.avail_in = static_cast<uInt>(count);
    while (result == Z_OK && stream.avail_in > 0) {
      const auto room = static_cast<uInt>(std::min<std::size_t>(left, 1u << 30));
      stream.avail_out = room;
      result = inflate(&stream, Z_NO_FLUSH);  // no room left: Z_BUF_ERROR
      left -= room - stream.avail_out;
    }
  }
  const bool whole = result == Z_STREAM_END && stream.next_out == inflated_.data() + size;
  inflateEnd(&stream);
  if (!whole) {
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
  ++block_reads_;
  if (blocks_.size() >= kMaxBlocks) blocks_.clear();
  std::vector<std::uint8_t> block(
      static_cast<std::size_t>(std::min(kBlock, size_ - number * kBlock)));
  if (!Read(number * kBlock, block.data(), block.size())) return nullptr;
  return &blocks_.emplace(number, std::move(block)).first->second;
}

std::string SectionData::String(std::uint64_t offset, std::size_t max) {
  std::string text;
  while (offset < size_ && text.size() < max) {
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
    count = std::min(count, max - text.size());
    const auto* zero = static_cast<const std::uint8_t*>(std::memchr(from, 0, count));
    if (zero != nullptr)
      return text.append(reinterpret_cast<const char*>(from), reinterpret_cast<const char*>(zero));
    text.append(reinterpret_cast<const char*>(from), count);
    offset += count;
  }
  return text;
}

base::LargeVector<std::uint8_t> UnpackXz(const ByteSource& source, std::uint64_t offset,
                                         std::uint64_t packed, std::size_t max_size) {
  base::LargeVector<std::uint8_t> out, block(kPackedBlock);
  out.reserve(max_size);  // never moved, so never held twice; pages count once they are written
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, max_size, LZMA_CONCATENATED) != LZMA_OK) return {};
  lzma_ret result = LZMA_OK;
  while (result == LZMA_OK && out.size() < max_size) {
    if (stream.avail_in == 0 && packed > 0) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(packed, block.size()));
      if (!source.Read(offset, block.data(), count)) break;
      offset += count;
      packed -= count;
      stream.next_in = block.data();
      stream.avail_in = count;
    }
    const std::size_t had = out.size();
    out.resize(std::min(max_size, had + kPackedBlock));
    stream.next_out = out.data() + had;
    stream.avail_out = out.size() - had;
    result = lzma_code(&stream, packed == 0 ? LZMA_FINISH : LZMA_RUN);
    out.resize(out.size() - stream.avail_out);
  }
  lzma_end(&stream);
  if (result != LZMA_STREAM_END) out.clear();
  return out;
}

}  // namespace pprof::symbolize
