"""What is known of the files of a calibration."""

from tests.applications.calibration.toy import draw_jets, write_jets
from weaver_tt.applications.calibration.categories import Category
from weaver_tt.applications.calibration.inputs import DATA, CalibrationFiles
from weaver_tt.applications.calibration.jets import JetSources
from weaver_tt.applications.calibration.kinematic_bins import KinematicBins
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import ABOUT, AboutPrediction


def files_with(path):
    return CalibrationFiles(
        data=Category(DATA, ("data.root",)),
        categories=[Category("top", (str(path),))],
        sources=JetSources(tag="score > 0.5", bins=KinematicBins()),
        data_weight=None,
        treename=None,
    )


def test_a_column_is_called_what_the_prediction_of_the_simulation_says(tmp_path):
    about = AboutPrediction(task="classification", names={"jet_sdmass": "$m_{SD}$ [GeV]"})
    with open_writer(tmp_path / "top.root") as writer:
        writer.write(draw_jets("top", 10, 1))
        writer.annotate(ABOUT, about.as_text())
    files = files_with(tmp_path / "top.root")
    assert files.readable("jet_sdmass") == "$m_{SD}$ [GeV]"
    assert files.readable("jet_pt") == "jet_pt"


def test_in_files_of_others_columns_are_called_what_they_are(tmp_path):
    path = write_jets(tmp_path / "top.root", draw_jets("top", 10, 1))
    assert files_with(path).readable("jet_sdmass") == "jet_sdmass"
