"""The training loader of salt (gitlab.cern.ch/atlas-flavor-tagging-tools/algorithms/salt).

Its data set class and its batch sampler, put together as its data module does without workers.
"""

from collections.abc import Iterator
from typing import Any


def salt_loader(path: str, variables: list[str], batch_size: int) -> Any:
    """Batches of ``variables`` of the tracks and the flavour of the jets, in random order."""
    from salt.data.datasets import SaltDataset
    from salt.data.samplers import RandomBatchSampler
    from torch.utils.data import DataLoader

    dataset = SaltDataset(
        path,
        norm_dict=None,
        variables={"tracks": variables},
        stage="fit",
        labels={"jets": ["flavour_label"]},
        input_map={"tracks": "tracks", "jets": "jets"},
    )
    sampler = RandomBatchSampler(dataset, batch_size, shuffle=True, drop_last=True)
    return DataLoader(dataset, batch_size=None, sampler=sampler, num_workers=0)


def salt_batch_sizes(loader: Any) -> Iterator[int]:
    """Rows of each batch of an epoch."""
    for inputs, _, _ in loader:
        yield len(inputs["tracks"])
