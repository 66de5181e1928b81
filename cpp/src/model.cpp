#include "weaver_tt/model.h"

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
// its errors name the place in the file
#define JSON_DIAGNOSTICS 1
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

namespace weaver_tt {
namespace {

using Json = nlohmann::ordered_json;  // keeps the order of names
using Int = std::int64_t;
using Names = std::vector<std::string>;
using Shape = std::vector<Int>;
using Rows = std::vector<std::size_t>;
using ElementType = ONNXTensorElementDataType;

constexpr ElementType kFloat = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
constexpr Int kMostObjects = 1 << 20;  // of a row
constexpr Int kFewObjects = 2;         // that every row may be padded with

// Raises an Error of these parts unless it holds.
template <typename... Parts>
void require(bool holds, const Parts&... parts) {
  if (holds) return;
  std::ostringstream message;
  (message << ... << parts);
  throw Error(message.str());
}

// Copies numbers of a column from the `first` one to a tensor of the type To, from `place` on.
template <typename To>
void copy_as(const Column& column, Int first, Int count, void* to, Int place) {
  const auto copy = [=](const auto* from) {
    std::copy_n(from + first, count, static_cast<To*>(to) + place);
  };
  std::visit(copy, column.values);
}

using Copy = decltype(&copy_as<float>);

template <typename... To>
std::map<ElementType, Copy> make_copies() {
  return {{Ort::TypeToTensorType<To>::type, copy_as<To>}...};
}

// One channel of an input. Columns of a graph that takes them raw have a type, and no scaling.
struct Variable {
  std::string name;
  ElementType type = kFloat;
  Copy copy = copy_as<float>;
  float center = 0, scale = 1, replacement = 0, low = 0, high = 0, pad = 0;
};

// One input of the network; of a graph of raw columns, all those with the same offsets, whose input
// has the `name` ("" for numbers of rows).
struct Group {
  std::string name;
  std::string place;    // for messages
  std::size_t rank;     // 2: (N, C); 3: (N, C, P) of objects, or (N, C, 1); 4: (N, C, P, 1)
  std::string objects;  // what the graph calls its axis, if that is free
  Int shortest = 1, longest = 1;  // the P that it may have
  std::vector<Variable> variables = {};

  Int clamp(Int objects) const { return std::clamp(objects, shortest, longest); }
};

// The columns of a group, in the order of its variables; nullptr for a mask that is not given.
struct GroupColumns {
  std::vector<const Column*> columns;
  const Column* first = nullptr;  // that is given; of another group where none is
};

// An input or output, as the graph describes it.
struct Node {
  std::string name;
  ElementType type;
  Shape shape;            // -1 for axes of free size
  std::string last_axis;  // the name of the last one, if it is free
};

// The inputs of one call.
struct Tensors {
  std::vector<const char*> names;
  std::vector<Ort::Value> values;

