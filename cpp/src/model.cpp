#include "weaver_tt/model.h"

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

namespace weaver_tt {
namespace {

using Json = nlohmann::ordered_json;  // keeps the order of names
using Shape = std::vector<std::int64_t>;
using std::to_string;

constexpr std::int64_t kMostObjects = 1 << 20;  // of a row

// How one channel of an input is made of a column.
struct Variable {
  std::string name;
  float center, scale, replacement, low, high, pad;
};

// One input of the network; of a graph of raw columns, all those with the same offsets, whose input
// has the `name` ("" for numbers of rows).
struct Group {
  std::string name;
  std::string place;    // for messages
  std::size_t rank;     // 3: (N, C, P) of objects, or (N, C, 1) of numbers of rows; 2: (N, C)
  std::string objects;  // what the graph calls the axis of objects, if its size is free
  std::int64_t shortest = 1, longest = 1;  // the P that it may have
  std::vector<Variable> variables = {};
  std::vector<ONNXTensorElementDataType> types = {};  // of raw columns
};

// The inputs of one call, and the memory that they lie in.
struct Inputs {
  std::vector<const char*> names;
  std::vector<Ort::Value> values;
  std::vector<std::vector<char>> memory;  // it does not move when the vector grows

  // memory for a tensor of a type, which is filled afterwards
  void* add(const std::string& name, ONNXTensorElementDataType type, std::size_t bytes,
            const Shape& shape);
};

// One output of the network: `columns` for each row, or one of each object of a group.
struct GraphOutput {
  std::string name;
  std::vector<std::string> columns;
  const Group* of_objects;
};

// The columns of a group, in the order of its variables; nullptr for a mask that is not given.
struct GroupColumns {
  std::vector<const Column*> columns;
  const std::int64_t* offsets = nullptr;  // of the lists; nullptr where there are numbers of rows
  std::int64_t count(std::size_t row) const { return offsets[row + 1] - offsets[row]; }
};

// A text, or a file that is open.
template <typename Source>
Json parse_json(Source&& source, const std::string& place) {
  try {
    Json json = Json::parse(source);
    if (json.is_object()) return json;
  } catch (const Json::exception& error) {
    throw Error(place + ": not JSON: " + error.what());
  }
  throw Error(place + ": expected a JSON object");
}

float read_number(const Json& object, const char* key, const std::string& place) {
  const auto found = object.find(key);
  if (found == object.end()) throw Error(place + ": there is no '" + key + "'");
  if (!found->is_number())
    throw Error(place + ": '" + key + "' is " + found->dump() + ", no number");
  return found->get<float>();
}

// The names in a list, or the keys of an object, in the order of the file.
std::vector<std::string> read_names(const Json& json, const std::string& place) {
  std::vector<std::string> names;
  if (json.is_object())
    for (const auto& item : json.items()) names.push_back(item.key());
  else if (json.is_array() &&
           std::all_of(json.begin(), json.end(), [](auto& item) { return item.is_string(); }))
    names = json.get<std::vector<std::string>>();
  else
    throw Error(place + ": expected a list of names, found " + json.dump().substr(0, 80));
  return names;
}

Variable read_variable(const Json& infos, const std::string& name, const std::string& group) {
  const std::string place = group + ", variable '" + name + "'";
  if (!infos.is_object() || !infos.contains(name) || !infos[name].is_object())
    throw Error(place + ": var_infos do not describe it");
  const Json& info = infos[name];
  const auto number_or_0 = [&](const char* key) {
    return info.contains(key) ? read_number(info, key, place) : 0;
  };
  const Variable variable{name,
                          read_number(info, "median", place),
                          read_number(info, "norm_factor", place),
                          number_or_0("replace_inf_value"),
                          read_number(info, "lower_bound", place),
                          read_number(info, "upper_bound", place),
                          number_or_0("pad")};
  if (!(variable.low <= variable.high)) throw Error(place + ": lower_bound is above upper_bound");
  return variable;
}

// Lengths of a group of objects, for a graph that takes `size` of them (-1: any number).
void read_lengths(const Json& json, std::int64_t size, Group& group) {
  const auto read = [&](const char* key) -> std::int64_t {
    const double length = read_number(json, key, group.place);
    if (!(length >= 0 && length <= kMostObjects && length == std::floor(length)))
      throw Error(group.place + ": '" + key + "' is no number of objects: " + json[key].dump());
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(length));
  };
  if (size >= 0) {
    // min_length and max_length leave the choice to the graph
    const bool has_length = json.contains("var_length");
    group.shortest = group.longest = size;
    if (size < 1 || (has_length ? read("var_length") != size
                                : read("min_length") > size || read("max_length") < size))
      throw Error(group.place + ": the network takes " + to_string(size) +
                  " objects, and that is not the length");
    return;
  }
  const bool is_free = json.contains("min_length") && json.contains("max_length");
  group.shortest = read(is_free ? "min_length" : "var_length");
  group.longest = read(is_free ? "max_length" : "var_length");
  if (group.shortest > group.longest) throw Error(group.place + ": min_length is above max_length");
}

// What the graph calls an axis of free size; "" where it has a number, or is not there.
std::string symbol_of(const Ort::ConstTensorTypeAndShapeInfo& info, std::size_t axis) {
  std::vector<const char*> symbols(info.GetDimensionsCount());
  info.GetSymbolicDimensions(symbols.data(), symbols.size());
  return axis < symbols.size() && symbols[axis] ? symbols[axis] : "";
}

// The type of an input, and how many bytes a number of it has.
std::pair<Type, std::size_t> type_of(ONNXTensorElementDataType type, const std::string& place) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: return {Type::kBool, 1};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: return {Type::kInt8, 1};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: return {Type::kUint8, 1};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16: return {Type::kInt16, 2};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16: return {Type::kUint16, 2};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return {Type::kInt32, 4};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32: return {Type::kUint32, 4};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return {Type::kInt64, 8};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64: return {Type::kUint64, 8};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return {Type::kFloat, 4};
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: return {Type::kDouble, 8};
    default: throw Error(place + ": a column of this type cannot be given");
  }
}

