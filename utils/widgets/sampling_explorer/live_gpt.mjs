// The course's model in plain JavaScript: a Llama-style forward pass with a KV cache, one token at a time.
// It repeats utils/gpt.py; tests hold the two equal. Weights come as safetensors in transformers' layout, in
// float32, float16 or int8 with one scale a row (utils/widgets/live_weights.py writes the latter).

const half = (bits) => {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return exponent === 31
    ? (fraction ? NaN : sign * Infinity)
    : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
};

/** The tensors of a safetensors file as `{shape, data: Float32Array}` by name, and its `metadata`. */
export function readSafetensors(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const { __metadata__: metadata = {}, ...header } = JSON.parse(
    new TextDecoder().decode(new Uint8Array(buffer, 8, size)),
  );
  const part = ([from, to]) => buffer.slice(8 + size + from, 8 + size + to); // a copy, since offsets need not be aligned
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name.endsWith(".scale")) continue;
    const bytes = part(offsets);
    if (dtype === "F32") tensors[name] = { shape, data: new Float32Array(bytes) };
    else if (dtype === "F16") {
      tensors[name] = { shape, data: Float32Array.from(new Uint16Array(bytes), half) };
    } else if (dtype === "I8") {
      const scale = new Float32Array(part(header[`${name}.scale`].data_offsets)),
        q = new Int8Array(bytes),
        columns = shape[1];
      const data = new Float32Array(q.length); // widened once: an int8 product is no faster in JavaScript
      for (let row = 0, i = 0; row < shape[0]; row++) {
        for (let c = 0; c < columns; c++, i++) data[i] = q[i] * scale[row];
      }
      tensors[name] = { shape, data };
    } else throw new Error(`${name}: dtype must be one of F32, F16, I8, got ${dtype}`);
  }
  return { metadata, tensors };
}

/** out[r] = W[r, :] · x, or += with `add`. Four sums at a time let the processor overlap them. */
function product(W, x, out, add = false) {
  const n = x.length, whole = n - (n % 4);
  for (let r = 0, i = 0; r < out.length; r++) {
    let a = 0, b = 0, c = 0, d = 0, k = 0;
    for (; k < whole; k += 4, i += 4) {
      a += W[i] * x[k];
      b += W[i + 1] * x[k + 1];
      c += W[i + 2] * x[k + 2];
      d += W[i + 3] * x[k + 3];
    }
    for (; k < n; k++, i++) a += W[i] * x[k];
    out[r] = (add ? out[r] : 0) + (a + b) + (c + d);
  }
}

function rmsNorm(x, weight, eps, out) {
  let square = 0;
  for (let i = 0; i < x.length; i++) square += x[i] * x[i];
  const scale = 1 / Math.sqrt(square / x.length + eps);
  for (let i = 0; i < x.length; i++) out[i] = x[i] * scale * weight[i];
}

export class LiveGPT {
  /** `config`: config.json of a Llama in transformers' layout; `tensors`: what `readSafetensors` returns. */
  constructor(config, tensors) {
    if (config.model_type !== "llama") {
      throw new Error(`model_type must be "llama", got ${config.model_type}`);
    }
    const d = config.hidden_size,
      heads = config.num_attention_heads,
      groups = config.num_key_value_heads,
      D = d / heads;
    this.vocabSize = config.vocab_size;
    this.contextLength = config.max_position_embeddings;
    this.c = { d, heads, groups, D, eps: config.rms_norm_eps, layers: config.num_hidden_layers };
    const weight = (name) => {
      if (!tensors[name]) throw new Error(`the weights lack ${name}`);
      return tensors[name].data;
    };
    this.embedding = weight("model.embed_tokens.weight");
    this.head = config.tie_word_embeddings ? this.embedding : weight("lm_head.weight");
    this.norm = weight("model.norm.weight");
    this.blocks = Array.from({ length: this.c.layers }, (_, i) => {
      const part = (name) => weight(`model.layers.${i}.${name}.weight`);
      return {
        norm1: part("input_layernorm"),
        norm2: part("post_attention_layernorm"),
        q: part("self_attn.q_proj"),
        k: part("self_attn.k_proj"),
        v: part("self_attn.v_proj"),
        o: part("self_attn.o_proj"),
        gate: part("mlp.gate_proj"),
        up: part("mlp.up_proj"),
        down: part("mlp.down_proj"),
        keys: new Float32Array(this.contextLength * groups * D),
        values: new Float32Array(this.contextLength * groups * D),
      };
    });
    const theta = config.rope_parameters?.rope_theta ?? config.rope_theta ?? 10000;
    this.rates = Float32Array.from({ length: D / 2 }, (_, i) => theta ** ((-2 * i) / D));
    const [x, h, q, y, f, g] = [d, d, d, d, config.intermediate_size, config.intermediate_size].map(
      (n) => new Float32Array(n),
    );
    Object.assign(this, {
      x,
      h,
      q,
      y,
      f,
      g,
      scores: new Float32Array(this.contextLength),
      logits: new Float32Array(this.vocabSize),
    });
    this.length = 0; // positions in the cache
  }

