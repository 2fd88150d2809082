"""Token-by-token decoding of Llama-type models (Llama, Qwen2) with a hand-written key-value cache.

The block is computed directly on the model's weights: root-mean-square norms are folded into the projection that
follows, query, key and value share one matrix product, and so do gate and up. A prompt is encoded once for its group of
``k`` rollouts, and its keys and values are stored once: attention to the prompt is one matrix product per group,
attention to the completion one per row, so the prompt is read from memory once and not ``k`` times.

Shapes: ``G`` groups (prompts), ``k`` rows a group, ``H`` heads, ``J`` key-value heads, ``r = H / J``, ``h`` head size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

ROPE_TYPES = ("default", "linear", "llama3")  # those whose frequencies do not change with the length
BLOCK = 64  # the completion cache grows in steps of so many tokens


def why_unsupported(model: PreTrainedModel) -> str | None:
    """The reason why :class:`GroupDecoder` cannot compute this model, or ``None`` if it can."""
    config = model.config
    if type(model).__name__ not in ("LlamaForCausalLM", "Qwen2ForCausalLM"):
        return f"architecture {type(model).__name__}"
    rope = getattr(model.model.rotary_emb, "rope_type", None)
    if rope not in ROPE_TYPES:
        return f"rope type {rope!r}"
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        return "sliding-window attention"
    if config.hidden_act not in ("silu", "swish"):
        return f"activation {config.hidden_act!r}"
    attention = model.model.layers[0].self_attn
    if not all(type(getattr(attention, name)) is torch.nn.Linear for name in ("q_proj", "k_proj", "v_proj", "o_proj")):
        return "adapted or quantised projections"
    return None


@dataclass(frozen=True)
class _Layer:
    """Weights of one block, transposed for ``x @ weight``, with the norms folded in."""

    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    out_bias: Tensor | None
    gate_up: Tensor
    gate_up_bias: Tensor | None
    down: Tensor
    down_bias: Tensor | None


def _fold(projections: list[torch.nn.Linear], norm: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Matrix (in, out) and bias of projections that read the same input, scaled by the norm's weight."""
    weight = torch.cat([projection.weight.detach() for projection in projections])
    if norm is not None:
        weight = weight * norm.detach()
    biases = [projection.bias for projection in projections]
    bias = None if biases[0] is None else torch.cat([b.detach() for b in biases]).to(dtype)
    return weight.to(dtype).t().contiguous(), bias


def _layer(block: torch.nn.Module, dtype: torch.dtype) -> _Layer:
    attention, mlp = block.self_attn, block.mlp
    qkv = _fold([attention.q_proj, attention.k_proj, attention.v_proj], block.input_layernorm.weight, dtype)
    gate_up = _fold([mlp.gate_proj, mlp.up_proj], block.post_attention_layernorm.weight, dtype)
    return _Layer(*qkv, *_fold([attention.o_proj], None, dtype), *gate_up, *_fold([mlp.down_proj], None, dtype))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x @ weight if bias is None else torch.addmm(bias, x, weight)