void* Inputs::add(const std::string& name, ONNXTensorElementDataType type, std::size_t bytes,
                  const Shape& shape) {
  static const auto cpu = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  memory.emplace_back(std::max<std::size_t>(bytes, 1));
  void* to = memory.back().data();
  values.push_back(Ort::Value::CreateTensor(cpu, to, bytes, shape.data(), shape.size(), type));
  names.push_back(name.c_str());
  return to;
}

bool ends_with(const std::string& name, const std::string& ending) {
  return name.size() > ending.size() &&
         name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
}

void check_offsets(const std::string& name, const Column& column) {
  const auto* offsets = column.offsets;
  bool increase = offsets[0] >= 0;
  for (std::size_t row = 0; row < column.rows; ++row) increase &= offsets[row] <= offsets[row + 1];
  if (!increase) throw Error("column '" + name + "': its offsets decrease, or are negative");
  if (static_cast<std::uint64_t>(offsets[column.rows]) > column.size)
    throw Error("column '" + name + "': its offsets end at " + to_string(offsets[column.rows]) +
                ", beyond its " + to_string(column.size) + " values");
}

void check_counts(const std::string& name, const Column& column, const GroupColumns& others) {
  for (std::size_t row = 0; row < column.rows; ++row)
    if (column.offsets[row + 1] - column.offsets[row] != others.count(row))
      throw Error("column '" + name + "' has " +
                  to_string(column.offsets[row + 1] - column.offsets[row]) + " values in row " +
                  to_string(row) + ", and others of its group have " +
                  to_string(others.count(row)));
}

}  // namespace

struct Model::Parts {
  Options options;
  std::string model_file, json_file;
  std::vector<Group> groups;
  std::vector<GraphOutput> outputs;
  std::unique_ptr<Ort::Session> session;

