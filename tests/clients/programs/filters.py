"""Filters of events, lists of events, handlers with arguments, and handles."""

from ignite.engine import Engine, Events


def main(folder):
    log = []
    engine = Engine(lambda engine, batch: batch)

    def note(engine, name, unit=""):
        log.append((name, engine.state.epoch, engine.state.iteration, unit))

    engine.add_event_handler(Events.ITERATION_COMPLETED(every=3), note, "every")
    engine.add_event_handler(Events.ITERATION_STARTED(once=[2, 5]), note, "once", unit="it")
    engine.add_event_handler(Events.ITERATION_COMPLETED(before=3), note, "before")
    engine.add_event_handler(Events.ITERATION_COMPLETED(after=6, before=9), note, "between")
    engine.add_event_handler(Events.ITERATION_COMPLETED(every=2, after=3), note, "every after")
    engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=lambda engine, epoch: epoch % 2 == 0), note, "even")
    events = Events.STARTED | Events.EPOCH_STARTED(every=2) | Events.COMPLETED
    engine.add_event_handler(events, note, "list")
    handle = engine.add_event_handler(Events.GET_BATCH_COMPLETED, note, "batch")
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: handle.remove())

    @engine.on(Events.EPOCH_STARTED | Events.EPOCH_COMPLETED)
    def without_engine():
        log.append("no engine")

    with engine.add_event_handler(Events.ITERATION_STARTED, lambda engine: note(engine, "inside")):
        engine.run([1, 2], max_epochs=2)
    engine.run([1, 2], max_epochs=5)
    return {
        "log": log,
        "has": [engine.has_event_handler(note), engine.has_event_handler(without_engine, Events.STARTED)],
    }
