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
#include <type_traits>
#include <vector>

namespace Ort {
struct SessionOptions;
}

namespace weaver_tt {

class Error : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The types of numbers, as a graph of raw columns may take them.
enum class Type {
  kBool,
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kFloat,
  kDouble
};

template <typename From, typename To>
void copy_as(const From* from, std::size_t count, void* to) {
  for (std::size_t i = 0; i < count; ++i) static_cast<To*>(to)[i] = static_cast<To>(from[i]);
}

// A number of each row, or a list of numbers. It points to them, in whatever type they have.
struct Column {
  const void* values;
  std::size_t size;
  const std::int64_t* offsets;  // rows + 1: where each list begins; nullptr: no lists
  std::size_t rows;
  // copies `count` values, from the `first` one, as numbers of a type
  void (*copy)(const void* values, std::size_t first, std::size_t count, Type type, void* to);
};

// The columns of some rows, by name. Those that a model does not need do no harm.
class Columns {
 public:
  // One number for each of the `rows`, or, with `offsets`, `size` numbers in as many lists. Offsets
  // are those of awkward, Arrow and ROOT: rows + 1 of them, which do not decrease.
  template <typename T>
  void add(const std::string& name, const T* values, std::size_t rows) {
    add<T>(name, values, rows, nullptr, rows);
  }
  template <typename T>
  void add(const std::string& name, const T* values, std::size_t size, const std::int64_t* offsets,
           std::size_t rows) {
    static_assert(std::is_arithmetic_v<T>, "a column holds numbers");
    const auto copy = [](const void* from, std::size_t first, std::size_t count, Type type,
                         void* to) {
      const T* begin = static_cast<const T*>(from) + first;
      switch (type) {
        case Type::kBool: return copy_as<T, bool>(begin, count, to);
        case Type::kInt8: return copy_as<T, std::int8_t>(begin, count, to);
        case Type::kUint8: return copy_as<T, std::uint8_t>(begin, count, to);
        case Type::kInt16: return copy_as<T, std::int16_t>(begin, count, to);
        case Type::kUint16: return copy_as<T, std::uint16_t>(begin, count, to);
        case Type::kInt32: return copy_as<T, std::int32_t>(begin, count, to);
        case Type::kUint32: return copy_as<T, std::uint32_t>(begin, count, to);
        case Type::kInt64: return copy_as<T, std::int64_t>(begin, count, to);
        case Type::kUint64: return copy_as<T, std::uint64_t>(begin, count, to);
        case Type::kFloat: return copy_as<T, float>(begin, count, to);
        case Type::kDouble: return copy_as<T, double>(begin, count, to);
      }
    };
    if (!columns_.emplace(name, Column{values, size, offsets, rows, copy}).second)
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
  int threads = 1;               // of ONNX Runtime, in one call
  std::size_t batch_size = 256;  // most rows that the network is called with at once
  // further settings of the session: execution providers, memory, profiling
  std::function<void(Ort::SessionOptions&)> configure;
};

class Model {
 public:
  // Raises Error where a file is missing or malformed, or the two do not fit together.
  explicit Model(const std::string& folder, Options options = {});
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  // What the network gives for all rows of `columns`. Threads may call it at the same time. Objects
  // beyond the length of the input are not given to the network: their outputs are NaN. Raises
  // Error where a column is missing, or does not fit to the others.
  std::vector<Output> operator()(const Columns& columns) const;

  std::vector<std::string> column_names() const;       // that the network needs
  std::vector<std::string> output_names() const;       // in the order of the network
  std::string metadata(const std::string& key) const;  // of model.onnx; "" where it has none

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace weaver_tt
