"""A corpus of one's own: noisy and clean recordings as a manifest that every recipe takes.

    python examples/own_corpus.py RECORDINGS manifest.json

RECORDINGS holds what a recorder with two microphones left, a folder for each take::

    take_01/ left.wav right.wav        what the microphones heard
             left_clean.wav ...        the speech alone at each of them
             words.txt                 what was said
"""

from __future__ import annotations

import argparse
from pathlib import Path

import soundfile as sf

from seloss.data.formats.manifest import Mixture, validate_manifest, write_manifest


def read_take(folder: Path) -> Mixture:
    """Return one take as a mixture; its noise is the mixture less the speech."""
    left, right = folder / "left.wav", folder / "right.wav"
    words = folder / "words.txt"
    return Mixture(
        id=folder.name,
        mixture=(left, right),  # the first microphone is the reference
        speech=(folder / "left_clean.wav", folder / "right_clean.wav"),
        noise=(),
        length=sf.info(left).frames,
        transcript=words.read_text(encoding="utf-8").strip() if words.is_file() else None,
    )


def main() -> None:
    """Write the manifest and check every file that it names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, help="folder with a folder for each take")
    parser.add_argument("manifest", type=Path, help="JSON file to write")
    options = parser.parse_args()
    takes = [read_take(folder) for folder in sorted(options.recordings.iterdir())]
    write_manifest(options.manifest, takes)
    checked = validate_manifest(options.manifest, sample_rate=16000)
    print(f"{options.manifest}: {len(checked)} mixtures of {checked[0].n_mics} microphones")


if __name__ == "__main__":
    main()
