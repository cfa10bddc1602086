"""A two-layer GPT-2 and a two-layer Llama, built by hand of operations."""

import numpy as np

import reference as ref
from reference import Step
from reference import operations as ops

Parameters = dict[str, np.ndarray]


def heads_of(name: str, x: str, heads: int, size: int, shape: tuple[int, int]) -> list[Step]:
    """(B, T, H·E) to (B, H, T, E)."""
    return [
        Step(f"{name}.split", ops.reshape(shape=(*shape, heads, size)), x),
        Step(name, ops.transpose(1, 2), f"{name}.split"),
    ]


def joined(name: str, x: str, shape: tuple[int, int]) -> list[Step]:
    """(B, H, T, E) to (B, T, H·E)."""
    return [
        Step(f"{name}.turned", ops.transpose(1, 2), x),
        Step(name, ops.reshape(shape=(*shape, -1)), f"{name}.turned"),
    ]


def gpt2(
    layers: int = 2, width: int = 16, heads: int = 2, vocabulary: int = 40, shape: tuple[int, int] = (2, 8),
    seed: int = 0, dtype: type = np.float64,
) -> ref.Network:  # fmt: skip
    """Radford et al. 2019: learned positions, layer norm before each branch, tied embeddings; ids (B, T) to logits."""
    rng, p, steps = np.random.default_rng(seed), Parameters(), list[Step]()

    def new(name: str, *size: int, around: float = 0.0) -> str:
        p[name] = (around + rng.normal(size=size) / np.sqrt(size[-1])).astype(dtype)
        return name

    def norm(name: str, x: str) -> None:
        steps.append(Step(name, "layer_norm", x, new(f"{name}.weight", width, around=1), new(f"{name}.bias", width)))

    def linear(name: str, x: str, fan_in: int, fan_out: int) -> None:
        steps.append(Step(name, "linear", x, new(f"{name}.weight", fan_out, fan_in), new(f"{name}.bias", fan_out)))

    steps.append(Step("wte", "embedding", "ids", new("wte.weight", vocabulary, width)))
    steps.append(Step("h0", "add", "wte", new("wpe.weight", shape[1], width)))
    for l in range(layers):
        at = f"h.{l}"
        norm(f"{at}.ln_1", f"h{l}")
        linear(f"{at}.attn.c_attn", f"{at}.ln_1", width, 3 * width)
        steps.append(Step([f"{at}.{k}" for k in "qkv"], ops.split(width, dim=-1), f"{at}.attn.c_attn"))
        for k in "qkv":
            steps += heads_of(f"{at}.{k}.heads", f"{at}.{k}", heads, width // heads, shape)
        attention = ops.scaled_dot_product_attention(is_causal=True)
        steps.append(Step(f"{at}.attn", attention, *(f"{at}.{k}.heads" for k in "qkv")))
        steps += joined(f"{at}.attn.joined", f"{at}.attn", shape)
        linear(f"{at}.attn.c_proj", f"{at}.attn.joined", width, width)
        steps.append(Step(f"{at}.middle", "add", f"h{l}", f"{at}.attn.c_proj"))
        norm(f"{at}.ln_2", f"{at}.middle")
        linear(f"{at}.mlp.c_fc", f"{at}.ln_2", width, 4 * width)
        steps.append(Step(f"{at}.mlp.act", "gelu_tanh", f"{at}.mlp.c_fc"))
        linear(f"{at}.mlp.c_proj", f"{at}.mlp.act", 4 * width, width)
        steps.append(Step(f"h{l + 1}", "add", f"{at}.middle", f"{at}.mlp.c_proj"))
    norm("ln_f", f"h{layers}")
    steps.append(Step("logits", "linear", "ln_f", "wte.weight"))
    return ref.Network(p, steps, inputs=("ids",), output="logits")


def rotary_tables(length: int, size: int, dtype: type) -> Parameters:
    """cos and sin of position × 10000^(−2i/E), (T, E), both halves alike."""
    angles = np.arange(length)[:, None] * 10000.0 ** (-np.arange(0, size, 2) / size)
    twice = np.concatenate([angles, angles], axis=1)
    return {"cos": np.cos(twice).astype(dtype), "sin": np.sin(twice).astype(dtype)}


def llama(
    layers: int = 2, width: int = 16, heads: int = 4, groups: int = 2, vocabulary: int = 64,
    shape: tuple[int, int] = (2, 8), seed: int = 0, dtype: type = np.float64,
) -> ref.Network:  # fmt: skip
    """Touvron et al. 2023: RMS norm, rotary positions, grouped queries, SwiGLU; ids (B, T) to logits."""
    rng, p, steps, size = np.random.default_rng(seed), Parameters(), list[Step](), width // heads

    def new(name: str, *shape: int, around: float = 0.0) -> str:
        p[name] = (around + rng.normal(size=shape) / np.sqrt(shape[-1])).astype(dtype)
        return name

    def norm(name: str, x: str) -> None:
        steps.append(Step(name, ops.rms_norm(eps=1e-6), x, new(f"{name}.weight", width, around=1)))

    def linear(name: str, x: str, fan_in: int, fan_out: int) -> None:
        steps.append(Step(name, "linear", x, new(f"{name}.weight", fan_out, fan_in)))

    steps.append(Step("h0", "embedding", "ids", new("embed_tokens.weight", vocabulary, width)))
    for l in range(layers):
        at = f"layers.{l}"
        norm(f"{at}.input_layernorm", f"h{l}")
        for k, count in (("q", heads), ("k", groups), ("v", groups)):
            linear(f"{at}.{k}_proj", f"{at}.input_layernorm", width, count * size)
            steps += heads_of(f"{at}.{k}", f"{at}.{k}_proj", count, size, shape)
        for k in "qk":
            steps.append(Step(f"{at}.{k}.rotated", "rotary_embedding", f"{at}.{k}", "cos", "sin"))
        attention = ops.scaled_dot_product_attention(is_causal=True, enable_gqa=True)
        steps.append(Step(f"{at}.attn", attention, f"{at}.q.rotated", f"{at}.k.rotated", f"{at}.v"))
        steps += joined(f"{at}.attn.joined", f"{at}.attn", shape)
        linear(f"{at}.o_proj", f"{at}.attn.joined", width, width)
        steps.append(Step(f"{at}.middle", "add", f"h{l}", f"{at}.o_proj"))
        norm(f"{at}.post_attention_layernorm", f"{at}.middle")
        linear(f"{at}.gate_proj", f"{at}.post_attention_layernorm", width, 3 * width)
        linear(f"{at}.up_proj", f"{at}.post_attention_layernorm", width, 3 * width)
        steps.append(Step(f"{at}.gated", "swiglu", f"{at}.gate_proj", f"{at}.up_proj"))
        linear(f"{at}.down_proj", f"{at}.gated", 3 * width, width)
        steps.append(Step(f"h{l + 1}", "add", f"{at}.middle", f"{at}.down_proj"))
    norm("norm", f"h{layers}")
    linear("logits", "norm", width, vocabulary)
    constants = rotary_tables(shape[1], size, dtype)
    return ref.Network(p, steps, inputs=("ids",), output="logits", constants=constants)


def next_tokens(network: ref.Network, shape: tuple[int, int] = (2, 8), seed: int = 0) -> ref.Problem:
    """Cross-entropy over the tokens of random ids."""
    rng = np.random.default_rng(seed)
    vocabulary = next(iter(network.parameters.values())).shape[0]
    ids, target = rng.integers(0, vocabulary, shape), rng.integers(0, vocabulary, shape)
    return ref.Problem(network, ids, target, loss="cross_entropy")
