"""Every script and program explains itself."""

from __future__ import annotations

import pytest

from tests.programs import ROOT, run

SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("scripts", "egs")
    for path in (ROOT / folder).rglob("*.sh")
    if "Source this file" not in path.read_text(encoding="utf-8")
)
PROGRAMS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("scripts", "egs")
    for path in (ROOT / folder).rglob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("script", [*SCRIPTS, *PROGRAMS])
def test_help_is_printed_without_doing_anything(script, tmp_path):
    done = run(ROOT / script, "--help", cwd=tmp_path, SELOSS_EXPERIMENTS=tmp_path / "e")
    assert "usage" in done.stdout.lower()
    assert not done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("net", "data"),
    [
        ("fasnet", "data/mini_mixtures/{}.json"),
        ("dccrn", "data/dccrn/{}.npy"),
        ("dcunet", "data/voicebank/{}.json"),
    ],
)
def test_a_launcher_names_the_data_of_its_own_recipe(launch, net, data):
    text = " ".join(launch("train", net, "--help").stdout.split())
    for part in ("train", "valid"):
        assert f"$SELOSS_{part.upper()}_JSON, else {data.format(part)}" in text
