/* What was recorded, out of the text that holds it: see `packed.py`. */

/** Give the bytes of a text in base 64 that were compressed. */
async function unpacked(text) {
  const letters = atob(text);
  const packed = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) packed[at] = letters.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Give the columns one after the other. */
function* columns(bytes, shapes) {
  let at = 0;
  for (const [count, width] of shapes) {
    const planes = Array.from({ length: width || 8 }, (_, place) => bytes.subarray(at + place * count, at + (place + 1) * count));
    yield width ? added(planes, count) : floats(planes, count);
    at += count * planes.length;
  }
}

/** The numbers whose differences these are, byte by byte. */
function added(planes, count) {
  const numbers = new Float64Array(count);
  const top = planes.length - 1;
  let last = 0;
  for (let at = 0; at < count; at++) {
    let difference = (planes[top][at] << 24) >> 24;
    for (let place = top - 1; place >= 0; place--) difference = difference * 256 + planes[place][at];
    numbers[at] = last += difference;
  }
  return numbers;
}

function floats(planes, count) {
  const bytes = new Uint8Array(count * 8);
  planes.forEach((plane, place) => {
    for (let at = 0; at < count; at++) bytes[at * 8 + place] = plane[at];
  });
  const view = new DataView(bytes.buffer);
  return Float64Array.from({ length: count }, (_, at) => view.getFloat64(at * 8, true));
}
