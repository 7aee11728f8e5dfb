/* What an engine had done at a moment: its phase, its counters, and how often each kind of move was taken. */

const TRAIL = 12; // moves that are lit behind the current phase while a run goes on

/**
 * Return the state of an engine at a time; at the end for null.
 *
 * Counts before the kept moves are known, because the server sends the counts of all moves. Moves that are missing among
 * the kept ones are counted as if they came before them.
 */
function momentOf(records, time) {
  const times = records.moves.column(0);
  const numbers = records.moves.column(1);
  const move = time === null ? times.length - 1 : indexAbove(times, time) - 1;
  const atEnd = move === times.length - 1;
  const taken = atEnd ? records.taken : takenUntil(records, numbers, move);
  const kind = move >= 0 ? records.kind(numbers[move]) : NO_MOVE;
  const next = Math.min(move + 1, times.length - 1);
  const countOf = (name, column) =>
    !records.counters.includes(name) ? null : atEnd ? records.state[name] : records.moves.column(column)[next];
  return {
    move,
    atEnd,
    taken,
    kind,
    phase: (atEnd && records.phase) || kind.target || firstPhase(records, numbers, move),
    since: move >= 0 ? times[move] : null,
    epoch: countOf("epoch", 2),
    iteration: countOf("iteration", 3),
    visits: visitsOf(records.kinds, taken),
    trail: Array.from(numbers.subarray(Math.max(move - TRAIL + 1, 0), move + 1), (number) => records.kind(number)),
  };
}

function takenUntil(records, numbers, move) {
  const taken = records.kinds.map((_, number) => records.taken[number] ?? 0);
  for (let after = move + 1; after < numbers.length; after++) if (numbers[after] !== MISSING) taken[numbers[after]]--;
  return taken;
}

/** The phase at a moment after a move that is missing, or before the first move. */
function firstPhase(records, numbers, move) {
  for (let after = move + 1; after < numbers.length; after++) if (numbers[after] !== MISSING) return records.kind(numbers[after]).source;
  return records.phases[0]?.id ?? null;
}

function visitsOf(kinds, taken) {
  const visits = new Map();
  kinds.forEach((kind, number) => {
    if (kind.isTransition) visits.set(kind.target, (visits.get(kind.target) ?? 0) + (taken[number] ?? 0));
  });
  return visits;
}

/** The calls of each handler up to a time: their number, their total time and the number of errors. */
function callsOf(records, time) {
  const calls = records.handlers.map((_, number) => [...(records.calls[number] ?? [0, 0, 0])]);
  if (time === null) return calls;
  const [starts, durations, handlers, raised] = [0, 1, 2, 3].map((column) => records.spans.column(column));
  for (let at = starts.length - 1; at >= 0; at--) {
    const call = calls[handlers[at]];
    if (starts[at] + durations[at] <= time || !call) continue;
    call[0]--;
    call[1] -= durations[at];
    call[2] -= raised[at] ? 1 : 0;
  }
  return calls;
}

/** The time in each phase over the kept moves, by the id of the phase: the number of visits and their total time. */
function phaseTimes(records) {
  const [times, numbers] = [records.moves.column(0), records.moves.column(1)];
  const spent = new Map();
  for (let move = 0; move + 1 < times.length; move++) {
    const kind = records.kind(numbers[move]);
    if (!kind.startsVisit || numbers[move + 1] === MISSING || records.kind(numbers[move + 1]).startsRun) continue;
    const one = spent.get(kind.target) ?? { count: 0, total: 0 };
    one.count++;
    one.total += times[move + 1] - times[move];
    spent.set(kind.target, one);
  }
  return spent;
}

/** The text for the position of a phase in a run, such as "epoch 3 of 10". */
function ofTotal(name, number, total) {
  if (number === null || number === undefined) return "";
  return `${name} ${NUMBER.format(number)}${total ? ` of ${NUMBER.format(total)}` : ""}`;
}
