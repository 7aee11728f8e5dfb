"""Terminate runs and epochs, interrupt and resume, and run again."""

from ignite.engine import Engine, Events


def main(folder):
    results = []
    for event in (Events.ITERATION_COMPLETED(once=3), Events.EPOCH_STARTED(once=2), Events.ITERATION_STARTED(once=4)):
        engine = Engine(lambda engine, batch: batch)
        engine.add_event_handler(event, lambda engine: engine.terminate())
        state = engine.run([1, 2, 3], max_epochs=3)
        results.append((state.epoch, state.iteration, engine.should_terminate))
        state = engine.run([1, 2, 3], max_epochs=4)
        results.append((state.epoch, state.iteration, engine.should_terminate))
    engine = Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda engine: engine.terminate_epoch())
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=4), lambda engine: engine.interrupt())
    state = engine.run([1, 2, 3], max_epochs=3)
    results.append((state.epoch, state.iteration))
    state = engine.run()
    results.append((state.epoch, state.iteration))
    return results
