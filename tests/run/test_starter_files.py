"""Where the network file that belongs to a data YAML is looked for."""

from weaver_tt.run.starter_files import network_beside


def test_the_network_that_init_wrote_is_the_one_beside_the_data_yaml(tmp_path):
    assert network_beside(str(tmp_path / "data.yaml")) == "network.py"
    (tmp_path / "network.py").touch()
    assert network_beside(str(tmp_path / "mine.yaml")) == str(tmp_path / "network.py")