  // where the numbers are to be written
  void* add(const std::string& name, ElementType type, const Shape& shape) {
    Ort::AllocatorWithDefaultOptions allocator;
    names.push_back(name.c_str());
    values.push_back(Ort::Value::CreateTensor(allocator, shape.data(), shape.size(), type));
    return values.back().GetTensorMutableRawData();
  }
};

Variable read_variable(const std::string& name, const Json& info, const std::string& place) {
  const auto number = [](const Json& json) { return static_cast<float>(json.get<double>()); };
  Variable variable{name};
  variable.center = number(info.at("median"));
  variable.scale = number(info.at("norm_factor"));
  variable.replacement = number(info.value("replace_inf_value", Json(0)));
  variable.low = number(info.at("lower_bound"));
  variable.high = number(info.at("upper_bound"));
  variable.pad = number(info.value("pad", Json(0)));
  require(variable.low <= variable.high, place, ", variable '", name,
          "': lower_bound is above upper_bound");
  return variable;
}

// Lengths of a group of objects, for a graph that takes `size` of them (-1: any number).
void read_lengths(const Json& json, Int size, Group& group) {
  const auto read = [&](const Json& length) {
    const auto objects = length.get<double>();
    require(objects >= 0 && objects <= kMostObjects && objects == std::floor(objects), group.place,
            ": its length is no number of objects: ", objects);
    return std::max<Int>(1, static_cast<Int>(objects));
  };
  const bool is_free = json.contains("min_length") && json.contains("max_length");
  const bool has_shape = json.contains("input_shape") && !json.contains("var_length");
  group.longest = read(is_free     ? json["max_length"]
                       : has_shape ? json["input_shape"].at(2)
                                   : json.at("var_length"));
  group.shortest = is_free ? read(json["min_length"]) : group.longest;
  require(group.shortest <= group.longest, group.place, ": min_length is above max_length");
  if (size < 0) return;
  require(group.shortest <= size && size <= group.longest, group.place, ": the network takes ",
          size, " objects, and that is not the length");
  group.shortest = group.longest = size;
}

bool ends_with(const std::string& name, const std::string& ending) {
  return name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending;
}

// That a column fits to the first one of its group.
void check_column(const std::string& name, const Column& column, const Column& first,
                  const Group& group) {
  // (N, C, 1) may be of numbers of rows
  const bool fits = column.offsets ? group.rank > 2 : group.longest == 1;
  require(fits && !column.offsets == !first.offsets, group.place, ": column '", name, "' has ",
          column.offsets ? "lists" : "one number for each row", ", others do not");
  if (!column.offsets) return;
  const auto* end = column.offsets + column.rows;
  require(*column.offsets >= 0 && std::is_sorted(column.offsets, end + 1), "column '", name,
          "': its offsets decrease, or are negative");
  require(static_cast<std::uint64_t>(*end) <= column.size, "column '", name,
          "': its offsets end at ", *end, ", beyond its ", column.size, " values");
  for (std::size_t row = 0; row < column.rows; ++row)
    require(column.count(row) == first.count(row), "column '", name, "' has ", column.count(row),
            " values in row ", row, ", and others of its group have ", first.count(row));
}

}  // namespace

struct Model::Parts {
  Options options;
  std::string model_file, json_file;
  bool is_raw = false;
  std::unique_ptr<Ort::Session> session;
  std::vector<Group> groups;
  std::vector<std::pair<std::string, std::size_t>> outputs;  // of the graph; how many columns
  Names output_names;                                        // of all columns
  const Group* objects = nullptr;  // those that the outputs are of; nullptr: of rows

  Parts(const std::string& folder, const Options& chosen)
      : options(chosen),
        model_file(folder + "/" + options.model),
        json_file(folder + "/" + options.preprocess) {
    try {
      // one for the process; errors are exceptions, and its warnings are about graph optimization
      static const Ort::Env environment(ORT_LOGGING_LEVEL_FATAL, "weaver_tt");
      Ort::SessionOptions settings;
      settings.SetIntraOpNumThreads(options.threads);
      if (options.configure) options.configure(settings);
      require(std::filesystem::is_regular_file(model_file), model_file, ": no such file");
      session = std::make_unique<Ort::Session>(environment, model_file.c_str(), settings);
      const std::string raw_columns = metadata("raw_columns");
      is_raw = !raw_columns.empty();
      if (is_raw) {
        // how columns are prepared is in the graph; of the side-car it keeps the names of outputs
        json_file = model_file + ", metadata 'raw_columns'";
        read_raw_inputs(Json::parse(raw_columns));
        json_file = model_file + ", metadata 'preprocess'";
        read_outputs(Json::parse(metadata("preprocess")));
      } else {
        require(std::filesystem::is_regular_file(json_file), json_file, ": no such file");
        const Json json = Json::parse(std::ifstream(json_file));
        read_inputs(json);
        read_outputs(json);
      }
      require(!groups.empty(), model_file, ": the network has no input");
    } catch (const Json::exception& error) {
      throw Error(json_file + ": " + error.what());
    } catch (const Ort::Exception& error) {
      throw Error(model_file + ": ONNX Runtime cannot load it: " + error.what());
    }
  }

  std::string metadata(const std::string& key) const {
    Ort::AllocatorWithDefaultOptions allocator;
    const auto found =
        session->GetModelMetadata().LookupCustomMetadataMapAllocated(key.c_str(), allocator);
    return found ? found.get() : "";
  }

