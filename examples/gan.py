"""A GAN: two networks, two phases, one iteration.

The iteration has no step. It goes from ITERATION_STARTED through D_STEP, which trains the discriminator, and G_STEP,
which trains the generator, and the engine walks it: each phase is a function. ``required=True`` takes the direct way
out, and ``require`` proves that no run ever trains the generator first. Run it with::

    python examples/gan.py

In less than a minute it learns to draw the 8x8 digit that it is asked for. A classifier that knows real digits only
says how many of the drawings can be read, and the drawings of one digit are compared with each other: a generator that
knows a single picture of each would be read well, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from digits import small_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.nn.functional import one_hot
from torch.utils.data import DataLoader

from fsm_engine import Engine, EventEnum, Events, Lifecycle, Transition

NOISE = 16


class GanEvents(EventEnum):
    """The phases of an iteration."""

    D_STEP = "d_step"
    G_STEP = "g_step"


def spread(images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return how much images of the same digit differ: the standard deviation of a pixel, averaged."""
    return torch.stack([images[labels == digit].std(dim=0).mean() for digit in range(10)]).mean().item()


def main(argv: Sequence[str] | None = None) -> tuple[float, float]:
    """Train; return how many of the drawings can be read, and how much they vary in units of how real ones do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60, help="default: %(default)s")
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more would wait for each other, with networks as small as these
    train_set, held_out = small_digits()
    loader = DataLoader(train_set, batch_size=64, shuffle=True, drop_last=True)

    generator = nn.Sequential(
        *(nn.Linear(NOISE + 10, 128), nn.BatchNorm1d(128), nn.ReLU()),
        *(nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU()),
        *(nn.Linear(128, 64), nn.Sigmoid()),
    )
    discriminator = nn.Sequential(
        *(nn.Linear(64 + 10, 256), nn.LeakyReLU(0.2), nn.Dropout(0.4)),
        *(nn.Linear(256, 256), nn.LeakyReLU(0.2), nn.Dropout(0.4)),
        nn.Linear(256, 1),
    )
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()

    def draw(labels: torch.Tensor) -> torch.Tensor:
        return generator(torch.cat([torch.randn(len(labels), NOISE), one_hot(labels, 10)], dim=1))

    def judge(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return discriminator(torch.cat([images, one_hot(labels, 10)], dim=1)).squeeze(1)

    # The two phases. What one returns becomes engine.state.output.

    def train_discriminator(engine: Engine) -> float:
        real, labels = engine.state.batch
        scores = judge(torch.cat([real, draw(labels).detach()]), labels.repeat(2))
        loss = criterion(scores, torch.cat([torch.full((len(real),), 0.9), torch.zeros(len(real))]))
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()
        return loss.item()

    def train_generator(engine: Engine) -> float:
        _, labels = engine.state.batch
        loss = criterion(judge(draw(labels), labels), torch.ones(len(labels)))
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        return loss.item()

    # The lifecycle of training, with two phases in place of a step.

    lifecycle = Lifecycle.training()
    lifecycle.add_phase(GanEvents.D_STEP, activity=train_discriminator)
    lifecycle.add_phase(GanEvents.G_STEP, activity=train_generator)
    lifecycle.add_path(
        Events.ITERATION_STARTED >> GanEvents.D_STEP >> GanEvents.G_STEP >> Events.ITERATION_COMPLETED, required=True
    )
    lifecycle.require(GanEvents.D_STEP, before=GanEvents.G_STEP)
    trainer = Engine(lifecycle=lifecycle)

    # Handlers of a phase are called before it acts, and those of its exit afterwards, when its loss is there.

    now_and_then = max(args.epochs // 4, 1) * len(loader)

    @trainer.on_exit(GanEvents.D_STEP(every=now_and_then) | GanEvents.G_STEP(every=now_and_then))
    def tell(engine: Engine, transition: Transition) -> None:
        print(f"Epoch {engine.state.epoch}, {transition.source.name}: loss {engine.state.output:.3f}")

    trainer.run(loader, max_epochs=args.epochs)

    # How good are they?

    images, labels = train_set.tensors
    classifier = KNeighborsClassifier(3).fit(images.numpy(), labels.numpy())
    known = classifier.score(*(part.numpy() for part in held_out.tensors))
    wanted = torch.arange(10).repeat(100)
    generator.eval()
    with torch.no_grad():
        drawn = draw(wanted)
    read = classifier.score(drawn.numpy(), wanted.numpy())
    variety = spread(drawn, wanted) / spread(images, labels)

    for five in drawn[:10].reshape(2, 5, 8, 8):
        for row in five.permute(1, 0, 2):
            print("   ".join("".join(" .:-=+*#%@"[int(value * 9.99)] * 2 for value in image) for image in row).rstrip())
        print()
    print(f"{read:.1%} of 1,000 drawings are read as the digit that was asked for, as are {known:.1%} of real ones")
    print(f"Drawings of the same digit vary {variety:.2f} times as much as real ones")
    return read, variety


if __name__ == "__main__":
    main()