  reset() {
    this.length = 0;
  }

  /** Feed token `id`. Returns the next token's logits in an array that the next call reuses, or null if not `wanted`. */
  step(id, wanted = true) {
    if (this.length >= this.contextLength) {
      throw new Error(`the context holds ${this.contextLength} tokens`);
    }
    const { x, h, c } = this;
    x.set(this.embedding.subarray(id * c.d, (id + 1) * c.d));
    for (const block of this.blocks) {
      this.#attention(block);
      rmsNorm(x, block.norm2, c.eps, h);
      product(block.gate, h, this.f);
      product(block.up, h, this.g);
      for (let i = 0; i < this.f.length; i++) {
        this.f[i] = (this.f[i] / (1 + Math.exp(-this.f[i]))) * this.g[i]; // SwiGLU
      }
      product(block.down, this.f, x, true);
    }
    this.length++;
    if (!wanted) return null;
    rmsNorm(x, this.norm, c.eps, h);
    product(this.head, h, this.logits);
    return this.logits;
  }

  /** Turn the pair (i, i + D/2) of each head in `vector` by this position's angles. */
  #rotate(vector, heads) {
    const { D } = this.c;
    for (let i = 0; i < D / 2; i++) {
      const angle = this.length * this.rates[i], cos = Math.cos(angle), sin = Math.sin(angle);
      for (let head = 0; head < heads; head++) {
        const a = head * D + i, b = a + D / 2, left = vector[a], right = vector[b];
        vector[a] = left * cos - right * sin;
        vector[b] = right * cos + left * sin;
      }
    }
  }

  #attention(block) {
    const { x, h, q, y, scores, length: now } = this,
      { D, heads, groups, eps } = this.c,
      width = groups * D;
    rmsNorm(x, block.norm1, eps, h);
    const key = block.keys.subarray(now * width, (now + 1) * width);
    product(block.q, h, q);
    product(block.k, h, key);
    product(block.v, h, block.values.subarray(now * width, (now + 1) * width));
    this.#rotate(q, heads);
    this.#rotate(key, groups);
    y.fill(0);
    for (let head = 0; head < heads; head++) {
      const own = head * D, shared = Math.floor((head * groups) / heads) * D;
      let largest = -Infinity, sum = 0;
      for (let t = 0; t <= now; t++) {
        let score = 0;
        for (let i = 0; i < D; i++) score += q[own + i] * block.keys[t * width + shared + i];
        scores[t] = score / Math.sqrt(D);
        if (scores[t] > largest) largest = scores[t];
      }
      for (let t = 0; t <= now; t++) sum += scores[t] = Math.exp(scores[t] - largest);
      for (let t = 0; t <= now; t++) {
        const share = scores[t] / sum;
        for (let i = 0; i < D; i++) y[own + i] += share * block.values[t * width + shared + i];
      }
    }
    product(block.o, y, x, true);
  }
}
