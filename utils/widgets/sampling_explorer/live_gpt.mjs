// The course's model in plain JavaScript: a Llama-style forward pass with a KV cache, one token at
// a time. It repeats utils/models/gpt.py; tests hold the two equal. Weights come as safetensors in
// transformers' layout, in float32, float16 or int8 with one scale per row (live_weights.py writes
// the latter).

// ---- Weights

/** The number that the 16 bits of a float16 stand for. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The rows of int8 numbers, each times its scale. Widened once: an int8 product is no faster in
 * JavaScript.
 */
function widened(integers, scales, columns) {
  const data = new Float32Array(integers.length);
  let i = 0;
  for (const scale of scales) {
    for (let column = 0; column < columns; column++, i++) data[i] = integers[i] * scale;
  }
  return data;
}

/**
 * The tensors of a safetensors file as `{shape, data: Float32Array}` by name, and its `metadata`.
 */
export function readSafetensors(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const text = new TextDecoder().decode(new Uint8Array(buffer, 8, size));
  const { __metadata__: metadata = {}, ...header } = JSON.parse(text);
  const bytesOfTensor = (name) => { // a copy, since offsets need not be aligned
    const [from, to] = header[name].data_offsets;
    return buffer.slice(8 + size + from, 8 + size + to);
  };
  const tensors = {};
  for (const [name, { dtype, shape }] of Object.entries(header)) {
    if (name.endsWith(".scale")) continue; // read with its matrix
    const bytes = bytesOfTensor(name);
    let data;
    if (dtype === "F32") {
      data = new Float32Array(bytes);
    } else if (dtype === "F16") {
      data = Float32Array.from(new Uint16Array(bytes), half);
    } else if (dtype === "I8") {
      const scales = new Float32Array(bytesOfTensor(`${name}.scale`));
      data = widened(new Int8Array(bytes), scales, shape[1]);
    } else {
      throw new Error(`${name}: dtype must be one of F32, F16, I8, got ${dtype}`);
    }
    tensors[name] = { shape, data };
  }
  return { metadata, tensors };
}

// ---- Arithmetic

