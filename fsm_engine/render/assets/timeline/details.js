/* The details of an item of the chart, or of a moment. */

/** The details of an item, or of a moment, as pairs of a name and a text. */
function detailsOf({ track, time, lane, place, count }, curves, wall) {
  const details = [];
  const [start, end] = lane ? [lane.starts[place], lane.ends[place]] : [time, time];
  const move = lane && !["handler", "wait"].includes(lane.role) ? lane.refs[place] : track.moveAt(time);
  if (lane) details.push(["took", duration(end - start)]);
  details.push([lane ? "began" : "at", moment(start, lane ? Math.max((end - start) / 100, 1) : 1) || "0"]);
  if (move >= 0) {
    const { epoch, iteration } = track.countersOf(move);
    details.push(["epoch", NUMBER.format(epoch)], ["iteration", NUMBER.format(iteration)]);
  }
  if (lane?.role === "handler") {
    const handler = track.handlers[track.called[lane.refs[place]]];
    details.push(["on", handler.event], ["defined", handler.place]);
    if (track.raised[lane.refs[place]]) details.push(["ended", "raised"]);
  }
  if (lane?.role === "wait") {
    const wait = lane.refs[place];
    details.push(["in", causeOf(track, wait)], ["known from", track.measured[wait] ? "the recorded call" : "the visits of all ranks"]);
  }
  for (const curve of curves) {
    const number = curve.at(lane ? end : time);
    if (number !== undefined) details.push([curve.name, value(number)]);
  }
  if (wall !== null) details.push(["clock", new Date(wall + start / 1e6).toLocaleString(undefined, { hour12: false })]);
  if (count > 1) details.push(["here", `${NUMBER.format(count)} items in this pixel: zoom in`]);
  return details;
}

/** The name of an item. */
function titleOf({ track, lane, place, time }) {
  if (!lane) {
    const move = track.moveAt(time);
    return move < 0 ? "no phase" : lastOf(track.phaseOf(move));
  }
  if (lane.role === "handler") return track.handlers[track.called[lane.refs[place]]].name;
  if (lane.role === "wait") return "wait for other ranks";
  return namesOf(track, lane, place)[0];
}

function definitionList(pairs) {
  return make("dl", { class: "facts" }, pairs.map(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
}

/** The phase of an item, or of a moment; "" outside all phases. */
function phaseAt({ track, time, lane, place }) {
  const move = lane && !["handler", "scope", "wait"].includes(lane.role) ? lane.refs[place] : track.moveAt(time);
  return move < 0 ? "" : track.phaseOf(move);
}
