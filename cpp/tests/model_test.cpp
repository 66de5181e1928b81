// model_test DIR [FILE...]: what the library refuses, and that threads do not disturb each other.
//
// DIR holds a network of jets with the columns jet_pt, jet_eta, jet_phi and jet_flavour. Each FILE
// stands for its preprocess.json: it is read and used, or refused by weaver_tt::Error.
#include "weaver_tt/model.h"

#include <cmath>
#include <cstring>
#include <iostream>
#include <numeric>
#include <thread>

namespace {

using Offsets = std::vector<std::int64_t>;

int failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::cerr << "FAILED: " << what << "\n";
  ++failures;
}

// That `call` raises an Error whose message has all of the `words`.
template <typename Call>
void expect_error(const Call& call, const std::vector<std::string>& words) {
  try {
    call();
    expect(false, "no error that names " + words.front());
  } catch (const weaver_tt::Error& error) {
    for (const auto& word : words)
      expect(std::strstr(error.what(), word.c_str()) != nullptr,
             "'" + word + "' in: " + error.what());
  }
}

// Jets of three events, with 2, 0 and 9 of them: more than the length of the input.
struct Jets {
  std::vector<double> pt;
  std::vector<float> eta;
  std::vector<int> flavour;
  Offsets offsets{0, 2, 2, 11};

  Jets() {
    for (int i = 0; i < 11; ++i) {
      pt.push_back(20 + 7 * i);
      eta.push_back(0.3f * static_cast<float>(i - 5));
      flavour.push_back(i % 3 == 0 ? 5 : 0);
    }
    pt[3] = std::nan("");
  }

  weaver_tt::Columns columns(const Offsets* of_eta = nullptr) const {
    const Offsets& other = of_eta ? *of_eta : offsets;
    weaver_tt::Columns all;
    all.add("jet_pt", pt.data(), pt.size(), offsets.data(), offsets.size() - 1);
    all.add("jet_eta", eta.data(), eta.size(), other.data(), other.size() - 1);
    all.add("jet_phi", eta.data(), eta.size(), offsets.data(), offsets.size() - 1);
    all.add("jet_flavour", flavour.data(), flavour.size(), offsets.data(), offsets.size() - 1);
    return all;
  }
};

void check_errors(const std::string& folder) {
  const weaver_tt::Model model(folder);
  const Jets jets;
  weaver_tt::Columns some;
  some.add("jet_pt", jets.pt.data(), jets.pt.size(), jets.offsets.data(), 3);
  expect_error([&] { model(some); }, {"preprocess.json", "'jets'", "'jet_eta'"});
  expect_error([&] { some.add("jet_pt", jets.pt.data(), 3); }, {"'jet_pt'", "twice"});
  const Offsets fewer{0, 2, 3, 11}, decreasing{0, 3, 2, 11}, beyond{0, 2, 2, 12},
      negative{-1, 2, 2, 11};
  const Offsets rows{0, 2, 2};
  expect_error([&] { model(jets.columns(&fewer)); }, {"'jet_eta'", "1 values in row 1", "have 0"});
  expect_error([&] { model(jets.columns(&decreasing)); }, {"'jet_eta'", "decrease"});
  expect_error([&] { model(jets.columns(&negative)); }, {"'jet_eta'", "negative"});
  expect_error([&] { model(jets.columns(&beyond)); }, {"'jet_eta'", "end at 12", "11 values"});
  expect_error([&] { model(jets.columns(&rows)); }, {"'jet_eta'", "2 rows", "have 3"});
  weaver_tt::Columns numbers;
  for (const auto& name : model.column_names()) numbers.add(name, jets.pt.data(), 3);
  expect_error([&] { model(numbers); }, {"'jet_pt'", "one number for each row"});
  expect_error([&] { weaver_tt::Model("nowhere"); }, {"nowhere/model.onnx", "no such file"});
  weaver_tt::Options options;
  options.model = "preprocess.json";
  expect_error([&] { weaver_tt::Model(folder, options); },
               {folder + "/preprocess.json", "cannot load"});
}

void check_outputs(const std::string& folder) {
  const weaver_tt::Model model(folder);
  const Jets jets;
  const auto outputs = model(jets.columns());
  expect(outputs.size() == 1 && outputs[0].offsets == jets.offsets,
         "one output, with the offsets of jets");
  for (std::size_t i = 0; i < 11; ++i)
    expect(std::isnan(outputs[0].values[i]) == (i >= 8), "NaN beyond the length, and nowhere else");
  // lists that begin elsewhere in memory, as those of a slice do
  Offsets later = jets.offsets;
  for (auto& offset : later) offset += 4;
  std::vector<float> eta(4, 99.0f);
  eta.insert(eta.end(), jets.eta.begin(), jets.eta.end());
  weaver_tt::Columns all;
  all.add("jet_pt", jets.pt.data(), jets.pt.size(), jets.offsets.data(), 3);
  all.add("jet_eta", eta.data(), eta.size(), later.data(), 3);
  all.add("jet_phi", jets.eta.data(), jets.eta.size(), jets.offsets.data(), 3);
  all.add("jet_flavour", jets.flavour.data(), jets.flavour.size(), jets.offsets.data(), 3);
  const auto again = model(all);
  for (std::size_t i = 0; i < 8; ++i)
    expect(again[0].values[i] == outputs[0].values[i], "a slice has the outputs of a copy");
  // rows are sorted by their number of objects, and come back in their order
  weaver_tt::Options one_by_one;
  one_by_one.batch_size = 1;
  const auto apart = weaver_tt::Model(folder, one_by_one)(jets.columns());
  for (std::size_t i = 0; i < 8; ++i)
    expect(std::abs(apart[0].values[i] - outputs[0].values[i]) < 1e-6,
           "rows alone have the same outputs");
}

void check_threads(const std::string& folder) {
  const weaver_tt::Model model(folder);
  const Jets jets;
  const auto columns = jets.columns();
  const auto expected = model(columns)[0].values;
  std::vector<int> different(4, 0);
  std::vector<std::thread> threads;
  for (auto& count : different)
    threads.emplace_back([&] {
      for (int turn = 0; turn < 50; ++turn) {
        const auto found = model(columns)[0].values;
        for (std::size_t i = 0; i < 8; ++i) count += found[i] != expected[i];
      }
    });
  for (auto& thread : threads) thread.join();
  expect(std::accumulate(different.begin(), different.end(), 0) == 0, "threads get equal outputs");
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const std::string folder = arguments[1];
  check_errors(folder);
  check_outputs(folder);
  check_threads(folder);
  int refused = 0;
  for (int i = 2; i < count; ++i) {
    weaver_tt::Options options;
    options.preprocess = arguments[i];
    try {
      weaver_tt::Model model(folder, options);
      model(Jets().columns());
    } catch (const weaver_tt::Error& error) {
      // a message that does not name the file helps nobody
      expect(std::strstr(error.what(), arguments[i]) || std::strstr(error.what(), "model.onnx"),
             std::string("names no file: ") + error.what());
      ++refused;
    }
  }
  std::cout << refused << " of " << count - 2 << " refused, " << failures << " failures\n";
  return failures ? 1 : 0;
}
