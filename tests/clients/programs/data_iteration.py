"""Data of unknown length, epochs shorter and longer than the data, new data in the middle, and no data."""

from ignite.engine import Engine, Events


def engine_with_log(log):
    engine = Engine(lambda engine, batch: log.append((engine.state.epoch, engine.state.iteration, batch)))
    engine.add_event_handler(Events.DATALOADER_STOP_ITERATION, lambda engine: log.append("stop"))
    return engine


def finite(count):
    yield from range(count)


def main(folder):
    log = []
    engine_with_log(log).run(finite(4))
    unknown = engine_with_log(log)
    unknown.add_event_handler(
        Events.DATALOADER_STOP_ITERATION, lambda engine: setattr(engine.state, "dataloader", finite(4))
    )
    unknown.run(finite(4), max_epochs=3)
    engine_with_log(log).run([1, 2, 3], max_epochs=3, epoch_length=2)
    engine_with_log(log).run([1, 2, 3], max_epochs=2, epoch_length=5)
    engine_with_log(log).run(max_epochs=2, epoch_length=2)
    engine_with_log(log).run([1, 2, 3], max_iters=5)
    changing = engine_with_log(log)

    @changing.on(Events.ITERATION_COMPLETED(once=3))
    def other_data(engine):
        engine.set_data([10, 20])

    changing.run([1, 2, 3, 4], max_epochs=2)
    return log
