// `deflate` as the browser has it.

/** Bytes of `text` in UTF-8 after deflate, without a header; null where the browser has none. */
export async function deflatedBytes(text) {
  if (typeof CompressionStream === "undefined") return null;
  let stream;
  try {
    stream = new CompressionStream("deflate-raw");
  } catch {
    return null; // an older browser knows CompressionStream, but not this format
  }
  const packed = new Blob([text]).stream().pipeThrough(stream);
  return (await new Response(packed).arrayBuffer()).byteLength;
}
