"""The program, with recognisers that understand and with tiny ones that load like large ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import soxr

from evaluation.words import cli as recognise
from evaluation.words import recognisers, transcripts
from evaluation.words.recognisers import build_recogniser, levelled
from tests.data import SAMPLE_RATE, noise_like

moonshine_voice = pytest.importorskip("moonshine_voice")

# Carried by the wheel of moonshine_voice: the opening of A Tale of Two Cities.
CLIP = Path(moonshine_voice.get_assets_path()) / "two_cities.wav"
SAID = "It was the best of times, it was the worst of times"
SECONDS = 5.0


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    rate = sf.info(CLIP).samplerate
    signal, _ = sf.read(CLIP, dtype="float32", stop=int(SECONDS * rate))
    return np.asarray(soxr.resample(signal, rate, SAMPLE_RATE))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: np.ndarray) -> Path:
    """Samples: real speech, in noise that drowns it, and an estimate at a strange level."""
    monkeypatch.setenv("SELOSS_EXPERIMENTS", str(tmp_path))
    folder = tmp_path / "XP" / "test"
    noise = noise_like(SECONDS, kind="white")[: len(clip)]
    signals = {
        "speech": clip,
        "mixture": clip + 10 * noise,
        "noise": 10 * noise,
        "estimate": 30 * clip,
    }
    for index in range(2):
        (folder / f"sample_{index}").mkdir(parents=True)
        for name, signal in signals.items():
            path = folder / f"sample_{index}" / f"{name}.wav"
            sf.write(path, signal, SAMPLE_RATE, subtype="FLOAT")
    table = pd.DataFrame(
        {
            "Sample_ID": ["sample_0", "sample_1"],
            "id": ["a", "b"],
            "snr_db": [1.0, 2.0],
            "transcript": [SAID, None],
        }
    )
    table.to_csv(folder / "samples.csv", index=False)
    return folder


def run(*options: str) -> int:
    return recognise.main(["--experiment_tag", "XP", "--jobs", "1", *options])


def test_clean_speech_is_understood_and_drowned_speech_is_not(folder: Path) -> None:
    assert run() == 0
    rates = pd.read_csv(folder / "metrics" / "recognition.csv").set_index(["signal", "rate"])
    assert rates.loc[("clean", "WER"), "percent"] == 0
    assert rates.loc[("enhanced", "PER"), "percent"] == 0  # 30 times as loud: the level is set
    assert rates.loc[("noisy", "WER"), "percent"] > 50
    assert set(rates["said"].xs("WER", level="rate")) == {12}
    assert set(rates["utterances"]) == set(rates["failed"]) == {1}
    table = pd.read_csv(folder / "metrics" / "recognition_by_sample.csv").set_index("id")
    assert table.loc["a", "hypothesis_out"] == "it was the best of times it was the worst of times"
    assert table.loc["a", "words"] == 12
    assert table.loc["a", "snr_db"] == 1.0
    assert np.isnan(table.loc["b", "WER_out"])
    assert "out: no transcript" in table.loc["b", "reason"]
    classes = pd.read_csv(folder / "metrics" / "confusion_classes.csv")
    clean = classes[classes["signal"] == "clean"]
    assert (clean["said"] == clean["heard"]).all()
    assert (clean["share"] == 1).all()
    assert (folder / "metrics" / "confusion_classes.png").stat().st_size > 5000


def test_what_was_heard_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run() == 0
    store = folder / "metrics" / ".transcripts.jsonl"
    lines = store.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    store.write_text("\n".join(lines[:2]) + '\n{"audio": "torn', encoding="utf-8")
    heard: list[Path] = []
    real = transcripts._transcribe
    monkeypatch.setattr(transcripts, "_transcribe", lambda job: heard.append(job.path) or real(job))
    assert run() == 0
    assert len(heard) == 1
    heard.clear()
    assert run() == 0
    assert not heard
    signal, rate = sf.read(folder / "sample_0" / "estimate.wav", dtype="float32")
    sf.write(folder / "sample_0" / "estimate.wav", 0.5 * signal, rate, subtype="FLOAT")
    assert run() == 0
    assert [path.name for path in heard] == ["estimate.wav"]


def test_bad_files_have_a_reason(folder: Path, clip: np.ndarray) -> None:
    sample = folder / "sample_0"
    sf.write(sample / "speech.wav", 0 * clip, SAMPLE_RATE, subtype="FLOAT")
    (sample / "mixture.wav").write_bytes(b"no audio")
    (sample / "estimate.wav").unlink()
    assert run() == 0
    row = pd.read_csv(folder / "metrics" / "recognition_by_sample.csv").iloc[0]
    assert row["WER_clean"] == 100  # silence: all words are deleted
    assert row["w_del_clean"] == 12
    assert np.isnan(row["WER_in"])
    assert "mixture.wav is not readable audio" in row["reason"]
    assert "out: there is no estimate.wav" in row["reason"]


def test_transcripts_from_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv(folder / "samples.csv")
    table.drop(columns="transcript").to_csv(folder / "samples.csv", index=False)
    assert run() == 1
    assert "has a transcript: add `transcript` to the manifest" in capsys.readouterr().err
    texts = folder / "texts.csv"
    texts.write_text(f'id,transcript\nb,"{SAID}"\n', encoding="utf-8")
    assert run("--transcripts", str(texts), "--signals", "clean") == 0
    rates = pd.read_csv(folder / "metrics" / "recognition.csv")
    assert list(rates["percent"]) == [0, 0]
    texts.write_text("id,transcript\nb.wav,yes\n", encoding="utf-8")
    before = (folder / "metrics" / "recognition.csv").read_bytes()
    assert run("--transcripts", str(texts)) == 1
    assert "its ids are b.wav; samples are a, b" in capsys.readouterr().err
    (folder / "sample_1" / "speech.wav").write_bytes(b"no audio")
    texts.write_text(f'id,transcript\nb,"{SAID}"\n', encoding="utf-8")
    assert run("--transcripts", str(texts), "--signals", "clean") == 1
    assert "nothing could be recognised" in capsys.readouterr().err
    assert (folder / "metrics" / "recognition.csv").read_bytes() == before
    texts.write_text("name,text\n", encoding="utf-8")
    assert run("--transcripts", str(texts)) == 1
    assert "lacks the column 'id'" in capsys.readouterr().err


def test_wrong_recognisers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, message in (
        ("ear", "recogniser must be one of moonshine, pocketsphinx, whisper, wav2vec2; got 'ear'"),
        ("whisper", "expected whisper:PATH; got 'whisper'"),
        ("moonshine:x", "expected moonshine; got 'moonshine:x'"),
        (f"whisper:{folder}", "no speech recogniser can be loaded from"),
    ):
        assert run("--recogniser", name) == 1
        assert message in capsys.readouterr().err
    for options, status in ((["--help"], 0), ([], 2)):
        with pytest.raises(SystemExit) as stop:
            recognise.main(options)
        assert stop.value.code == status


def test_level() -> None:
    signal = np.random.default_rng(0).normal(0, 1e-4, 8000).astype(np.float32)
    assert np.sqrt(np.mean(levelled(signal) ** 2)) == pytest.approx(0.1, rel=1e-3)
    signal[0] = 1.0  # a click: the peak decides
    assert np.abs(levelled(signal)).max() == pytest.approx(0.99)
    assert not levelled(np.zeros(5, np.float32)).any()


def _wav2vec2(folder: Path) -> None:
    """Save a CTC network of some random weights, as `save_pretrained` leaves large ones."""
    transformers = pytest.importorskip("transformers")
    (folder / "vocab.json").write_text(
        json.dumps({token: n for n, token in enumerate(["<pad>", "<unk>", "|", *"ABCDEFGH'"])})
    )
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=16000, do_normalize=True)
    transformers.Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    config = transformers.Wav2Vec2Config(
        vocab_size=12,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)


def _whisper(folder: Path) -> None:
    """Likewise an encoder and decoder with a byte-level vocabulary."""
    transformers = pytest.importorskip("transformers")
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = {letter: n for n, letter in enumerate(sorted(ByteLevel.alphabet()))}
    stamps = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    stamps += [f"<|{n * 0.02:.2f}|>" for n in range(1501)]
    for token in ("<|endoftext|>", *stamps):
        tokens[token] = len(tokens)
    tokenizer = transformers.WhisperTokenizer(vocab=tokens, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": stamps})
    extractor = transformers.WhisperFeatureExtractor(feature_size=8)
    transformers.WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    special = {token: tokenizer.convert_tokens_to_ids(token) for token in stamps}
    start, end = special["<|startoftranscript|>"], tokenizer.eos_token_id
    config = transformers.WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=8,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        max_target_positions=32,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    network = transformers.WhisperForConditionalGeneration(config)
    network.save_pretrained(folder)
    transformers.GenerationConfig(
        max_length=20,
        decoder_start_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
        no_timestamps_token_id=special["<|notimestamps|>"],
        lang_to_id={"<|en|>": special["<|en|>"]},
        task_to_id={"transcribe": special["<|transcribe|>"]},
        is_multilingual=True,
    ).save_pretrained(folder)


@pytest.mark.parametrize(("kind", "save"), [("wav2vec2", _wav2vec2), ("whisper", _whisper)])
def test_models_of_transformers_load_from_a_folder(
    tmp_path: Path, kind: str, save, clip: np.ndarray
) -> None:
    """Random weights say nothing; that they say it twice alike shows the path from file to text."""
    save(tmp_path)
    name = f"{kind}:{tmp_path}"
    first, second = build_recogniser(name), build_recogniser(name)
    assert isinstance(first(clip), str)
    assert first(clip) == second(clip)
    before = recognisers.identity(name)
    (tmp_path / "config.json").write_text((tmp_path / "config.json").read_text() + " ")
    recognisers._fingerprint.cache_clear()
    assert recognisers.identity(name) != before
