"""What a training sets for the whole process is set back."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _undo():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
