// Numbers and columns as the programs of this folder read them from JSON.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "weaver_tt/model.h"

using Json = nlohmann::ordered_json;

// JSON has no NaN and no infinity: they are the texts "NaN", "Infinity" and "-Infinity". `place` is
// where the number stands, for messages.
inline double read_number(const Json& json, const std::string& place) {
  if (json.is_number()) return json.get<double>();
  const auto text = json.is_string() ? json.get<std::string>() : json.dump();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  if (text == "Infinity") return infinity;
  if (text == "-Infinity") return -infinity;
  throw weaver_tt::Error(place + ": '" + text + "' is no number");
}

inline std::vector<double> read_numbers(const Json& json, const std::string& place) {
  std::vector<double> values;
  for (const auto& value : json) values.push_back(read_number(value, place));
  return values;
}
