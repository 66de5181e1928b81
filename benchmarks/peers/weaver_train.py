"""weaver-core's training command, with a first argument for the seed, as it has no ``--seed``."""

import random
import sys

import numpy as np
import torch

seed = int(sys.argv.pop(1))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

from weaver.train import main  # noqa: E402

main()