/** out[r] = W[r, :] · x, or += with `add`. Four sums at a time let the processor overlap them. */
function product(W, x, out, add = false) {
  const n = x.length;
  const whole = n - (n % 4);
  let i = 0; // in W, which lies row after row
  for (let r = 0; r < out.length; r++) {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    let k = 0;
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

/** out = x / its root mean square, times the gain `weight`. */
function rmsNorm(x, weight, eps, out) {
  let square = 0;
  for (let i = 0; i < x.length; i++) square += x[i] * x[i];
  const scale = 1 / Math.sqrt(square / x.length + eps);
  for (let i = 0; i < x.length; i++) out[i] = x[i] * scale * weight[i];
}

/** gate = SiLU(gate) · up: SwiGLU. */
function gated(gate, up) {
  for (let i = 0; i < gate.length; i++) {
    gate[i] = (gate[i] / (1 + Math.exp(-gate[i]))) * up[i];
  }
}

// ---- The model

export class LiveGPT {
  /**
   * `config`: config.json of a Llama in transformers' layout; `tensors`: what `readSafetensors`
   * returns.
   */
  constructor(config, tensors) {
    if (config.model_type !== "llama") {
      throw new Error(`model_type must be "llama", got ${config.model_type}`);
    }
    const d_model = config.hidden_size;
    const n_head = config.num_attention_heads;
    const n_kv_head = config.num_key_value_heads;
    const d_head = d_model / n_head;
    this.sizes = { d_model, n_head, n_kv_head, d_head };
    this.eps = config.rms_norm_eps;
    this.vocabSize = config.vocab_size;
    this.contextLength = config.max_position_embeddings;
    this.length = 0; // positions in the cache
    this.seen = null; // an array here gets the shares of attention, layer by layer, head by head

    const weight = (name) => {
      if (!tensors[name]) throw new Error(`the weights lack ${name}`);
      return tensors[name].data;
    };
    this.embedding = weight("model.embed_tokens.weight");
    this.head = config.tie_word_embeddings ? this.embedding : weight("lm_head.weight");
    this.norm = weight("model.norm.weight");
    const cacheSize = this.contextLength * n_kv_head * d_head;
    this.blocks = Array.from({ length: config.num_hidden_layers }, (_, i) => {
      const part = (name) => weight(`model.layers.${i}.${name}.weight`);
      return {
        attentionNorm: part("input_layernorm"),
        query: part("self_attn.q_proj"),
        key: part("self_attn.k_proj"),
        value: part("self_attn.v_proj"),
        output: part("self_attn.o_proj"),
        keys: new Float32Array(cacheSize), // the KV cache: one row per position
        values: new Float32Array(cacheSize),
        feedForwardNorm: part("post_attention_layernorm"),
        gate: part("mlp.gate_proj"),
        up: part("mlp.up_proj"),
        down: part("mlp.down_proj"),
      };
    });
    const theta = config.rope_parameters?.rope_theta ?? config.rope_theta ?? 10000;
    this.rates = Float32Array.from( // radians per position, one for each pair of a head
      { length: d_head / 2 },
      (_, i) => theta ** ((-2 * i) / d_head),
    );

    // Arrays that every token reuses.
    this.x = new Float32Array(d_model); // the residual stream
    this.normed = new Float32Array(d_model);
    this.queries = new Float32Array(d_model);
    this.mixed = new Float32Array(d_model); // what the heads have gathered
    this.gate = new Float32Array(config.intermediate_size);
    this.up = new Float32Array(config.intermediate_size);
    this.scores = new Float32Array(this.contextLength);
    this.logits = new Float32Array(this.vocabSize);
  }

  reset() {
    this.length = 0;
  }

  /**
   * Feed token `id`. Returns the next token's logits in an array that the next call reuses, or null
   * if not `wanted`.
   */
  step(id, wanted = true) {
    if (this.length >= this.contextLength) {
      throw new Error(`the context holds ${this.contextLength} tokens`);
    }
    const { d_model } = this.sizes;
    this.x.set(this.embedding.subarray(id * d_model, (id + 1) * d_model));
    for (const block of this.blocks) {
      this.#attention(block);
      this.#feedForward(block);
    }
    this.length++;
    if (!wanted) return null;
    rmsNorm(this.x, this.norm, this.eps, this.normed);
    product(this.head, this.normed, this.logits);
    return this.logits;
  }

  #feedForward(block) {
    rmsNorm(this.x, block.feedForwardNorm, this.eps, this.normed);
    product(block.gate, this.normed, this.gate);
    product(block.up, this.normed, this.up);
    gated(this.gate, this.up);
    product(block.down, this.gate, this.x, true);
  }

  #attention(block) {
    const { n_head, n_kv_head, d_head } = this.sizes;
    const width = n_kv_head * d_head; // of one position's keys, and of its values
    const from = this.length * width;
    const key = block.keys.subarray(from, from + width);
    const value = block.values.subarray(from, from + width);
    rmsNorm(this.x, block.attentionNorm, this.eps, this.normed);
    product(block.query, this.normed, this.queries);
    product(block.key, this.normed, key);
    product(block.value, this.normed, value);
    this.#rotate(this.queries, n_head);
    this.#rotate(key, n_kv_head);
    for (let head = 0; head < n_head; head++) {
      // The head whose keys and values it uses.
      const shared = Math.floor((head * n_kv_head) / n_head);
      this.#attend(block, head * d_head, shared * d_head, width);
    }
    product(block.output, this.mixed, this.x, true);
  }

  /** Turn the pair (i, i + d_head/2) of each head in `vector` by this position's angles. */
  #rotate(vector, heads) {
    const { d_head } = this.sizes;
    for (let i = 0; i < d_head / 2; i++) {
      const angle = this.length * this.rates[i];
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      for (let head = 0; head < heads; head++) {
        const a = head * d_head + i;
        const b = a + d_head / 2;
        const left = vector[a];
        const right = vector[b];
        vector[a] = left * cos - right * sin;
        vector[b] = right * cos + left * sin;
      }
    }
  }

  /** One head: softmax of query · key over all positions so far, and the values in these shares. */
  #attend(block, own, shared, width) {
    const { d_head } = this.sizes;
    const { queries, mixed, scores, length: now } = this;
    const { keys, values } = block;
    let largest = -Infinity;
    for (let t = 0; t <= now; t++) {
      let score = 0;
      for (let i = 0; i < d_head; i++) score += queries[own + i] * keys[t * width + shared + i];
      scores[t] = score / Math.sqrt(d_head);
      if (scores[t] > largest) largest = scores[t];
    }
    let sum = 0;
    for (let t = 0; t <= now; t++) {
      const weight = Math.exp(scores[t] - largest);
      scores[t] = weight;
      sum += weight;
    }
    this.seen?.push(scores.slice(0, now + 1).map((weight) => weight / sum));
    mixed.fill(0, own, own + d_head);
    for (let t = 0; t <= now; t++) {
      const share = scores[t] / sum;
      for (let i = 0; i < d_head; i++) mixed[own + i] += share * values[t * width + shared + i];
    }
  }
}
