// Scores of jets in an RDataFrame, from a folder that `--export-onnx` wrote:
//
//   root -l -b -q 'rdataframe.C("export/", "events.root", "tree", "scores.root")'
//
// with the include paths of this library and of ONNX Runtime, and both libraries loaded
// (gSystem->AddIncludePath, gSystem->Load), or compiled as any program. The events are taken one by
// one here; larger calls are faster where a network is small: collect the columns of some hundred
// events first.
#include <ROOT/RDataFrame.hxx>
#include <ROOT/RVec.hxx>
#include <memory>
#include <string>
#include <vector>

#include "weaver_tt/model.h"

using Floats = ROOT::RVec<float>;

void rdataframe(const std::string& folder, const std::string& file, const std::string& tree,
                const std::string& output) {
  // one model serves all threads of EnableImplicitMT
  auto model = std::make_shared<weaver_tt::Model>(folder);
  auto scores = [model](const Floats& pt, const Floats& eta, const Floats& phi,
                        const Floats& flavour) {
    const std::vector<std::int64_t> offsets{0, static_cast<std::int64_t>(pt.size())};
    weaver_tt::Columns columns;
    columns.add("jet_pt", pt.data(), pt.size(), offsets.data(), 1);
    columns.add("jet_eta", eta.data(), eta.size(), offsets.data(), 1);
    columns.add("jet_phi", phi.data(), phi.size(), offsets.data(), 1);
    columns.add("jet_flavour", flavour.data(), flavour.size(), offsets.data(), 1);
    const auto outputs = (*model)(columns);
    return Floats(outputs.front().values);
  };
  ROOT::RDataFrame(tree, file)
      .Define("jet_eff", scores, {"jet_pt", "jet_eta", "jet_phi", "jet_flavour"})
      .Snapshot(tree, output, {"jet_pt", "jet_eff"});
}
