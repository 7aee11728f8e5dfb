/* Reads the packed columns; see `packed_columns.py` for their format. */

/** Return the bytes of a compressed text in base 64. */
async function decompress(text) {
  const letters = atob(text);
  const packed = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) packed[at] = letters.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Yield the columns. */
function* columns(bytes, shapes) {
  let at = 0;
  for (const [count, width] of shapes) {
    const planes = Array.from({ length: width || 8 }, (_, byte) => bytes.subarray(at + byte * count, at + (byte + 1) * count));
    yield width ? sumDifferences(planes, count) : readFloats(planes, count);
    at += count * planes.length;
  }
}

/** Return the numbers with these differences, which are stored byte by byte. */
function sumDifferences(planes, count) {
  const numbers = new Float64Array(count);
  const top = planes.length - 1;
  let last = 0;
  for (let at = 0; at < count; at++) {
    let difference = (planes[top][at] << 24) >> 24;
    for (let byte = top - 1; byte >= 0; byte--) difference = difference * 256 + planes[byte][at];
    numbers[at] = last += difference;
  }
  return numbers;
}

function readFloats(planes, count) {
  const bytes = new Uint8Array(count * 8);
  planes.forEach((plane, byte) => {
    for (let at = 0; at < count; at++) bytes[at * 8 + byte] = plane[at];
  });
  const view = new DataView(bytes.buffer);
  return Float64Array.from({ length: count }, (_, at) => view.getFloat64(at * 8, true));
}
