// golden_check DIR: runs the network of an export on the rows of its golden.json, as proof that it
// gives the same numbers here. The exit code is 0 if all agree, 1 if not, 2 if it cannot be run.
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>

#include "json_numbers.h"

namespace {

// The largest share of what is allowed that the outputs of one row differ by; prints what is more.
double check(const weaver_tt::Model& model, const Json& row, std::size_t place) {
  std::map<std::string, std::vector<double>> values;
  std::map<std::string, std::vector<std::int64_t>> offsets;
  weaver_tt::Columns columns;
  for (const auto& [name, given] : row.at("columns").items()) {
    if (given.is_array()) {
      values[name] = read_numbers(given, "golden.json, " + name);
      const auto count = values[name].size();
      offsets[name] = {0, static_cast<std::int64_t>(count)};
      columns.add(name, values[name].data(), count, offsets[name].data(), 1);
    } else {
      values[name] = {read_number(given, "golden.json, " + name)};
      columns.add(name, values[name].data(), 1);
    }
  }
  const auto outputs = model(columns);
  double largest = 0;
  for (const auto& [name, expected] : row.at("outputs").items()) {
    const weaver_tt::Output* found = nullptr;
    for (const auto& output : outputs)
      if (output.name == name) found = &output;
    if (found == nullptr) throw weaver_tt::Error("the network has no output '" + name + "'");
    const std::string place_of_output = "golden.json, " + name;
    const auto wanted = expected.is_array() ? read_numbers(expected, place_of_output)
                                            : std::vector{read_number(expected, place_of_output)};
    // a spread is rounded as the values that it is of, and may have a tolerance of its own
    const auto& of_row = row.at("tolerance");
    const bool has_own = of_row.contains("outputs") && of_row.at("outputs").contains(name);
    const auto& tolerance = has_own ? of_row.at("outputs").at(name) : of_row;
    double worst = found->values.size() == wanted.size() ? 0 : 1e9;
    for (std::size_t i = 0; worst < 1e9 && i < wanted.size(); ++i) {
      // infinities that are equal have no difference
      if (wanted[i] == found->values[i]) continue;
      if (std::isnan(wanted[i]) && std::isnan(found->values[i])) continue;
      const double allowed = tolerance.at("absolute").get<double>() +
                             tolerance.at("relative").get<double>() * std::abs(wanted[i]);
      const double share = std::abs(found->values[i] - wanted[i]) / allowed;
      worst = std::max(worst, std::isnan(share) ? 1e9 : share);
    }
    if (worst > 1)
      std::cerr << "row " << place << " (" << row.at("kind").get<std::string>() << "), output '"
                << name << "': differs by " << worst << " times what is allowed\n";
    largest = std::max(largest, worst);
  }
  return largest;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: golden_check DIR\n";
    return 2;
  }
  try {
    const std::string folder = arguments[1];
    std::ifstream file(folder + "/golden.json");
    if (!file) throw weaver_tt::Error(folder + "/golden.json: no such file");
    const Json golden = Json::parse(file);
    const weaver_tt::Model model(folder);
    double largest = 0;
    std::size_t place = 0;
    for (const auto& row : golden.at("rows"))
      largest = std::max(largest, check(model, row, place++));
    std::cout << place << " rows, largest difference " << largest << " of what is allowed\n";
    return largest > 1 || place == 0 ? 1 : 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
