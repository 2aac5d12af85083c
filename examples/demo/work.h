// The work that the demo's requests do: ordinary library calls and templates, no spinning.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace demo {

struct Order {
  std::uint64_t id = 0;
  std::string customer;
  std::string city;
  double amount = 0;
};

// A JSON document of `orders` orders, different for each seed.
std::string MakeOrdersJson(std::size_t orders, std::uint64_t seed);

// Parses it (nlohmann-json).
std::vector<Order> ParseOrders(const std::string& json);

// Sorts by city, customer and amount, and adds up per city. Returns a checksum.
double RankOrders(std::vector<Order> orders);

// zlib at the given level; returns the compressed size.
std::size_t Compress(const std::string& text, int level);

// FNV-1a over chunks and a mixing tree over those.
std::uint64_t HashTree(const std::string& text);

// Counts words with own hash-table templates, which the compiler inlines.
std::uint64_t CountWords(const std::string& text);

}  // namespace demo
