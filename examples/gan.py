"""A GAN whose iteration consists of two phases, one for each network.

The lifecycle has no step. From ITERATION_STARTED the engine enters D_STEP, which trains the discriminator, and then
G_STEP, which trains the generator; the activity of each phase is a function. ``required=True`` removes the direct
transition from ITERATION_STARTED to ITERATION_COMPLETED, and ``require`` proves that the generator is never trained
first. Run it with::

    python examples/gan.py

In less than a minute the generator learns to draw 8x8 digits of a given class. Two figures measure it: the share of
drawings that a classifier trained on real digits reads correctly, and how much drawings of the same digit vary. The
second would be low for a generator that always draws the same picture.
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
    """Phases of an iteration."""

    D_STEP = "d_step"
    G_STEP = "g_step"


def spread(images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return how much images of the same digit vary: the mean standard deviation of a pixel."""
    return torch.stack([images[labels == digit].std(dim=0).mean() for digit in range(10)]).mean().item()


def main(argv: Sequence[str] | None = None) -> tuple[float, float]:
    """Train, and return the share of drawings read correctly and their variation relative to real digits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60, help="default: %(default)s")
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks this small are faster on one thread
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

    # The activities of the two phases. The value that one returns becomes engine.state.output.

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

    # The training lifecycle, with two phases instead of a step.

    lifecycle = Lifecycle.training()
    with lifecycle.edit():
        lifecycle.add_phase(GanEvents.D_STEP, activity=train_discriminator)
        lifecycle.add_phase(GanEvents.G_STEP, activity=train_generator)
        lifecycle.add_path(
            Events.ITERATION_STARTED >> GanEvents.D_STEP >> GanEvents.G_STEP >> Events.ITERATION_COMPLETED,
            required=True,
        )
    lifecycle.require(GanEvents.D_STEP, before=GanEvents.G_STEP)
    trainer = Engine(lifecycle=lifecycle)

    # Handlers of a phase are called before its activity, handlers of its exit after it, when state.output is the loss.

    interval = max(args.epochs // 4, 1) * len(loader)

    @trainer.on_exit(GanEvents.D_STEP(every=interval) | GanEvents.G_STEP(every=interval))
    def print_loss(engine: Engine, transition: Transition) -> None:
        print(f"Epoch {engine.state.epoch}, {transition.source.name}: loss {engine.state.output:.3f}")

    trainer.run(loader, max_epochs=args.epochs)

    # Measure the drawings.

    images, labels = train_set.tensors
    classifier = KNeighborsClassifier(3).fit(images.numpy(), labels.numpy())
    accuracy_on_real = classifier.score(*(part.numpy() for part in held_out.tensors))
    requested = torch.arange(10).repeat(100)
    generator.eval()
    with torch.no_grad():
        drawn = draw(requested)
    accuracy = classifier.score(drawn.numpy(), requested.numpy())
    variety = spread(drawn, requested) / spread(images, labels)

    for five in drawn[:10].reshape(2, 5, 8, 8):
        for row in five.permute(1, 0, 2):
            print("   ".join("".join(" .:-=+*#%@"[int(value * 9.99)] * 2 for value in image) for image in row).rstrip())
        print()
    print(f"Read correctly: {accuracy:.1%} of 1,000 drawings, {accuracy_on_real:.1%} of held-out digits")
    print(f"Drawings of the same digit vary {variety:.2f} times as much as real digits")
    return accuracy, variety


if __name__ == "__main__":
    main()
