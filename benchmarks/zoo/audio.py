"""Models of sound, and of texts beside pictures, with a few thousand parameters."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from . import language, vision
from .architecture import BANDS, FRAMES, VOCABULARY, Architecture

SOUND: Mapping[str, str] = MappingProxyType({"input_values": "sound"})
LISTENER: Mapping[str, Any] = MappingProxyType(
    {
        **language.SHARED, "conv_dim": [8, 8], "conv_kernel": [10, 3], "conv_stride": [5, 4],
        "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
    }
)  # fmt: skip
"""The configuration of wav2vec 2.0 and of what is named after it."""


def listener(name: str, model: str, **settings: Any) -> Architecture:
    """A transformer on convolutions of a sound."""
    return Architecture(name, model, SOUND, {**LISTENER, **settings})


def writer(name: str, model: str, features: str, **settings: Any) -> Architecture:
    """A model from a spectrogram to text."""
    inputs = {"input_features": features, "decoder_input_ids": "tokens"}
    return Architecture(name, model, inputs, {**language.BART, "max_target_positions": 16, **settings})


def coder(name: str, model: str, **settings: Any) -> Architecture:
    """Encoder and decoder of a codec; the choice of a code between them has no gradient."""
    return Architecture(name, model, {"input_values": "channel"}, settings, parts=("encoder", "decoder"))


AUDIO = (
    listener("wav2vec 2.0", "Wav2Vec2ForCTC"),
    listener("wav2vec 2.0, layer norm", "Wav2Vec2ForCTC", do_stable_layer_norm=True, feat_extract_norm="layer"),
    listener("HuBERT", "HubertForCTC"),
    listener("WavLM", "WavLMForCTC", num_buckets=8),
    listener("UniSpeech", "UniSpeechForCTC"),
    listener("data2vec audio", "Data2VecAudioForCTC", num_conv_pos_embeddings=2, conv_pos_kernel_size=3),
    listener("SEW", "SEWForCTC", squeeze_factor=2),
    writer(
        "Whisper", "WhisperForConditionalGeneration", "spectrogram", num_mel_bins=BANDS,
        max_source_positions=FRAMES // 2,
    ),
    writer(
        "Speech2Text", "Speech2TextForConditionalGeneration", "frames", input_feat_per_channel=BANDS,
        num_conv_layers=2, conv_channels=8, conv_kernel_sizes=[3, 3], max_source_positions=16, pad_token_id=1,
    ),
    Architecture(
        "AST", "ASTForAudioClassification", {"input_values": "frames"},
        {
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
            "patch_size": 4, "frequency_stride": 2, "time_stride": 2, "max_length": FRAMES, "num_mel_bins": BANDS,
        },
    ),
    coder("DAC", "DacModel", encoder_hidden_size=4, downsampling_ratios=[2, 2], decoder_hidden_size=8, codebook_size=8),
    Architecture(
        "CLIP", "CLIPModel", {"input_ids": "tokens", "pixel_values": "picture"},
        {
            "text_config": {**language.SHARED, "vocab_size": VOCABULARY, "projection_dim": 8},
            "vision_config": {**vision.SHARED, "projection_dim": 8}, "projection_dim": 8,
        },
        "logits_per_text",
    ),
)  # fmt: skip
"""The models of sound of the zoo, and CLIP."""
