// The model in the page against torch, its tokenizer against `tokenizers`, its stop strings against
// Python's: test_live_model.py makes the fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { OFF } from "course:sampling/settings";
import { Tokenizer } from "../../../utils/widgets/sampling_explorer/bpe.mjs";
import { LiveGPT, readSafetensors } from "../../../utils/widgets/sampling_explorer/live_gpt.mjs";
import { StopScanner } from "../../../utils/widgets/sampling_explorer/stop_scanner.mjs";
import { Writer } from "../../../utils/widgets/sampling_explorer/writer.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const buffer = (path) => {
  const bytes = readFileSync(path);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
};
const tokenizer = new Tokenizer(fixture.tokenizer);
const load = ({ weights, config }) => new LiveGPT(config, readSafetensors(buffer(weights)).tensors);

test("encodes and decodes as the library does", () => {
  for (const { text, ids, decoded } of fixture.strings) {
    assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids), decoded, JSON.stringify(text));
  }
});

test("stop strings release what Python's scanner releases", () => {
  for (const { ids, stop, pieces, found, text } of fixture.scans) {
    const scanner = new StopScanner(stop), got = [];
    for (const id of ids) {
      got.push(scanner.push(tokenizer.bytes(id)));
      if (scanner.found !== null) break;
    }
    got.push(scanner.finish());
    assert.deepEqual(
      [got, scanner.found, scanner.text],
      [pieces, found, text],
      JSON.stringify({ ids, stop }),
    );
  }
});

test("what a stop string finds does not depend on where the tokens end", () => {
  const bytes = new TextEncoder().encode("is there 🙂 anyone?");
  let state = 1;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  for (
    const [stop, text, found] of [[["there", "he"], "is t", "he"], [
      ["e 🙂 a", "re 🙂 a", "xx"],
      "is the",
      "re 🙂 a",
    ], [["🙂", "here"], "is t", "here"]]
  ) {
    for (let round = 0; round < 100; round++) {
      const scanner = new StopScanner(stop);
      for (let at = 0, to; at < bytes.length && scanner.found === null; at = to) {
        to = at + 1 + Math.floor(random() * (round % 20));
        scanner.push(bytes.slice(at, to));
      }
      assert.deepEqual([scanner.text, scanner.found], [text, found]);
    }
  }
});

test("long runs are encoded in time that grows with their length", () => {
  const started = performance.now();
  const runs = [" ".repeat(50000), "a".repeat(50000), "🙂".repeat(12000), "あ".repeat(50000)];
  for (const text of runs) {
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }
  assert.ok(performance.now() - started < 20000); // squared it takes minutes
});

for (const model of fixture.exact) {
  test(`${model.name}: every logit equals torch's`, () => {
    const gpt = load(model), V = gpt.vocabSize, expected = new Float32Array(buffer(model.logits));
    for (const id of model.ids.slice(0, 3)) gpt.step(id, false);
    gpt.reset(); // must forget them
    model.ids.forEach((id, t) => {
      const logits = gpt.step(id);
      for (let i = 0; i < V; i++) {
        assert.ok(
          Math.abs(logits[i] - expected[t * V + i]) < 1e-4,
          `position ${t}, token ${i}: ${logits[i]} ${expected[t * V + i]}`,
        );
      }
    });
    if (gpt.length === gpt.contextLength) assert.throws(() => gpt.step(0), /the context holds/);
  });
}

test("the writer draws, replays, stops and fills the context", () => {
  const loaded = { gpt: load(fixture.exact.at(-1)), tokenizer, eos: 0 },
    s = { ...OFF, engine: "vllm", seed: 3, temperature: 0.8 };
  const write = (prompt, options, settings = s) => {
    const writer = new Writer(loaded, prompt, options);
    while (!writer.reason) writer.advance(settings);
    return writer;
  };
  const a = write("It was a", { maxTokens: 12 }), b = write("It was a", { maxTokens: 12 });
  assert.deepEqual(a.output, b.output);
  assert.equal(a.output.length, 12);
  assert.equal(a.tokens.at(-1).end, a.scanner.text.length);
  assert.notDeepEqual(write("It was a", { maxTokens: 12 }, { ...s, seed: 4 }).output, a.output);
  const end = a.scanner.text.slice(6, 9), cut = write("It was a", { maxTokens: 12, stop: [end] });
  assert.equal(cut.scanner.text, a.scanner.text.slice(0, a.scanner.text.indexOf(end)));
  assert.match(cut.reason, /^stopped before/);
  const after = cut.position(), logits = after.logits.slice();
  // The chart stands behind the whole output, stop string and all.
  assert.deepEqual(after.output_ids, cut.output);
  assert.equal(after.output, tokenizer.decode(cut.output));
  loaded.gpt.reset();
  for (const id of [...cut.prompt, ...cut.output]) loaded.gpt.step(id);
  assert.deepEqual(loaded.gpt.logits, logits);
  const greedy = write("It was a", { maxTokens: 2 }, { ...s, temperature: 0 });
  assert.equal(greedy.tokens[0].probability, 1);
  const full = write(fixture.long, { maxTokens: 255 });
  assert.equal(full.prompt.length + full.output.length, loaded.gpt.contextLength + 1);
  // The last token has no room.
  assert.deepEqual(full.position().output_ids, full.output.slice(0, -1));
  assert.match(full.reason, /context of 256 tokens is full/);
  assert.throws(() => new Writer(loaded, ""), /at least one token/);
  assert.throws(() => new Writer(loaded, "a ".repeat(300)), /at most 256 fit/);
  assert.throws(
    () => new Writer(loaded, "a \ud83d"),
    /^Error: The prompt must not hold half a char/,
  );
  for (const half of ["a\ufffd", "\ud83d"]) { // which would match within a 🙂
    assert.throws(
      () => write("a", { stop: ["b", half] }),
      /^Error: A stop string must not hold half/,
    );
  }
});