  std::vector<Node> read_nodes(bool inputs) const {
    Ort::AllocatorWithDefaultOptions allocator;
    std::vector<Node> nodes;
    const auto count = inputs ? session->GetInputCount() : session->GetOutputCount();
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = inputs ? session->GetInputNameAllocated(i, allocator).get()
                                      : session->GetOutputNameAllocated(i, allocator).get();
      const auto type = inputs ? session->GetInputTypeInfo(i) : session->GetOutputTypeInfo(i);
      require(type.GetONNXType() == ONNX_TYPE_TENSOR, model_file, ": '", name, "' is no tensor");
      const auto info = type.GetTensorTypeAndShapeInfo();
      std::vector<const char*> axes(info.GetDimensionsCount());
      info.GetSymbolicDimensions(axes.data(), axes.size());
      const auto* last_axis = axes.empty() ? "" : axes.back();
      nodes.push_back({name, info.GetElementType(), info.GetShape(), last_axis});
    }
    return nodes;
  }

  void read_inputs(const Json& json) {
    for (const auto& [name, type, shape, last_axis] : read_nodes(true)) {
      const auto rank = shape.size();
      require(type == kFloat && (rank == 2 || rank == 3 || (rank == 4 && shape[3] == 1)),
              model_file, ": input '", name,
              "' is no float32 tensor (N, C), (N, C, P) or (N, C, P, 1)");
      Group group{name, json_file + ", input '" + name + "'", rank, last_axis};
      const Json& described = json.at(name);
      for (const auto& variable : described.at("var_names").get<Names>()) {
        const Json& info = described.at("var_infos").at(variable);
        group.variables.push_back(read_variable(variable, info, group.place));
      }
      const auto channels = static_cast<Int>(group.variables.size());
      require(channels > 0 && (shape[1] < 0 || shape[1] == channels), group.place, ": there are ",
              channels, " var_names, and the network takes ", shape[1]);
      if (rank > 2) read_lengths(described, shape[2], group);
      groups.push_back(group);
    }
  }

  // A graph of raw columns says in its metadata which columns it takes, and with which offsets.
  void read_raw_inputs(const Json& columns) {
    const auto copies =
        make_copies<bool, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t,
                    std::uint32_t, Int, std::uint64_t, float, double>();
    std::map<std::string, ElementType> types;
    for (const auto& node : read_nodes(true)) types[node.name] = node.type;
    for (const auto& [name, column] : columns.items()) {
      const Json& given = column.at("offsets");
      const auto offsets = given.is_null() ? "" : given.get<std::string>();
      const auto copy = copies.find(types[name]);
      require(copy != copies.end(), json_file, ": column '", name, "' is no input of numbers");
      auto group = std::find_if(groups.begin(), groups.end(),
                                [&](const Group& other) { return other.name == offsets; });
      if (group == groups.end())
        group = groups.insert(group, {offsets, model_file, offsets.empty() ? 2u : 3u, offsets, 1,
                                      offsets.empty() ? 1 : kMostObjects});
      group->variables.push_back({name, copy->first, copy->second});
    }
  }

