"""Train a GAN with one step for both networks, checkpoints of several objects, and running averages."""

import torch
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, DiskSaver, Timer
from ignite.metrics import RunningAverage
from torch import nn

REAL, FAKE = 1.0, 0.0


def main(folder):
    torch.manual_seed(2)
    generator = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    discriminator = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    opt_g = torch.optim.Adam(generator.parameters(), lr=0.01, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=0.01, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    data = list(torch.randn(40, 3).split(8))

    def step(engine, real):
        discriminator.zero_grad()
        d_real = criterion(discriminator(real), torch.full((len(real), 1), REAL))
        noise = torch.randn(len(real), 2)
        fake = generator(noise)
        d_fake = criterion(discriminator(fake.detach()), torch.full((len(real), 1), FAKE))
        (d_real + d_fake).backward()
        opt_d.step()
        generator.zero_grad()
        g_loss = criterion(discriminator(fake), torch.full((len(real), 1), REAL))
        g_loss.backward()
        opt_g.step()
        return {"errD": (d_real + d_fake).item(), "errG": g_loss.item()}

    trainer = Engine(step)
    names = ["errD", "errG"]
    for name in names:
        RunningAverage(alpha=0.9, output_transform=lambda output, name=name: output[name]).attach(trainer, name)
    to_save = {"netG": generator, "netD": discriminator, "optimG": opt_g, "trainer": trainer}
    saver = DiskSaver(str(folder / "checkpoints"), create_dir=True, require_empty=False)
    checkpoint = Checkpoint(to_save, saver, n_saved=2, filename_prefix="networks")
    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=3), checkpoint)
    timer = Timer(average=True)
    timer.attach(
        trainer, resume=Events.ITERATION_STARTED, pause=Events.ITERATION_COMPLETED, step=Events.ITERATION_COMPLETED
    )
    lines = []

    @trainer.on(Events.EPOCH_COMPLETED)
    def log(engine):
        lines.append([engine.state.metrics[name] for name in names])
        assert timer.value() > 0

    trainer.run(data, max_epochs=3)
    return {"lines": lines, "g": generator.state_dict(), "d": discriminator.state_dict()}