class GroupDecoder:
    """Decodes ``k`` rows for each of ``G`` prompts; ``prefill`` first, then ``step`` once per token.

    ``keep`` drops finished rows. Logits are ``(G * k, V)`` in float32, rows in prompt-major order.
    """

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype | None = None) -> None:
        """Read the weights of ``model`` (they are copied: make a new decoder after an update)."""
        reason = why_unsupported(model)
        if reason is not None:
            raise ValueError(f"model cannot be decoded directly: {reason}; use bi.training.sampler.sample")
        config, body = model.config, model.model
        self.dtype = dtype or model.dtype
        self.eps = float(config.rms_norm_eps)
        self.heads, self.kv_heads = int(config.num_attention_heads), int(config.num_key_value_heads)
        self.head_dim = int(body.layers[0].self_attn.head_dim)
        self.scale = float(body.layers[0].self_attn.scaling)
        self.embedding = body.embed_tokens.weight.detach().to(self.dtype)
        self.layers = [_layer(block, self.dtype) for block in body.layers]
        self.head, self.head_bias = _fold([model.lm_head], body.norm.weight, self.dtype)
        self.frequencies = body.rotary_emb.inv_freq.float()
        self.rope_scale = float(body.rotary_emb.attention_scaling)

    def prefill(self, prompts: list[list[int]], k: int) -> Tensor:
        """Encode ``G`` prompts once and open a cache for ``k`` rows each; logits of the first token, ``(G, V)``."""
        device = self.embedding.device
        self.lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        width, self.rows, self.written = max(map(len, prompts)), k, 0
        ids = torch.tensor([prompt + [0] * (width - len(prompt)) for prompt in prompts], device=device)
        cos, sin = self._rotation(torch.arange(width, device=device)[:, None])
        self.prompt_cache: list[tuple[Tensor, Tensor]] = []
        x = self.embedding[ids].view(-1, self.embedding.shape[1])
        for layer in self.layers:
            x = self._prompt_layer(layer, x, len(prompts), cos, sin)
        last = x.view(len(prompts), width, -1)[torch.arange(len(prompts), device=device), self.lengths - 1]
        blank = torch.arange(width, device=device) >= self.lengths[:, None]
        ragged = bool(blank.any())
        self.mask = torch.zeros(blank.shape, dtype=self.dtype, device=device).masked_fill_(blank, float("-inf"))
        self.mask = self.mask[:, None, None, :] if ragged else None
        self.cache = [self._empty(len(prompts), BLOCK) for _ in self.layers]
        return self._logits(last)

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to every row, ``(G * k,)``, and return the logits of the next, ``(G * k, V)``."""
        groups = self.lengths.shape[0]
        if self.written == self.cache[0][0].shape[3]:
            self._grow(groups)
        cos, sin = self._rotation((self.lengths + self.written).repeat_interleave(self.rows)[:, None])
        x = self.embedding[tokens]
        for index, layer in enumerate(self.layers):
            x = self._token_layer(layer, index, x, groups, cos, sin)
        self.written += 1
        return self._logits(x)

    def keep(self, groups: Tensor, rows: Tensor) -> None:
        """Keep the listed groups ``(G',)`` and, in each, the listed rows ``(G', k')``; repeated rows are padding."""
        self.lengths = self.lengths[groups]
        self.mask = self.mask[groups] if self.mask is not None else None
        self.prompt_cache = [(keys[groups], values[groups]) for keys, values in self.prompt_cache]
        heads = torch.arange(self.kv_heads, device=groups.device)[None, :, None]
        index = (groups[:, None, None], heads, rows[:, None, :])
        capacity = -(-(self.written + 1) // BLOCK) * BLOCK
        self.rows = rows.shape[1]
        self.cache = [(self._copy(keys[index], capacity), self._copy(values[index], capacity))
                      for keys, values in self.cache]

    def _rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and signed sine ``(N, 1, h)`` at ``positions`` ``(N, 1)``, for ``x * cos + swap_halves(x) * sin``."""
        angles = positions.float() * self.frequencies
        cos, sin = angles.cos() * self.rope_scale, angles.sin() * self.rope_scale
        return (torch.cat((cos, cos), -1)[:, None].to(self.dtype), torch.cat((-sin, sin), -1)[:, None].to(self.dtype))

    def _normed(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).to(self.dtype)

    def _project(self, layer: _Layer, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries ``(N, H, h)``, rotated keys and values ``(N, J, h)`` of ``x`` ``(N, D)``."""
        joint = _linear(self._normed(x), layer.qkv, layer.qkv_bias).view(x.shape[0], -1, self.head_dim)
        turning = joint[:, :self.heads + self.kv_heads]
        turned = torch.addcmul(turning * cos, turning.roll(self.head_dim // 2, -1), sin)
        return turned[:, :self.heads], turned[:, self.heads:], joint[:, self.heads + self.kv_heads:]

    def _finish(self, layer: _Layer, x: Tensor, attended: Tensor) -> Tensor:
        x = x + _linear(attended, layer.out, layer.out_bias)
        gate, up = _linear(self._normed(x), layer.gate_up, layer.gate_up_bias).chunk(2, -1)
        return x + _linear(F.silu(gate) * up, layer.down, layer.down_bias)

    def _prompt_layer(self, layer: _Layer, x: Tensor, groups: int, cos: Tensor, sin: Tensor) -> Tensor:
        cos, sin = cos.repeat(groups, 1, 1), sin.repeat(groups, 1, 1)
        query, key, value = (part.view(groups, -1, part.shape[1], self.head_dim).transpose(1, 2).contiguous()
                             for part in self._project(layer, x, cos, sin))
        self.prompt_cache.append((key, value))
        # Padding stands to the right of each prompt, so causal attention alone keeps it out.
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=self.scale, enable_gqa=True)
        return self._finish(layer, x, mixed.transpose(1, 2).reshape(x.shape[0], -1))

    def _token_layer(self, layer: _Layer, index: int, x: Tensor, groups: int, cos: Tensor, sin: Tensor) -> Tensor:
        query, key, value = self._project(layer, x, cos, sin)
        k, kv, ratio, size, end = self.rows, self.kv_heads, self.heads // self.kv_heads, self.head_dim, self.written + 1
        own_keys, own_values = self.cache[index]
        own_keys[:, :, :, self.written] = key.reshape(groups, k, kv, size).transpose(1, 2)
        own_values[:, :, :, self.written] = value.reshape(groups, k, kv, size).transpose(1, 2)
        query = (query.reshape(groups, k, kv, ratio, size).transpose(1, 2) * self.scale).contiguous()
        keys, values = self.prompt_cache[index]
        width = keys.shape[2]
        before = torch.matmul(query.view(groups, kv, k * ratio, size), keys.transpose(2, 3))
        if self.mask is not None:
            before += self.mask
        after = torch.bmm(query.view(-1, ratio, size), own_keys.flatten(0, 2)[:, :end].transpose(1, 2))
        scores = torch.cat((before.view(-1, ratio, width), after), -1)
        weights = scores.softmax(-1, dtype=torch.float32).to(self.dtype)
        mixed = torch.bmm(weights[..., width:], own_values.flatten(0, 2)[:, :end]).view(groups, kv, k, ratio, size)
        mixed += torch.matmul(weights.view(groups, kv, k * ratio, -1)[..., :width], values).view_as(mixed)
        return self._finish(layer, x, mixed.transpose(1, 2).reshape(x.shape[0], -1))

    def _logits(self, x: Tensor) -> Tensor:
        return _linear(self._normed(x), self.head, self.head_bias).float()

    def _empty(self, groups: int, capacity: int) -> tuple[Tensor, Tensor]:
        shape = (groups, self.kv_heads, self.rows, capacity, self.head_dim)
        return (torch.empty(shape, dtype=self.dtype, device=self.embedding.device),
                torch.empty(shape, dtype=self.dtype, device=self.embedding.device))

    def _copy(self, old: Tensor, capacity: int) -> Tensor:
        new = old.new_empty((*old.shape[:3], capacity, self.head_dim))
        new[:, :, :, :self.written] = old[:, :, :, :self.written]
        return new

    def _grow(self, groups: int) -> None:
        capacity = self.written + max(BLOCK, self.written // 2)
        self.cache = [(self._copy(keys, capacity), self._copy(values, capacity)) for keys, values in self.cache]