  bool is_raw = false;

  void read_inputs(const Json& json);
  void read_raw_inputs();
  void read_outputs(const Json& json);
  std::string metadata(const std::string& key) const;
  std::vector<GroupColumns> find(const Columns& columns, std::size_t& rows) const;
  void find_objects_of_masks(std::vector<GroupColumns>& found) const;
  void fill(const Group& group, const GroupColumns& columns, std::size_t first, std::size_t rows,
            Inputs& inputs) const;
  void fill_raw(const Group& group, const GroupColumns& columns, std::size_t first,
                std::size_t rows, Inputs& inputs) const;
  void run(const std::vector<GroupColumns>& found, std::size_t first, std::size_t rows,
           std::vector<Output>& result) const;
};

void Model::Parts::read_inputs(const Json& json) {
  Ort::AllocatorWithDefaultOptions allocator;
  for (std::size_t i = 0; i < session->GetInputCount(); ++i) {
    const std::string name = session->GetInputNameAllocated(i, allocator).get();
    const auto type = session->GetInputTypeInfo(i);
    const auto info = type.GetTensorTypeAndShapeInfo();
    const Shape shape = info.GetShape();
    Group group{name, json_file + ", input '" + name + "'", shape.size(), symbol_of(info, 2)};
    if (info.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || shape.size() < 2 ||
        shape.size() > 3)
      throw Error(model_file + ": input '" + name + "' is no float32 tensor of 2 or 3 axes");
    if (!json.contains(name) || !json[name].is_object() || !json[name].contains("var_names") ||
        !json[name].contains("var_infos"))
      throw Error(group.place + ": the file does not describe it by var_names and var_infos");
    for (const auto& variable : read_names(json[name]["var_names"], group.place))
      group.variables.push_back(read_variable(json[name]["var_infos"], variable, group.place));
    const auto channels = static_cast<std::int64_t>(group.variables.size());
    if (channels == 0 || (shape[1] >= 0 && shape[1] != channels))
      throw Error(group.place + ": there are " + to_string(channels) +
                  " var_names, and the network takes " + to_string(shape[1]));
    if (group.rank == 3) read_lengths(json[name], shape[2], group);
    groups.push_back(group);
  }
  if (groups.empty()) throw Error(model_file + ": the network has no input");
}

// A graph of raw columns says in its metadata which columns it takes, and with which offsets.
void Model::Parts::read_raw_inputs() {
  const std::string place = model_file + ", metadata 'raw_columns'";
  const Json columns = parse_json(metadata("raw_columns"), place);
  Ort::AllocatorWithDefaultOptions allocator;
  std::map<std::string, ONNXTensorElementDataType> types;
  for (std::size_t i = 0; i < session->GetInputCount(); ++i)
    types[session->GetInputNameAllocated(i, allocator).get()] =
        session->GetInputTypeInfo(i).GetTensorTypeAndShapeInfo().GetElementType();
  for (const auto& [name, column] : columns.items()) {
    if (!column.is_object() || !column.contains("offsets") || types.count(name) == 0)
      throw Error(place + ": column '" + name + "' is no input with offsets");
    const Json& given = column["offsets"];
    if (!given.is_null() && !(given.is_string() && types.count(given.get<std::string>())))
      throw Error(place + ": column '" + name + "': its offsets are no input");
    const auto offsets = given.is_null() ? "" : given.get<std::string>();
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& other) { return other.name == offsets; });
    if (group == groups.end())
      group = groups.insert(groups.end(), {offsets, model_file, offsets.empty() ? 2u : 3u, offsets, 1,
                                           offsets.empty() ? 1 : kMostObjects});
    group->variables.push_back({name, 0, 1, 0, 0, 0, 0});
    group->types.push_back(types[name]);
    type_of(types[name], place + ", column '" + name + "'");
  }
}

