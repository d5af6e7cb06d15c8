from __future__ import annotations

import pytest

from tests.cluster.schedulers import start


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
