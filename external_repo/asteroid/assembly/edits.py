"""Edits that repair upstream Asteroid 0.7.0 on today's stack.

Each names one passage of one upstream file. The passage must occur exactly once, otherwise the
build stops and says which edit no longer fits. Larger changes are whole files of ours instead.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EDITS", "Edit"]


class Edit(NamedTuple):
    """Replace ``old`` by ``new`` in the upstream file ``path``, because of ``why``."""

    path: str
    old: str
    new: str
    why: str


EDITS: tuple[Edit, ...] = (
    Edit(
        "asteroid/masknn/recurrent.py",
        "DCCRMaskNetRNN(np.prod(last_encoder_out_shape))",
        "DCCRMaskNetRNN(int(np.prod(last_encoder_out_shape)))",
        "numpy 2 returns np.int64, which nn.LSTM refuses: DCCRNet could not be built",
    ),
    Edit(
        "asteroid/models/base_models.py",
        "torch_version=torch.__version__,",
        "torch_version=str(torch.__version__),",
        "a TorchVersion object in the package makes torch.load(weights_only=True) refuse it",
    ),
    Edit(
        "asteroid/models/base_models.py",
        '            conf = torch.load(cached_model, map_location="cpu")',
        "            with torch.serialization.safe_globals([torch.torch_version.TorchVersion]):\n"
        '                conf = torch.load(cached_model, map_location="cpu", weights_only=True)',
        "packages saved by older releases hold a TorchVersion: allow that one class, nothing else",
    ),
    Edit(
        "asteroid/models/publisher.py",
        "    model = torch.load(model_path)",
        "    with torch.serialization.safe_globals([torch.torch_version.TorchVersion]):\n"
        "        model = torch.load(model_path, weights_only=True)",
        "as in base_models.py",
    ),
    Edit(
        "asteroid/scripts/asteroid_cli.py",
        '        conf = torch.load(filename, map_location="cpu")',
        "        with torch.serialization.safe_globals([torch.torch_version.TorchVersion]):\n"
        '            conf = torch.load(filename, map_location="cpu", weights_only=True)',
        "as in base_models.py",
    ),
    Edit(
        "asteroid/data/avspeech_dataset.py",
        "import re\nimport librosa\n",
        "import re\n",
        "librosa is not a dependency: one dataset must not stop the import of asteroid.data",
    ),
    Edit(
        "asteroid/data/avspeech_dataset.py",
        "        self.audio, _ = librosa.load(self.audio_path.as_posix(), sr=sr)",
        "        import librosa\n\n"
        "        self.audio, _ = librosa.load(self.audio_path.as_posix(), sr=sr)",
        "librosa is imported where it is used",
    ),
    Edit(
        "asteroid/data/avspeech_dataset.py",
        '        mixed_signal, _ = librosa.load(row.loc["mixed_audio"], sr=16_000)',
        "        import librosa\n\n"
        '        mixed_signal, _ = librosa.load(row.loc["mixed_audio"], sr=16_000)',
        "librosa is imported where it is used",
    ),
    Edit(
        "asteroid/data/librimix_dataset.py",
        'start = random.randint(0, row["length"] - self.seg_len)',
        'start = random.randint(0, int(row["length"]) - self.seg_len)',
        "random.randint refuses numpy integers",
    ),
    Edit(
        "asteroid/engine/system.py",
        "        if hp_metric is not None:",
        "        if hp_metric is not None and self.trainer.logger is not None:",
        "Trainer(logger=False) died at the end of the first validation",
    ),
    Edit(
        "asteroid/engine/system.py",
        "        return self.val_loader\n",
        "        return [] if self.val_loader is None else self.val_loader\n",
        "val_loader=None, the default, is refused by Lightning 2",
    ),
    Edit(
        "asteroid/engine/system.py",
        "                dic[k] = torch.tensor(v)",
        "                dic[k] = str(v) if any(isinstance(e, str) for e in v) else torch.tensor(v)",
        "a list of strings in the configuration could not become a tensor",
    ),
    Edit(
        "asteroid/engine/optimizers.py",
        "import Adam, RMSprop, SGD, Adadelta, Adagrad, Adamax, AdamW, ASGD",
        "import Adam, RAdam, RMSprop, SGD, Adadelta, Adagrad, Adamax, AdamW, ASGD",
        "RAdam moved from torch_optimizer (gone in 0.3) to torch",
    ),
    Edit(
        "asteroid/engine/optimizers.py",
        "    QHM,\n    RAdam,\n",
        "    QHM,\n",
        "RAdam moved from torch_optimizer (gone in 0.3) to torch",
    ),
    Edit(
        "asteroid/separate.py",
        "    # FIXME: for now this is the best we can do.\n"
        "    out_wavs *= wav.abs().sum() / (out_wavs.abs().sum())\n",
        "",
        "rescaling to the input's level divides by zero on silence and hides gain errors",
    ),
    Edit(
        "asteroid/separate.py",
        "    if wav.shape[-1] > 1:\n"
        "        warnings.warn(\n"
        '            f"Received multichannel signal with {wav.shape[-1]} signals, "\n'
        '            f"using the first channel only."\n'
        "        )\n"
        "    # FIXME: support only single-channel files for now.\n",
        "    if model.in_channels == 1 and wav.shape[-1] > 1:\n"
        "        warnings.warn(\n"
        '            f"{filename} has {wav.shape[-1]} channels, the model takes one: using the first."\n'
        "        )\n"
        "        wav = wav[:, :1]\n",
        "all channels went into one-channel models in spite of the warning",
    ),
    Edit(
        "asteroid/separate.py",
        "wav = _resample(wav[:, 0], orig_sr=fs, target_sr=int(model.sample_rate))[:, None]",
        "wav = _resample(wav.T.copy(), orig_sr=fs, target_sr=int(model.sample_rate)).T",
        "resampling kept one microphone of a multichannel file",
    ),
    Edit(
        "asteroid/masknn/tac.py",
        "            mics_mean = output.mean(1)",
        "            mics_mean = output.mean(3)",
        "the fixed-geometry path averaged over chunk positions instead of microphones",
    ),
    Edit(
        "asteroid/masknn/tac.py",
        '    """Transform-Average-Concatenate inter-microphone-channel',
        '    r"""Transform-Average-Concatenate inter-microphone-channel',
        "the docstring holds backslashes",
    ),
    Edit(
        "asteroid/masknn/tac.py",
        '        """\n        Args:\n            x: (:class:`torch.Tensor`): Input multi-channel',
        '        r"""\n        Args:\n            x: (:class:`torch.Tensor`): Input multi-channel',
        "the docstring holds backslashes",
    ),
    Edit(
        "asteroid/losses/sdr.py",
        "        self.EPS = 1e-8\n\n    def forward(self, est_target, target):",
        "        self.EPS = EPS\n\n    def forward(self, est_target, target):",
        "the EPS argument was ignored",
    ),
    Edit(
        "asteroid/losses/sdr.py",
        "        self.EPS = 1e-8\n\n    def forward(self, est_targets, targets):",
        "        self.EPS = EPS\n\n    def forward(self, est_targets, targets):",
        "the EPS argument was ignored",
    ),
    Edit(
        "asteroid/losses/__init__.py",
        "try:\n"
        "    from .stoi import NegSTOILoss as SingleSrcNegSTOI\n"
        "except ModuleNotFoundError:\n"
        "    # Is installed with asteroid, but remove the deps for TorchHub.\n"
        "    def f():\n"
        "        raise ModuleNotFoundError(\"No module named 'torch_stoi'\")\n\n"
        "    SingleSrcNegSTOI = lambda *a, **kw: f()\n",
        "def __getattr__(name):\n"
        '    if name != "SingleSrcNegSTOI":\n'
        '        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")\n'
        "    from asteroid.utils.optional import needed_for\n\n"
        "    with needed_for(name):\n"
        "        from .stoi import NegSTOILoss\n"
        "    return NegSTOILoss\n",
        "torch_stoi takes a second to import, and a torchaudio built for another torch stops it",
    ),
    Edit(
        "asteroid/losses/__init__.py",
        '    "SingleSrcMultiScaleSpectral",\n]',
        '    "SingleSrcMultiScaleSpectral",\n]\n\n'
        "from . import catalogue, sum_loss\nfrom .catalogue import *\nfrom .sum_loss import *\n\n"
        "__all__ += catalogue.__all__ + sum_loss.__all__",
        "the project's losses are reached like upstream's",
    ),
    Edit(
        "asteroid/dsp/overlap_add.py",
        "            if frame_idx != 0 and self.reorder_chunks:\n"
        "                # we determine best perm based on xcorr with previous sources\n"
        "                frame = _reorder_sources("
        "frame, out[-1], n_src, self.window_size, self.hop_size)\n",
        "            if frame_idx != 0 and self.reorder_chunks:\n"
        "                frame = _reorder_sources("
        "frame, previous, n_src, self.window_size, self.hop_size)\n"
        "            previous = frame\n",
        "the order was sought against a windowed frame, as if windowing did not matter",
    ),
    Edit(
        "asteroid/models/x_umx.py",
        "class XUMX(BaseModel):\n"
        "    def __init__(self, *args, **kwargs):\n"
        "        raise RuntimeError(\n"
        '            "XUMX is broken in torch 2.0, use torch<2.0 with asteroid<0.7 to use it until '
        "it's fixed.\"\n"
        "        )\n\n\n"
        "class BrokenXUMX(BaseModel):",
        "class XUMX(BaseModel):",
        "the class had been switched off instead of repaired",
    ),
    Edit(
        "asteroid/models/x_umx.py",
        "            return_complex=False,\n        )\n",
        "            return_complex=True,\n        )\n        stft_f = torch.view_as_real(stft_f)\n",
        "torch.stft returns complex spectra only",
    ),
    Edit(
        "asteroid/models/x_umx.py",
        "            x, n_fft=self.n_fft, hop_length=self.hop_length, window=self.window, "
        "center=self.center\n",
        "            torch.view_as_complex(x),\n"
        "            n_fft=self.n_fft,\n"
        "            hop_length=self.hop_length,\n"
        "            window=self.window,\n"
        "            center=self.center,\n",
        "torch.istft takes complex spectra only",
    ),
    Edit(
        "asteroid/models/x_umx.py",
        '            "return_time_signals": False,',
        '            "return_time_signals": self._return_time_signals,',
        "a saved network forgot whether it returns signals",
    ),
    Edit(
        "asteroid/models/__init__.py",
        "    if (\n"
        "        custom_model.__name__ in globals().keys()\n"
        "        or custom_model.__name__.lower() in globals().keys()\n"
        "    ):\n",
        "    if isinstance(globals().get(custom_model.__name__), type):\n",
        "a submodule with a network's name in small letters (dccrn) was taken for a network",
    ),
    Edit(
        "asteroid/models/__init__.py",
        "        cls = to_get.get(identifier.lower())\n",
        "        exact = globals().get(identifier)\n"
        "        cls = exact if isinstance(exact, type) else to_get.get(identifier.lower())\n",
        "names that differ only in capitals (DCUnet, DCUNet) gave the same network",
    ),
    Edit(
        "asteroid/models/__init__.py",
        "        return cls\n"
        '    raise ValueError(f"Could not interpret model name : {str(identifier)}")\n',
        "        return cls\n"
        '    raise ValueError(f"Could not interpret model name : {str(identifier)}")\n\n\n'
        "from . import registration\nfrom .registration import *\n\n"
        "__all__ += registration.__all__\n",
        "the project's networks are registered, so that from_pretrained finds them",
    ),
)