void Model::Parts::read_outputs(const Json& json) {
  const char* key = json.contains("output_names") ? "output_names" : "flav_names";
  if (!json.contains(key)) throw Error(json_file + ": there is no 'output_names'");
  const auto names = read_names(json[key], json_file + ", '" + key + "'");
  const bool has_objects = metadata("layout") == "objects";
  Ort::AllocatorWithDefaultOptions allocator;
  for (std::size_t i = 0; i < session->GetOutputCount(); ++i) {
    const std::string name = session->GetOutputNameAllocated(i, allocator).get();
    const auto type = session->GetOutputTypeInfo(i);
    const auto info = type.GetTensorTypeAndShapeInfo();
    const auto shape = info.GetShape();
    GraphOutput output{name, {name}, nullptr};
    if (has_objects) {
      // those of the group with the same axis of objects, or else of the first one with objects
      for (const Group& group : groups)
        if (group.rank == 3 &&
            (!output.of_objects || (!group.objects.empty() && group.objects == symbol_of(info, 1))))
          output.of_objects = &group;
      if (!output.of_objects || symbol_of(info, 1) == "chosen objects")
        throw Error(model_file + ": no input has the objects of output '" + name + "'");
    } else if (i == 0 || ends_with(name, "_std")) {
      // the columns of the first output have names, and a second one is their spread
      output.columns = names;
      for (auto& column : output.columns) column += i == 0 ? "" : "_std";
      if (shape.size() == 2 && shape[1] >= 0 && shape[1] != static_cast<std::int64_t>(names.size()))
        throw Error(json_file + ": names " + to_string(names.size()) +
                    " outputs, and the network gives " + to_string(shape[1]) + " in '" + name +
                    "'");
    }
    outputs.push_back(output);
  }
}

std::string Model::Parts::metadata(const std::string& key) const {
  Ort::AllocatorWithDefaultOptions allocator;
  const auto found =
      session->GetModelMetadata().LookupCustomMetadataMapAllocated(key.c_str(), allocator);
  return found ? found.get() : "";
}

// The columns of each group; `rows` becomes their number of rows.
std::vector<GroupColumns> Model::Parts::find(const Columns& columns, std::size_t& rows) const {
  std::vector<GroupColumns> found(groups.size());
  const std::string* first = nullptr;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    bool has_numbers = false;
    for (const auto& [name, c, s, r, l, h, p] : groups[g].variables) {
      const auto entry = columns.all().find(name);
      if (entry == columns.all().end() && !is_raw && groups[g].rank == 3 &&
          ends_with(name, "_mask")) {
        found[g].columns.push_back(nullptr);
        continue;
      }
      if (entry == columns.all().end())
        throw Error(groups[g].place + ": column '" + name + "' is needed, and not given");
      const Column& column = entry->second;
      if (first && column.rows != rows)
        throw Error("column '" + name + "' has " + to_string(column.rows) + " rows, and '" +
                    *first + "' has " + to_string(rows));
      first = first ? first : &entry->first;
      rows = column.rows;
      if (column.offsets) {
        check_offsets(name, column);
        found[g].offsets = found[g].offsets ? found[g].offsets : column.offsets;
        check_counts(name, column, found[g]);
      }
      has_numbers |= !column.offsets;
      found[g].columns.push_back(&column);
      // (N, C, 1) may be of numbers of rows
      const bool fits = column.offsets ? groups[g].rank == 3 : groups[g].longest == 1;
      if (!fits || (has_numbers && found[g].offsets))
        throw Error(groups[g].place + ": column '" + name + "' has " +
                    (column.offsets ? "lists" : "one number for each row") + ", others do not");
    }
  }
  find_objects_of_masks(found);
  return found;
}

