from __future__ import annotations

import pytest

from tests.cluster.schedulers import start
from tests.cluster.site import Site


@pytest.fixture(scope="session")
def slurm():
    scheduler = start("slurm", nodes=2, cpus=4, gpus=2)
    yield scheduler
    scheduler.close()


@pytest.fixture(scope="session")
def oar():
    scheduler = start("oar", nodes=2, cpus=4, gpus=2)
    yield scheduler
    scheduler.close()


@pytest.fixture(scope="session")
def learning_curve(tmp_path_factory) -> list[dict[str, float]]:
    """What one process learns that nobody interrupts, from the data that all sites have."""
    site = Site(None, tmp_path_factory.mktemp("reference"))
    site.make_training_data()
    site.train("ALONE", "--batch_size", "2", epochs=2)
    return site.history("ALONE")
