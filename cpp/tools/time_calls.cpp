// time_calls DIR COLUMNS.json TURNS BATCH...: how long the network of an export takes for a row,
// where it is called with BATCH rows at once; as JSON, batch -> the seconds of each turn.
//
// COLUMNS.json maps names to the values of some rows: a number of each row, or a list. The batch
// sizes take turns, so that whatever else the machine does hits all alike, and what counts is time
// on the processor. One call with one row is what frameworks do event by event: the tensors are
// then as short as the event.
#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>

#include "json_numbers.h"

namespace {

constexpr double kLeastSeconds = 0.1;  // of one turn: many ticks of the clock

// All rows of one column, one after another.
struct Values {
  std::vector<double> content;
  std::vector<std::int64_t> offsets;  // of lists; empty where each row has a number
};

struct Table {
  std::map<std::string, Values> columns;
  std::size_t rows = 0;
};

Table read_table(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw weaver_tt::Error(path + ": no such file");
  Table table;
  // items() of a temporary would not live long enough
  const Json json = Json::parse(file);
  for (const auto& [name, rows] : json.items()) {
    Values& values = table.columns[name];
    table.rows = std::max(table.rows, rows.size());
    if (rows.empty() || !rows[0].is_array()) {
      values.content = read_numbers(rows, path + ", " + name);
      continue;
    }
    values.offsets.push_back(0);
    for (const auto& row : rows) {
      const auto numbers = read_numbers(row, path + ", " + name);
      values.content.insert(values.content.end(), numbers.begin(), numbers.end());
      values.offsets.push_back(static_cast<std::int64_t>(values.content.size()));
    }
  }
  if (table.rows == 0) throw weaver_tt::Error(path + ": has no rows");
  return table;
}

// Calls the model with `batch` rows at a time until it has had all of them.
void call_with_all(const weaver_tt::Model& model, const Table& table, std::size_t batch) {
  for (std::size_t first = 0; first < table.rows; first += batch) {
    const std::size_t count = std::min(batch, table.rows - first);
    weaver_tt::Columns columns;
    for (const auto& [name, values] : table.columns) {
      if (values.offsets.empty())
        columns.add(name, values.content.data() + first, count);
      else
        // offsets may begin anywhere, so that nothing is copied
        columns.add(name, values.content.data(), values.content.size(),
                    values.offsets.data() + first, count);
    }
    model(columns);
  }
}

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) {
    std::cerr << "usage: time_calls DIR COLUMNS.json TURNS BATCH...\n";
    return 2;
  }
  try {
    const Table table = read_table(arguments[2]);
    const int turns = std::stoi(arguments[3]);
    std::vector<std::size_t> batches;
    for (int i = 4; i < count; ++i) batches.push_back(std::max(1ul, std::stoul(arguments[i])));
    weaver_tt::Options options;
    options.batch_size = *std::max_element(batches.begin(), batches.end());
    const weaver_tt::Model model(arguments[1], options);
    // the first calls make what a session keeps, and tell how often one turn goes over the rows
    double fastest = kLeastSeconds;
    for (const auto batch : batches) {
      call_with_all(model, table, batch);
      const double start = processor_seconds();
      call_with_all(model, table, batch);
      fastest = std::min(fastest, processor_seconds() - start);
    }
    const int passes = 1 + static_cast<int>(kLeastSeconds / std::max(fastest, 1e-4));
    Json seconds;
    for (int turn = 0; turn < turns; ++turn)
      for (const auto batch : batches) {
        const double start = processor_seconds();
        for (int pass = 0; pass < passes; ++pass) call_with_all(model, table, batch);
        const double taken = processor_seconds() - start;
        seconds[std::to_string(batch)].push_back(taken / passes / static_cast<double>(table.rows));
      }
    std::cout << seconds.dump() << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
