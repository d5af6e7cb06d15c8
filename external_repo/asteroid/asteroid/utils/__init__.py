"""Helpers that know nothing of speech; nothing heavy is imported before it is used."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["deprecation_utils", "files", "hub_utils", "registry", "torch_utils"],
    submod_attrs={
        "generic_utils": [
            "average_arrays_in_dic",
            "flatten_dict",
            "get_wav_random_start_stop",
            "has_arg",
            "unet_decoder_args",
        ],
        "parser_utils": [
            "isfloat",
            "isint",
            "parse_args_as_dict",
            "prepare_parser_from_dict",
            "str2bool",
            "str2bool_arg",
            "str_int_float",
        ],
        "torch_utils": ["get_device", "tensors_to_device", "to_cuda"],
    },
)
