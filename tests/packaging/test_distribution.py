"""The one distribution: built, installed into an empty environment, used from another folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import soundfile as sf

from tests.data import make_manifest, make_mixture
from tests.evaluation.folder import make_experiment

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
TINY = (
    "--enc_dim 8 --feature_dim 8 --hidden_dim 8 --n_layers 1 --window_ms 16 --segment 0.3 "
    "--num_workers 0 --epochs 1"
)


def run(command: list[object], cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, **options
    )


def tracked() -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def clean() -> dict[str, str]:
    """An environment without any path of the checkout, for subprocesses."""
    left = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SELOSS"))}
    return {**left, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory, clean) -> dict[str, Path]:
    """Wheel and source archive of the tracked files, and the wheel made from the archive alone."""
    tree = tmp_path_factory.mktemp("checkout")
    for name in tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    upstream = "asteroid-0.7.0-py3-none-any.whl"
    cached = ROOT / "external_repo" / "asteroid" / ".cache" / upstream
    wheel_variable = os.environ.get("SELOSS_ASTEROID_WHEEL") or (cached.is_file() and str(cached))
    known = {"SELOSS_ASTEROID_WHEEL": wheel_variable} if wheel_variable else {}

    tools = tmp_path_factory.mktemp("tools")
    requires = re.search(r"^requires = \[(.*)\]$", (tree / "pyproject.toml").read_text(), re.M)
    pins = re.findall(r'"(.+?)"', requires[1])
    run([sys.executable, "-m", "venv", tools], tools, check=True)
    python = tools / "bin" / "python"
    run([python, "-m", "pip", "install", "-q", *pins, "wheel"], tools, check=True, env=clean)

    def build(hook: str, source: Path, environment: dict[str, str]) -> Path:
        out = tmp_path_factory.mktemp(hook)
        code = f"import backend; backend.{hook}({str(out)!r})"
        path = f"{source}/external_repo/asteroid/assembly"
        done = run([python, "-c", code], source, env={**environment, "PYTHONPATH": path})
        assert done.returncode == 0, done.stderr[-3000:]
        (built,) = out.iterdir()
        return built

    wheel = build("build_wheel", tree, clean | known)
    source = build("build_sdist", tree, clean | known)
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(source) as archive:
        archive.extractall(unpacked, filter="data")
    (folder,) = unpacked.iterdir()
    # No wheel of upstream's and no index: the archive holds all that a wheel is made of.
    offline = {**clean, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    return {"wheel": wheel, "source": source, "again": build("build_wheel", folder, offline)}


@pytest.fixture(scope="module")
def bin_folder(archives, tmp_path_factory: pytest.TempPathFactory, clean) -> Path:
    """Programs of an environment that holds the wheel; everything else is that of the tests."""
    return install(archives["again"], tmp_path_factory.mktemp("installed"), clean)


def install(wheel: Path, folder: Path, clean: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    run([sys.executable, "-m", "venv", folder], folder, check=True)
    python = folder / "bin" / "python"
    done = run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], folder, env=clean)
    assert done.returncode == 0, done.stderr
    site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder)
    # Behind its own packages; the editable ones of the tests need a .pth there, which is not read.
    purelib = sysconfig.get_path("purelib")
    (Path(site.stdout.strip()) / "others.pth").write_text(purelib + "\n")
    return folder / "bin"


@pytest.fixture
def program(bin_folder, tmp_path, clean):
    def call(line: str, *more: object, status: int = 0) -> str:
        name, *words = line.split()
        done = run([bin_folder / name, *words, *more], tmp_path, env=clean)
        assert done.returncode == status, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return call


def members(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_package_file_and_all_data(archives):
    inside = members(archives["wheel"])
    prefixes = ("src/", "external_repo/asteroid/asteroid/")
    for name in tracked():
        if name.startswith(prefixes) and not name.endswith((".md", ".png")):
            inner = name.removeprefix("src/").removeprefix("external_repo/asteroid/")
            assert inner in inside, name
    assert {
        "asteroid/models/conv_tasnet.py",  # upstream's
        "asteroid/LICENSE",
        "seloss/files/configs/phoneme-classes.json",
        "seloss/files/configs/losses.yml",
        "seloss/files/egs/TAC/train.py",
        "seloss/files/scripts/data/make_mixtures.py",
        "seloss/pretrained/weights/dccrn-small-causal.safetensors",
    } <= inside
    assert not [name for name in inside if name.split("/")[0] in ("tests", "benchmarks")]
    assert members(archives["again"]) == inside


def test_its_metadata_can_be_published(archives):
    archive = zipfile.ZipFile(archives["wheel"])
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(archive.read(name).decode())
    required = metadata.get_all("Requires-Dist")
    assert not [line for line in required if "+" in line or line.startswith("asteroid==")]
    core = [line for line in required if "extra ==" not in line]
    assert len(core) <= 16
    heavy = re.compile(r"lightning|pesq|torchaudio|wandb|mlflow|transformers|numba|librosa")
    assert not [line for line in core if heavy.match(line)]
    extras = set(metadata.get_all("Provides-Extra"))
    assert {"train", "evaluate", "recognition", "report", "loggers", "live", "dev"} <= extras


def test_a_file_is_enhanced_and_scored(program, tmp_path):
    mixture = make_mixture(1.0, n_mics=1, seed=3)[0][0]
    sf.write(tmp_path / "noisy.wav", mixture, 16000)
    program("seloss enhance noisy.wav -o clean.wav")
    estimate, rate = sf.read(tmp_path / "clean.wav")
    assert rate == 16000
    assert estimate.shape == mixture.shape
    make_experiment(tmp_path / "experiments", n_samples=2)
    program("seloss evaluate --experiment_tag XP --metrics si_sdr stoi")
    assert (tmp_path / "experiments/XP/test/metrics/metrics.csv").is_file()
    assert "SI-SDR" in program("seloss table XP")
    program("seloss spectra XP -o spectra")
    program("seloss report XP -o report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_a_recipe_trains_and_its_test_set_is_enhanced(program, tmp_path):
    train, valid = (
        make_manifest(tmp_path / n, n_items=4, n_mics=2, seconds=0.5, name=f"{n}.json", seed=seed)
        for seed, n in enumerate(("train", "valid"))
    )
    program(f"seloss train TAC {TINY} --train_json {train} --valid_json {valid} --exp_dir e/RUN")
    assert (tmp_path / "e/RUN/best_model.pth").is_file()
    program("seloss infer --experiment_tag RUN --root e --manifest", valid)
    assert (tmp_path / "e/RUN/valid/sample_3/estimate.wav").is_file()


def test_programs_that_read_the_projects_data_find_it(program):
    assert "dccrn-small-causal" in program("seloss models")
    assert "si_snr_lms" in program("seloss train DCCRN --loss_preset none", status=2)
    for name in ("phonemes", "retrieve", "recognise", "compare", "noise-table", "listen", "plot"):
        assert "usage:" in program(f"seloss {name} --help")
    assert "make_mixtures" in program("seloss corpus --help")
    assert "mini_corpus.yml" in program("seloss corpus prepare_mini --help")
    assert "asteroid" in program("asteroid-versions").lower()
    assert "usage" in program("asteroid-infer --help")
    code = "from evaluation.phonemes.classes import read_classes; print(len(read_classes().names))"
    assert int(program("python -c", code)) >= 8


def test_upstreams_asteroid_on_top_is_refused_by_name(archives, tmp_path, clean):
    python = install(archives["again"], tmp_path / "environment", clean) / "python"
    upstream = tmp_path / "upstream" / "asteroid"
    upstream.mkdir(parents=True)
    (upstream / "__init__.py").write_text("__version__ = '0.7.0'\n")
    for module in ("seloss", "auditus", "evaluation", "seloss.cli.main"):
        done = run(
            [python, "-c", f"import {module}"],
            tmp_path,
            env={**clean, "PYTHONPATH": str(upstream.parent)},
        )
        assert done.returncode == 1
        last = done.stderr.strip().splitlines()[-1]
        assert f"{upstream}/__init__.py belongs to another distribution" in last
        assert "pip uninstall asteroid; pip install --force-reinstall --no-deps seloss" in last