  // The side-car names the numbers of the first output, or those of all, one after another.
  void read_outputs(const Json& json) {
    const Json& described = json.at(json.contains("output_names") ? "output_names" : "flav_names");
    Names names;
    if (described.is_object())
      for (const auto& item : described.items()) names.push_back(item.key());
    else
      names = described.get<Names>();
    const auto nodes = read_nodes(false);
    Shape widths;
    for (const auto& node : nodes) widths.push_back(node.shape.size() == 2 ? node.shape[1] : 1);
    const bool of_all = *std::min_element(widths.begin(), widths.end()) >= 0 &&
                        std::accumulate(widths.begin(), widths.end(), 0ul) == names.size();
    // the group with the same axis of objects, or else the first one with objects
    const bool has_objects = metadata("layout") == "objects";
    for (const Group& group : groups)
      if (has_objects && group.rank > 2 &&
          (!objects || (!group.objects.empty() && group.objects == nodes[0].last_axis)))
        objects = &group;
    require(!has_objects || (objects && nodes[0].last_axis != "chosen objects"), model_file,
            ": no input has the objects of output '", nodes[0].name, "'");
    auto next = names.begin();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::string& name = nodes[i].name;
      Names columns;
      if (!objects && (of_all || i == 0)) {
        const auto end = of_all ? next + widths[i] : names.end();
        columns.assign(next, end);
        next = end;
      } else if (!objects && name == nodes[0].name + "_std") {
        for (const auto& column : names) columns.push_back(column + "_std");
      } else if (!objects && widths[i] > 1) {
        for (Int column = 0; column < widths[i]; ++column)
          columns.push_back(name + "_" + std::to_string(column));
      } else {
        columns.push_back(name);
      }
      const auto named = static_cast<Int>(columns.size());
      require(objects || widths[i] < 0 || widths[i] == named, json_file, ": names ", named,
              " outputs, and the network gives ", widths[i], " in '", name, "'");
      outputs.emplace_back(name, columns.size());
      output_names.insert(output_names.end(), columns.begin(), columns.end());
    }
  }

  // The columns of each group.
  std::vector<GroupColumns> find(const Columns& columns) const {
    std::vector<GroupColumns> found(groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g)
      for (const auto& variable : groups[g].variables) {
        const auto entry = columns.all().find(variable.name);
        const bool is_given = entry != columns.all().end();
        const bool is_mask = !is_raw && groups[g].rank > 2 && ends_with(variable.name, "_mask");
        require(is_given || is_mask, groups[g].place, ": column '", variable.name,
                "' is needed, and not given");
        found[g].columns.push_back(is_given ? &entry->second : nullptr);
        if (!is_given) continue;
        const auto& [name, column] = *entry;
        found[g].first = found[g].first ? found[g].first : &column;
        check_column(name, column, *found[g].first, groups[g]);
      }
    // a mask that is not given is 1 for the objects of a group with the same prefix: pf_mask of
    // pf_points
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const auto prefix = groups[g].name.substr(0, groups[g].name.rfind('_') + 1);
      for (std::size_t other = 0; other < groups.size() && !prefix.empty(); ++other)
        if (!found[g].first && groups[other].name.compare(0, prefix.size(), prefix) == 0)
          found[g].first = found[other].first;
      require(found[g].first, groups[g].place, ": column '", groups[g].variables[0].name,
              "' is needed, and not given");
    }
    return found;
  }

  // The rows of each call of the network: those with similarly many objects, so that little of it
  // is padding, and few enough for caches.
  std::vector<Rows> make_batches(const std::vector<GroupColumns>& found, std::size_t rows) const {
    std::multimap<Int, std::size_t> by_length;  // of the input with most objects
    for (std::size_t row = 0; row < rows; ++row) {
      Int length = 1;
      for (std::size_t g = 0; g < groups.size(); ++g)
        length = std::max(length, groups[g].clamp(found[g].first->count(row)));
      by_length.emplace(length, row);
    }
    std::vector<Rows> batches;
    Int shortest = 0;  // of the last one
    for (const auto& [length, row] : by_length) {
      const auto size = batches.empty() ? 0 : batches.back().size();
      if (size == 0 || size >= options.batch_size ||
          (size + 1) * static_cast<std::size_t>(length) > options.batch_objects ||
          length - shortest > std::max(kFewObjects, length / 16)) {
        batches.emplace_back();
        shortest = length;
      }
      batches.back().push_back(row);
    }
    return batches;
  }

  // Adds the tensor (rows, C, P) of one group, or (rows, C).
  void fill(const Group& group, const GroupColumns& columns, const Rows& rows,
            Tensors& tensors) const {
    // no more than the fullest of these rows has, where the network does with less
    Int length = group.shortest;
    for (const auto row : rows) length = std::max(length, group.clamp(columns.first->count(row)));
    const auto channels = group.variables.size();
    Shape shape{static_cast<Int>(rows.size()), static_cast<Int>(channels), length, 1};
    shape.resize(group.rank);
    auto* to = static_cast<float*>(tensors.add(group.name, kFloat, shape));
    for (const auto row : rows)
      for (std::size_t c = 0; c < channels; ++c, to += length) {
        const Variable& variable = group.variables[c];
        const Column* column = columns.columns[c];
        const auto count = std::min(columns.first->count(row), length);
        std::fill(to, to + length, 1.0f);
        // the columns of a group may have offsets of their own
        if (column) variable.copy(*column, column->begin(row), count, to, 0);
        for (float* value = to; value < to + count; ++value) {
          const float finite = std::isfinite(*value) ? *value : variable.replacement;
          *value =
              std::clamp((finite - variable.center) * variable.scale, variable.low, variable.high);
        }
        std::fill(to + count, to + length, variable.pad);
      }
  }

  // Adds the columns of one group as they are, and their offsets from 0.
  void fill_raw(const Group& group, const GroupColumns& columns, const Rows& rows,
                Tensors& tensors) const {
    std::vector<Int> ends{0};
    for (const auto row : rows) ends.push_back(ends.back() + columns.first->count(row));
    if (columns.first->offsets) {
      void* to = tensors.add(group.name, Ort::TypeToTensorType<Int>::type,
                             {static_cast<Int>(ends.size())});
      std::copy(ends.begin(), ends.end(), static_cast<Int*>(to));
    }
    for (std::size_t c = 0; c < group.variables.size(); ++c) {
      const Variable& variable = group.variables[c];
      const Column& column = *columns.columns[c];
      void* to = tensors.add(variable.name, variable.type, {ends.back()});
      for (std::size_t i = 0; i < rows.size(); ++i)
        variable.copy(column, column.begin(rows[i]), ends[i + 1] - ends[i], to, ends[i]);
    }
  }

  // Space for what the network gives for `rows` rows; NaN for objects that it is not given.
  std::vector<Output> make_outputs(const std::vector<GroupColumns>& found, std::size_t rows) const {
    std::vector<Int> offsets;
    if (objects) {
      const Column& column = *found[objects - groups.data()].first;
      offsets.push_back(0);
      for (std::size_t row = 0; row < rows; ++row)
        offsets.push_back(offsets.back() + column.count(row));
    }
    const auto size = objects ? static_cast<std::size_t>(offsets.back()) : rows;
    std::vector<Output> result;
    for (const auto& name : output_names)
      result.push_back({name, std::vector<float>(size, std::nanf("")), offsets});
    return result;
  }

  // Writes what the network gives for some rows to their places in `result`.
  void run(const std::vector<GroupColumns>& found, const Rows& rows,
           std::vector<Output>& result) const {
    Tensors tensors;
    for (std::size_t g = 0; g < groups.size(); ++g)
      is_raw ? fill_raw(groups[g], found[g], rows, tensors)
             : fill(groups[g], found[g], rows, tensors);
    std::vector<const char*> names;
    for (const auto& output : outputs) names.push_back(output.first.c_str());
    const auto given = session->Run(Ort::RunOptions{}, tensors.names.data(), tensors.values.data(),
                                    tensors.values.size(), names.data(), names.size());
    auto to = result.begin();
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const auto info = given[o].GetTensorTypeAndShapeInfo();
      const std::size_t width = info.GetElementCount() / rows.size();
      require(info.GetElementType() == kFloat && width * rows.size() == info.GetElementCount() &&
                  (objects || width == outputs[o].second),
              model_file, ": output '", names[o], "' has another shape or type than it should");
      const float* values = given[o].GetTensorData<float>();
      for (const auto row : rows) {
        if (objects) {
          const auto count = static_cast<std::size_t>(to->offsets[row + 1] - to->offsets[row]);
          std::copy_n(values, std::min(count, width), to->values.begin() + to->offsets[row]);
        } else {
          for (std::size_t c = 0; c < width; ++c) to[c].values[row] = values[c];
        }
        values += width;
      }
      to += outputs[o].second;
    }
  }
};

Model::Model(const std::string& folder, const Options& options)
    : parts_(std::make_shared<Parts>(folder, options)) {}

std::vector<Output> Model::operator()(const Columns& columns) const {
  const auto found = parts_->find(columns);
  const auto rows = found[0].first->rows;
  auto result = parts_->make_outputs(found, rows);
  try {
    for (const auto& batch : parts_->make_batches(found, rows)) parts_->run(found, batch, result);
  } catch (const Ort::Exception& error) {
    throw Error(parts_->model_file + ": ONNX Runtime cannot run it: " + error.what());
  }
  return result;
}

std::vector<std::string> Model::column_names() const {
  std::vector<std::string> names;
  for (const auto& group : parts_->groups)
    for (const auto& variable : group.variables)
      if (std::find(names.begin(), names.end(), variable.name) == names.end())
        names.push_back(variable.name);
  return names;
}

std::vector<std::string> Model::output_names() const { return parts_->output_names; }

std::string Model::metadata(const std::string& key) const { return parts_->metadata(key); }

}  // namespace weaver_tt
