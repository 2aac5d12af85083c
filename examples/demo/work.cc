#include "examples/demo/work.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <random>
#include <string_view>
#include <unordered_map>

namespace demo {
namespace {

constexpr std::array<const char*, 8> kCities = {"Lisbon", "Nairobi", "Oslo",    "Quito",
                                                "Riga",   "Seoul",   "Tripoli", "Vienna"};

// An open-addressing table with pluggable hash: small templates that disappear into their callers,
// which is what a profiler without inlined frames cannot show.
template <class Hash>
class WordCounter {
 public:
  explicit WordCounter(std::size_t capacity) : slots_(capacity) {}

  void Add(std::string_view word) {
    Slot& slot = Find(word);
    slot.word = word;
    ++slot.count;
  }

  template <class Fold>
  std::uint64_t FoldCounts(std::uint64_t start, Fold&& fold) const {
    for (const Slot& slot : slots_) {
      if (slot.count > 0) start = fold(start, slot.count);
    }
    return start;
  }

 private:
  struct Slot {
    std::string_view word;
    std::uint64_t count = 0;
  };

  Slot& Find(std::string_view word) {
    std::size_t at = Hash::Of(word) % slots_.size();
    while (slots_[at].count > 0 && slots_[at].word != word) at = (at + 1) % slots_.size();
    return slots_[at];
  }

  std::vector<Slot> slots_;
};

struct Fnv1a {
  static std::uint64_t Of(std::string_view text) {
    std::uint64_t hash = 14695981039346656037u;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return hash;
  }
};

template <class Visit>
void ForEachWord(const std::string& text, Visit&& visit) {
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const bool letter = i < text.size() && text[i] != '"' && text[i] != ',' && text[i] != ':';
    if (letter) continue;
    if (i > start) visit(std::string_view(text).substr(start, i - start));
    start = i + 1;
  }
}

struct ByCityThenAmount {
  bool operator()(const Order& a, const Order& b) const {
    if (a.city != b.city) return a.city < b.city;
    if (a.customer != b.customer) return a.customer < b.customer;
    return a.amount < b.amount;
  }
};

}  // namespace

std::string MakeOrdersJson(std::size_t orders, std::uint64_t seed) {
  std::minstd_rand random(static_cast<std::minstd_rand::result_type>(seed + 1));
  std::string json = "[";
  for (std::size_t i = 0; i < orders; ++i) {
    if (i > 0) json += ',';
    json += R"({"id":)" + std::to_string(seed * 100000 + i);
    json += R"(,"customer":"customer-)" + std::to_string(random() % 500);
    json += R"(","city":")" + std::string(kCities[random() % kCities.size()]);
    json += R"(","amount":)" + std::to_string(static_cast<double>(random() % 100000) / 100) + "}";
  }
  return json + "]";
}

std::vector<Order> ParseOrders(const std::string& json) {
  const auto document = nlohmann::json::parse(json);
  std::vector<Order> orders;
  orders.reserve(document.size());
  for (const auto& entry : document) {
    orders.push_back({entry.at("id").get<std::uint64_t>(), entry.at("customer").get<std::string>(),
                      entry.at("city").get<std::string>(), entry.at("amount").get<double>()});
  }
  return orders;
}

double RankOrders(std::vector<Order> orders) {
  std::sort(orders.begin(), orders.end(), ByCityThenAmount());
  std::unordered_map<std::string, double> totals;
  for (const Order& order : orders) totals[order.city] += order.amount;
  double best = 0;
  for (const auto& entry : totals) best = std::max(best, entry.second);
  return best;
}

std::size_t Compress(const std::string& text, int level) {
  uLongf size = compressBound(text.size());
  std::string out(size, '\0');
  if (compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                reinterpret_cast<const Bytef*>(text.data()), text.size(), level) != Z_OK) {
    return 0;
  }
  return size;
}

std::uint64_t HashTree(const std::string& text) {
  constexpr std::size_t kChunk = 256;
  std::vector<std::uint64_t> level;
  for (std::size_t at = 0; at < text.size(); at += kChunk) {
    level.push_back(Fnv1a::Of(std::string_view(text).substr(at, kChunk)));
  }
  while (level.size() > 1) {
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
      level[i / 2] = (level[i] ^ level[i + 1] >> 7) * 0x9e3779b97f4a7c15u;
    }
    level.resize(level.size() / 2);
  }
  return level.empty() ? 0 : level.front();
}

std::uint64_t CountWords(const std::string& text) {
  WordCounter<Fnv1a> counter(text.size() / 8 + 64);
  ForEachWord(text, [&](std::string_view word) { counter.Add(word); });
  return counter.FoldCounts(
      0, [](std::uint64_t sum, std::uint64_t count) { return sum * 31 + count; });
}

}  // namespace demo