// A mask that is not given is 1 for the objects of a group with the same prefix: pf_mask,
// pf_points.
void Model::Parts::find_objects_of_masks(std::vector<GroupColumns>& found) const {
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto missing = std::find(found[g].columns.begin(), found[g].columns.end(), nullptr);
    if (found[g].offsets || missing == found[g].columns.end()) continue;
    const auto prefix = groups[g].name.substr(0, groups[g].name.rfind('_') + 1);
    for (std::size_t other = 0; other < groups.size() && !prefix.empty(); ++other)
      if (!found[g].offsets && groups[other].name.compare(0, prefix.size(), prefix) == 0)
        found[g].offsets = found[other].offsets;
    if (!found[g].offsets) {
      const auto& mask = groups[g].variables[missing - found[g].columns.begin()].name;
      throw Error(groups[g].place + ": column '" + mask + "' is needed, and not given");
    }
  }
}

// Adds the tensor (rows, C, P) of one group, or (rows, C).
void Model::Parts::fill(const Group& group, const GroupColumns& columns, std::size_t first,
                        std::size_t rows, Inputs& inputs) const {
  const auto& variables = group.variables;
  // no more than the fullest of these rows has, where the network does with less
  std::int64_t length = group.shortest;
  for (std::size_t row = first; row < first + rows && columns.offsets; ++row)
    length = std::max(length, std::min(columns.count(row), group.longest));
  Shape shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(variables.size()), length};
  shape.resize(group.rank);
  const auto bytes = rows * variables.size() * static_cast<std::size_t>(length) * sizeof(float);
  auto* to = static_cast<float*>(
      inputs.add(group.name, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, bytes, shape));
  for (std::size_t row = first; row < first + rows; ++row)
    for (std::size_t c = 0; c < variables.size(); ++c, to += length) {
      const Variable& variable = variables[c];
      const Column* column = columns.columns[c];
      const auto count = columns.offsets ? std::min(columns.count(row), length) : 1;
      std::fill(to, to + length, 1.0f);
      // the columns of a group may have offsets of their own
      if (column)
        column->copy(column->values, column->offsets ? column->offsets[row] : row, count,
                     Type::kFloat, to);
      for (float* value = to; value < to + count; ++value) {
        const float finite = std::isfinite(*value) ? *value : variable.replacement;
        *value =
            std::clamp((finite - variable.center) * variable.scale, variable.low, variable.high);
      }
      std::fill(to + count, to + length, variable.pad);
    }
}

// Adds the columns of one group as they are, and their offsets from 0.
void Model::Parts::fill_raw(const Group& group, const GroupColumns& columns, std::size_t first,
                            std::size_t rows, Inputs& inputs) const {
  auto total = static_cast<std::int64_t>(rows);
  if (columns.offsets) {
    const auto size = static_cast<std::int64_t>(rows + 1);
    auto* offsets =
        static_cast<std::int64_t*>(inputs.add(group.name, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
                                              (rows + 1) * sizeof(std::int64_t), {size}));
    for (std::size_t row = 0; row <= rows; ++row)
      offsets[row] = columns.offsets[first + row] - columns.offsets[first];
    total = offsets[rows];
  }
  for (std::size_t c = 0; c < group.variables.size(); ++c) {
    const Column& column = *columns.columns[c];
    const auto [type, bytes] = type_of(group.types[c], group.place);
    void* to = inputs.add(group.variables[c].name, group.types[c],
                          static_cast<std::size_t>(total) * bytes, {total});
    column.copy(column.values, column.offsets ? column.offsets[first] : first,
                static_cast<std::size_t>(total), type, to);
  }
}

