"""Save model, optimizer and trainer, and continue from the file of an epoch in a new run."""

import torch
from ignite.engine import Events, create_supervised_trainer
from ignite.handlers import Checkpoint, DiskSaver, global_step_from_engine
from torch import nn

# See docs/differences.md: a run of a checkpoint fires RESUMED instead of STARTED, and continues at the exact position
# in the data, so it meets the end of the data that the first run would have met.
IGNORED_EVENTS = ["STARTED", "DATALOADER_STOP_ITERATION"]


def build():
    torch.manual_seed(11)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    return model, optimizer, create_supervised_trainer(model, optimizer, nn.functional.mse_loss)


def main(folder):
    torch.manual_seed(12)
    data = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(3)]
    model, optimizer, trainer = build()
    saver = DiskSaver(folder / "run", create_dir=True)
    objects = {"model": model, "optimizer": optimizer, "trainer": trainer}
    checkpoint = Checkpoint(objects, saver, n_saved=None, global_step_transform=global_step_from_engine(trainer))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, checkpoint)
    trainer.run(data, max_epochs=4)
    whole = {name: value.clone() for name, value in model.state_dict().items()}

    model, optimizer, trainer = build()
    losses = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output))
    file = folder / "run" / "checkpoint_2.pt"
    objects = {"model": model, "optimizer": optimizer, "trainer": trainer}
    Checkpoint.load_objects(to_load=objects, checkpoint=str(file))
    trainer.run(data, max_epochs=4)
    again = [trainer.state.epoch, trainer.state.iteration]
    return {"whole": whole, "resumed": model.state_dict(), "losses": losses, "again": again}
