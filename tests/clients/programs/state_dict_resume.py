"""Resume an engine from its own state dict, by epochs and by iterations, with user keys."""

from ignite.engine import Engine, Events


def engine_with_alpha(alpha):
    engine = Engine(lambda engine, batch: batch)
    engine.state_dict_user_keys.append("alpha")
    engine.state.alpha = alpha
    return engine


def double(engine):
    engine.state.alpha *= 2


def save_and_resume(limits):
    trainer, saved, seen = engine_with_alpha(0.1), [], []
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda engine: saved.append(engine.state_dict()))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, double)
    trainer.run([1, 2, 3], **limits)
    other = engine_with_alpha(None)
    other.load_state_dict(saved[0])

    @other.on(Events.ITERATION_COMPLETED)
    def note(engine):
        seen.append((engine.state.epoch, engine.state.output))

    other.run([1, 2, 3])
    return dict(saved[0]), seen, other.state.alpha, dict(other.state_dict())


def main(folder):
    return [save_and_resume(limits) for limits in ({"max_epochs": 4}, {"max_iters": 10})]
