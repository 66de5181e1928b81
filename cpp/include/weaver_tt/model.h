// A network that weaver_tt exported, run on named columns with ONNX Runtime.
//
//   weaver_tt::Model model("export/");
//   weaver_tt::Columns columns;
//   columns.add("jet_pt", pt.data(), pt.size(), offsets.data(), events);
//   for (auto& output : model(columns)) use(output.name, output.values, output.offsets);
//
// The folder holds model.onnx and preprocess.json, as weaver_tt and weaver-core write them and CMS
// publishes them, or the one file that `--target raw` writes. All errors are weaver_tt::Error, and
// name the file and the column.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace Ort {
struct SessionOptions;
}

namespace weaver_tt {

class Error : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where the numbers of a column lie, in whatever type they have.
using Values = std::variant<const bool*, const char*, const signed char*, const unsigned char*,
                            const short*, const unsigned short*, const int*, const unsigned*,
                            const long*, const unsigned long*, const long long*,
                            const unsigned long long*, const float*, const double*>;

// A number of each row, or a list of numbers.
struct Column {
  Values values;
  std::size_t size;
  const std::int64_t* offsets;  // rows + 1: where each list begins; nullptr: no lists
  std::size_t rows;

  std::int64_t begin(std::size_t row) const {
    return offsets ? offsets[row] : static_cast<std::int64_t>(row);
  }
  std::int64_t count(std::size_t row) const { return begin(row + 1) - begin(row); }
};

// The columns of some rows, by name. A model takes those that it needs.
class Columns {
 public:
  // One number for each of the `rows`, or, with `offsets`, `size` numbers in as many lists. Offsets
  // are those of awkward, Arrow and ROOT: rows + 1 of them, which do not decrease.
  void add(const std::string& name, Values values, std::size_t rows) {
    add(name, values, rows, nullptr, rows);
  }
  void add(const std::string& name, Values values, std::size_t size, const std::int64_t* offsets,
           std::size_t rows) {
    if (!columns_.empty() && columns_.begin()->second.rows != rows)
      throw Error("column '" + name + "' has " + std::to_string(rows) + " rows, others have " +
                  std::to_string(columns_.begin()->second.rows));
    if (!columns_.emplace(name, Column{values, size, offsets, rows}).second)
      throw Error("column '" + name + "' is given twice");
  }

  const std::map<std::string, Column>& all() const { return columns_; }

 private:
  std::map<std::string, Column> columns_;
};

// One value for each row; or one for each object, where row i has those from offsets[i] up to
// offsets[i + 1].
struct Output {
  std::string name;
  std::vector<float> values;
  std::vector<std::int64_t> offsets;  // empty: one value for each row
};

struct Options {
  std::string model = "model.onnx";
  std::string preprocess = "preprocess.json";
  int threads = 1;  // of ONNX Runtime, in one call
  // Most rows that the network is called with at once, and most objects of them, padding included:
  // what processors have in their caches. Accelerators do better with more.
  std::size_t batch_size = 256;
  std::size_t batch_objects = 192;
  // further settings of the session: execution providers, memory, profiling
  std::function<void(Ort::SessionOptions&)> configure;
};

class Model {
 public:
  // Raises Error where a file is missing or malformed, or the two do not fit together.
  explicit Model(const std::string& folder, const Options& options = {});

  // What the network gives for all rows of `columns`. Threads may call it at the same time. Objects
  // beyond the length of the input are not given to the network: their outputs are NaN. Raises
  // Error where a column is missing, or does not fit to the others.
  std::vector<Output> operator()(const Columns& columns) const;

  std::vector<std::string> column_names() const;       // that the network needs
  std::vector<std::string> output_names() const;       // in the order of the network
  std::string metadata(const std::string& key) const;  // of model.onnx; "" where it has none

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;  // copies of a model share them
};

}  // namespace weaver_tt