// Appends what the network gives for some rows to `result`.
void Model::Parts::run(const std::vector<GroupColumns>& found, std::size_t first, std::size_t rows,
                       std::vector<Output>& result) const {
  Inputs inputs;
  for (std::size_t g = 0; g < groups.size(); ++g)
    is_raw ? fill_raw(groups[g], found[g], first, rows, inputs)
           : fill(groups[g], found[g], first, rows, inputs);
  std::vector<const char*> output_names;
  for (const auto& output : outputs) output_names.push_back(output.name.c_str());
  const auto given = session->Run(Ort::RunOptions{}, inputs.names.data(), inputs.values.data(),
                                  inputs.values.size(), output_names.data(), output_names.size());
  auto to = result.begin();
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const auto info = given[o].GetTensorTypeAndShapeInfo();
    const std::size_t width = info.GetElementCount() / rows;
    const Group* group = outputs[o].of_objects;
    if (info.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT ||
        width * rows != info.GetElementCount() || (!group && width != outputs[o].columns.size()))
      throw Error(model_file + ": output '" + outputs[o].name +
                  "' has another shape or type than it should");
    const float* values = given[o].GetTensorData<float>();
    for (std::size_t column = 0; !group && column < width; ++column, ++to)
      for (std::size_t row = 0; row < rows; ++row)
        to->values.push_back(values[row * width + column]);
    if (!group) continue;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto& objects = found[group - groups.data()];
      const auto count = static_cast<std::size_t>(objects.offsets ? objects.count(first + row) : 1);
      const float* of_row = values + row * width;
      to->values.insert(to->values.end(), of_row, of_row + std::min(count, width));
      to->values.resize(to->offsets.back() + count, std::numeric_limits<float>::quiet_NaN());
      to->offsets.push_back(static_cast<std::int64_t>(to->values.size()));
    }
    ++to;
  }
}

Model::Model(const std::string& folder, Options options) : parts_(std::make_unique<Parts>()) {
  // one for the process; errors are exceptions, and warnings are about the optimization of graphs
  static const Ort::Env environment(ORT_LOGGING_LEVEL_FATAL, "weaver_tt");
  parts_->model_file = folder + "/" + options.model;
  parts_->json_file = folder + "/" + options.preprocess;
  parts_->options = std::move(options);
  std::ifstream file(parts_->json_file);
  const bool has_model = std::filesystem::is_regular_file(parts_->model_file);
  if (!has_model && file) throw Error(parts_->model_file + ": no such file");
  if (!has_model) throw Error(parts_->json_file + ": no such file");
  try {
    Ort::SessionOptions settings;
    settings.SetIntraOpNumThreads(parts_->options.threads)
        .SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
    if (parts_->options.configure) parts_->options.configure(settings);
    parts_->session =
        std::make_unique<Ort::Session>(environment, parts_->model_file.c_str(), settings);
    parts_->is_raw = !parts_->metadata("raw_columns").empty();
    if (!parts_->is_raw && !file) throw Error(parts_->json_file + ": no such file");
    if (parts_->is_raw) {
      // how columns are prepared is in the graph; of the side-car it keeps the names of outputs
      parts_->json_file = parts_->model_file + ", metadata 'preprocess'";
      parts_->read_raw_inputs();
      parts_->read_outputs(parse_json(parts_->metadata("preprocess"), parts_->json_file));
    } else {
      const Json json = parse_json(file, parts_->json_file);
      parts_->read_inputs(json);
      parts_->read_outputs(json);
    }
  } catch (const Ort::Exception& error) {
    throw Error(parts_->model_file + ": ONNX Runtime cannot load it: " + error.what());
  }
}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

std::vector<Output> Model::operator()(const Columns& columns) const {
  std::size_t rows = 0;
  const auto found = parts_->find(columns, rows);
  std::vector<Output> result;
  for (const auto& output : parts_->outputs)
    for (const auto& name : output.columns)
      result.push_back(
          {name,
           {},
           output.of_objects ? std::vector<std::int64_t>{0} : std::vector<std::int64_t>{}});
  const std::size_t most = std::max<std::size_t>(1, parts_->options.batch_size);
  try {
    for (std::size_t first = 0; first < rows; first += most)
      parts_->run(found, first, std::min(most, rows - first), result);
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

std::vector<std::string> Model::output_names() const {
  std::vector<std::string> names;
  for (const auto& output : parts_->outputs)
    names.insert(names.end(), output.columns.begin(), output.columns.end());
  return names;
}

std::string Model::metadata(const std::string& key) const { return parts_->metadata(key); }

}  // namespace weaver_tt
