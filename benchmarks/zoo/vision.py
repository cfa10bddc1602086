"""Models of pictures with a few thousand parameters, transformers and convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .architecture import SIDE, Architecture

PICTURE: Mapping[str, str] = MappingProxyType({"pixel_values": "picture"})
SHARED: Mapping[str, Any] = MappingProxyType(
    {
        "image_size": SIDE, "patch_size": 16, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
)  # fmt: skip
"""What most transformers of pictures call alike."""


def patches(name: str, model: str, output: str = "logits", **settings: Any) -> Architecture:
    """A transformer whose tokens are a picture's patches, named as most are."""
    return Architecture(name, model, PICTURE, {**SHARED, **settings}, output)


def stages(name: str, model: str, **settings: Any) -> Architecture:
    """A model that makes the picture smaller from stage to stage."""
    return Architecture(name, model, PICTURE, settings)


TWO: Mapping[str, Any] = MappingProxyType({"hidden_sizes": [8, 12], "depths": [1, 1]})
STEM: Mapping[str, Any] = MappingProxyType({"embedding_size": 4, **TWO})
PYRAMID: Mapping[str, Any] = MappingProxyType(
    {"num_encoder_blocks": 2, **TWO, "strides": [4, 2], "num_attention_heads": [1, 2], "mlp_ratios": [2, 2]}
)
OVERLAPPING: Mapping[str, Any] = MappingProxyType({**PYRAMID, "sr_ratios": [2, 1], "patch_sizes": [7, 3]})
WINDOWS: Mapping[str, Any] = MappingProxyType(
    {
        "image_size": SIDE, "patch_size": 4, "embed_dim": 8, "depths": [1, 2], "num_heads": [1, 2], "window_size": 4,
        "mlp_ratio": 2.0,
    }
)  # fmt: skip
NARROW: Mapping[str, Any] = MappingProxyType({"image_size": SIDE, "depth_multiplier": 0.02, "min_depth": 2})

VISION = (
    patches("ViT", "ViTForImageClassification"),
    patches("DeiT", "DeiTForImageClassification"),
    patches("BEiT", "BeitForImageClassification", use_relative_position_bias=True),
    patches("DINOv2", "Dinov2ForImageClassification", mlp_ratio=2),
    patches("DINOv3", "DINOv3ViTModel", "pooler_output"),
    patches("SigLIP", "SiglipVisionModel", "pooler_output"),
    patches(
        "DPT", "DPTForSemanticSegmentation", num_labels=3, num_hidden_layers=4, backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[4, 4, 4, 4], reassemble_factors=[4, 2, 1, 0.5], fusion_hidden_size=4, is_hybrid=False,
    ),
    stages("Swin", "SwinForImageClassification", **WINDOWS),
    stages("Swin 2", "Swinv2ForImageClassification", **WINDOWS),
    stages("ConvNeXt", "ConvNextForImageClassification", num_stages=2, **TWO),
    stages("ConvNeXt 2", "ConvNextV2ForImageClassification", num_stages=2, **TWO),
    stages("ResNet", "ResNetForImageClassification", **STEM),
    stages("ResNet, basic blocks", "ResNetForImageClassification", **STEM, layer_type="basic"),
    stages("RegNet", "RegNetForImageClassification", **STEM, groups_width=4),
    stages(
        "BiT", "BitForImageClassification", embedding_size=8, hidden_sizes=[16, 24], depths=[1, 1], num_groups=4
    ),
    stages("MobileNet 1", "MobileNetV1ForImageClassification", **NARROW),
    stages(
        "MobileNet 2", "MobileNetV2ForImageClassification", **NARROW, depth_divisible_by=2, finegrained_output=False
    ),
    stages(
        "EfficientNet", "EfficientNetForImageClassification", image_size=SIDE, width_coefficient=0.0125,
        depth_coefficient=0.1, depth_divisor=2, hidden_dim=16, num_block_repeats=[1, 1], kernel_sizes=[3, 5],
        in_channels=[32, 640], out_channels=[640, 640], strides=[1, 2], expand_ratios=[1, 2], depthwise_padding=[],
    ),
    stages(
        "MobileViT", "MobileViTForImageClassification", image_size=SIDE, hidden_sizes=[8, 8, 8],
        neck_hidden_sizes=[4, 4, 6, 6, 8, 8, 8], num_attention_heads=2, mlp_ratio=2.0, patch_size=2, output_stride=8,
    ),
    stages(
        "MobileViT 2", "MobileViTV2ForImageClassification", image_size=SIDE, width_multiplier=0.0625,
        ffn_multiplier=2, n_attn_blocks=[1, 1, 1], output_stride=8, base_attn_unit_dims=[8, 8, 8],
    ),
    stages("SegFormer", "SegformerForSemanticSegmentation", **OVERLAPPING, decoder_hidden_size=8),
    stages(
        "PoolFormer", "PoolFormerForImageClassification", num_encoder_blocks=2, **TWO, patch_sizes=[7, 3],
        strides=[4, 2], padding=[2, 1], mlp_ratio=2.0,
    ),
    stages(
        "CvT", "CvtForImageClassification", embed_dim=[4, 8, 8], num_heads=[1, 2, 2], depth=[1, 2, 3],
        mlp_ratio=[2.0, 2.0, 2.0],
    ),
    stages(
        "PVT", "PvtForImageClassification", image_size=SIDE, **PYRAMID, sequence_reduction_ratios=[2, 1],
        patch_sizes=[4, 2], num_labels=3,
    ),
    stages("PVT 2", "PvtV2ForImageClassification", image_size=SIDE, **OVERLAPPING),
    stages(
        "LeViT", "LevitForImageClassification", image_size=SIDE, hidden_sizes=[16, 16, 16],
        num_attention_heads=[1, 1, 1], depths=[1, 1, 1], key_dim=[4, 4, 4], attention_ratio=[2, 2, 2],
        mlp_ratio=[2, 2, 2],
    ),
    stages(
        "FocalNet", "FocalNetForImageClassification", image_size=SIDE, embed_dim=8, **TWO, focal_levels=[2, 2],
        focal_windows=[3, 3], mlp_ratio=2.0,
    ),
    stages(
        "SwiftFormer", "SwiftFormerForImageClassification", image_size=SIDE, depths=[1, 1, 1, 1],
        embed_dims=[4, 4, 8, 8], mlp_ratio=2,
    ),
    stages(
        "Hiera", "HieraForImageClassification", image_size=[SIDE, SIDE], embed_dim=8, depths=[1, 1], num_heads=[1, 2],
        mlp_ratio=2.0, num_query_pool=1, patch_stride=[4, 4], masked_unit_size=[4, 4], query_stride=[2, 2],
        masked_unit_attention=[True, False],
    ),
)  # fmt: skip
"""The models of pictures of the zoo."""
