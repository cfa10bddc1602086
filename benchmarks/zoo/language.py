"""Language models with a few thousand parameters, causal, masked and from text to text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .architecture import VOCABULARY, Architecture

TOKENS: Mapping[str, str] = MappingProxyType({"input_ids": "tokens"})
TWO_TEXTS: Mapping[str, str] = MappingProxyType({"input_ids": "tokens", "decoder_input_ids": "tokens"})
SPECIAL: Mapping[str, Any] = MappingProxyType({"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2})
SHARED: Mapping[str, Any] = MappingProxyType(
    {
        "vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 16, **SPECIAL,
    }
)  # fmt: skip
"""What most configurations call alike."""


def causal(name: str, model: str, **settings: Any) -> Architecture:
    """A model of the next token, named as most are."""
    return Architecture(name, model, TOKENS, {**SHARED, "use_cache": False, **settings})


def masked(name: str, model: str, **settings: Any) -> Architecture:
    """A model of left-out tokens, named as most are."""
    return Architecture(name, model, TOKENS, {**SHARED, **settings})


def like_gpt2(name: str, model: str, **settings: Any) -> Architecture:
    """A model of the next token whose configuration has the names of GPT-2's."""
    sizes = {"vocab_size": VOCABULARY, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return Architecture(name, model, TOKENS, {**sizes, **SPECIAL, "use_cache": False, **settings})


def other(name: str, model: str, **settings: Any) -> Architecture:
    """A model of tokens whose configuration has names of its own."""
    return Architecture(name, model, TOKENS, {"vocab_size": VOCABULARY, **SPECIAL, **settings})


def state_space(name: str, model: str, **settings: Any) -> Architecture:
    """A model with a state that goes from token to token."""
    return other(name, model, hidden_size=8, num_hidden_layers=2, use_cache=False, **settings)


def like_t5(name: str, **settings: Any) -> Architecture:
    """A model of T5's family."""
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "relative_attention_num_buckets": 8}
    return Architecture(
        name, "T5ForConditionalGeneration", TWO_TEXTS,
        {"vocab_size": VOCABULARY, **SPECIAL, **sizes, "use_cache": False, **settings},
    )  # fmt: skip


BART: Mapping[str, Any] = MappingProxyType(
    {
        "vocab_size": VOCABULARY, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 24, "encoder_attention_heads": 2, "decoder_attention_heads": 2, **SPECIAL,
        "decoder_start_token_id": 1, "use_cache": False,
    }
)  # fmt: skip
"""The configuration of BART and of what is named after it."""

GROUPED: Mapping[str, Any] = MappingProxyType({"num_key_value_heads": 1, "head_dim": 8})
GEMMA: Mapping[str, Any] = MappingProxyType({**GROUPED, "sliding_window": 3, "query_pre_attn_scalar": 8})
DEBERTA: Mapping[str, Any] = MappingProxyType({"relative_attention": True, "pos_att_type": ["c2p", "p2c"]})

LANGUAGE = (
    like_gpt2("GPT-2", "GPT2LMHeadModel"),
    like_gpt2("GPT-J", "GPTJForCausalLM", rotary_dim=4),
    causal(
        "GPT-Neo", "GPTNeoForCausalLM", num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]],
        window_size=3,
    ),
    causal("GPT-NeoX", "GPTNeoXForCausalLM"),
    like_gpt2("GPT-BigCode", "GPTBigCodeForCausalLM"),
    like_gpt2("CodeGen", "CodeGenForCausalLM", n_head=4, rotary_dim=2),
    causal("OPT", "OPTForCausalLM", ffn_dim=24, word_embed_proj_dim=16),
    causal("BLOOM", "BloomForCausalLM", n_layer=2, n_head=2),
    causal("Falcon", "FalconForCausalLM"),
    other(
        "MPT", "MptForCausalLM", d_model=16, n_layers=2, n_heads=2, max_seq_len=16, expansion_ratio=2, use_cache=False
    ),
    causal("Llama", "LlamaForCausalLM", num_key_value_heads=1),
    causal("Mistral", "MistralForCausalLM", **GROUPED, sliding_window=3),
    causal("Qwen 2", "Qwen2ForCausalLM", num_key_value_heads=1),
    causal("Qwen 3", "Qwen3ForCausalLM", **GROUPED),
    causal("Gemma", "GemmaForCausalLM", **GROUPED),
    causal("Gemma 2", "Gemma2ForCausalLM", **GEMMA),
    causal("Gemma 3", "Gemma3ForCausalLM", **GEMMA),
    causal("Phi", "PhiForCausalLM"),
    causal("Phi-3", "Phi3ForCausalLM", num_key_value_heads=1),
    causal("OLMo", "OlmoForCausalLM"),
    causal("OLMo 2", "Olmo2ForCausalLM"),
    causal("Cohere", "CohereForCausalLM", num_key_value_heads=1, use_qk_norm=True),
    causal("StableLM", "StableLmForCausalLM", num_key_value_heads=1),
    causal("StarCoder 2", "Starcoder2ForCausalLM", num_key_value_heads=1, sliding_window=3),
    causal("Granite", "GraniteForCausalLM", num_key_value_heads=1),
    causal("SmolLM 3", "SmolLM3ForCausalLM", num_key_value_heads=1),
    causal("GLM", "GlmForCausalLM", **GROUPED),
    causal("Nemotron", "NemotronForCausalLM", **GROUPED),
    state_space("Mamba", "MambaForCausalLM", state_size=4, time_step_rank=2),
    state_space("Mamba 2", "Mamba2ForCausalLM", state_size=4, num_heads=4, head_dim=4, n_groups=1, chunk_size=4),
    state_space("RWKV", "RwkvForCausalLM", attention_hidden_size=8, intermediate_size=16, context_length=16),
    other("XLNet", "XLNetLMHeadModel", d_model=16, n_layer=2, n_head=2, d_inner=24),
    masked("BERT", "BertForMaskedLM"),
    masked("RoBERTa", "RobertaForMaskedLM"),
    other(
        "DistilBERT", "DistilBertForMaskedLM", max_position_embeddings=16, n_layers=2, n_heads=2, dim=16, hidden_dim=24
    ),
    masked("ALBERT", "AlbertForMaskedLM", embedding_size=8),
    masked("ELECTRA", "ElectraForMaskedLM", embedding_size=8),
    masked("MPNet", "MPNetForMaskedLM"),
    masked("DeBERTa", "DebertaForMaskedLM", **DEBERTA),
    masked("DeBERTa 2", "DebertaV2ForMaskedLM", **DEBERTA, position_buckets=4),
    masked("ModernBERT", "ModernBertForMaskedLM", local_attention=4),
    masked("RoFormer", "RoFormerForMaskedLM", embedding_size=16),
    masked("SqueezeBERT", "SqueezeBertForMaskedLM", embedding_size=16),
    masked(
        "MobileBERT", "MobileBertForMaskedLM", embedding_size=8, true_hidden_size=8, intra_bottleneck_size=8,
        num_feedforward_networks=2,
    ),
    masked("Nyströmformer", "NystromformerForMaskedLM", num_landmarks=5, segment_means_seq_len=5),
    masked("ESM", "EsmForMaskedLM", position_embedding_type="rotary", mask_token_id=3),
    like_t5("T5"),
    like_t5("T5 1.1", feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    Architecture("BART", "BartForConditionalGeneration", TWO_TEXTS, {**BART, "max_position_embeddings": 16}),
    Architecture("Pegasus", "PegasusForConditionalGeneration", TWO_TEXTS, {**BART, "max_position_embeddings": 16}),
)  # fmt: skip
"""The language models of the zoo."""
