"""A GAN: two networks, two phases, one iteration.

The iteration has no step. It goes from ITERATION_STARTED through D_STEP, which trains the discriminator, and G_STEP,
which trains the generator, and the engine walks it: each phase is a function. ``required=True`` takes the direct way
out, and ``require`` proves that no run ever trains the generator first. Run it with::

    python examples/gan.py

In less than a minute it learns to draw 8x8 digits. Real ones that look alike say how well.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from digits import small_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import Engine, EventEnum, Events, Lifecycle

NOISE = 16


class GanEvents(EventEnum):
    """The phases of an iteration."""

    D_STEP = "d_step"
    G_STEP = "g_step"


def main(argv: Sequence[str] | None = None) -> float:
    """Train, and return how many of the drawings look like one digit and no other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=80, help="default: %(default)s")
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more would wait for each other, with networks as small as these
    train_set, _ = small_digits()
    loader = DataLoader(train_set, batch_size=128, shuffle=True, drop_last=True)

    generator = nn.Sequential(nn.Linear(NOISE, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64))
    generator.append(nn.Sigmoid())
    discriminator = nn.Sequential(nn.Linear(64, 256), nn.LeakyReLU(0.2), nn.Dropout(0.4), nn.Linear(256, 1))
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()

    def draw(count: int) -> torch.Tensor:
        return generator(torch.randn(count, NOISE))

    # The two phases. What they return becomes engine.state.output, so G_STEP's handlers see both losses.

    def train_discriminator(engine: Engine) -> dict[str, float]:
        real, _ = engine.state.batch
        scores = discriminator(torch.cat([real, draw(len(real)).detach()]))
        truth = torch.cat([torch.full((len(real), 1), 0.9), torch.zeros(len(real), 1)])
        loss = criterion(scores, truth)
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()
        return {"d_loss": loss.item()}

    def train_generator(engine: Engine) -> dict[str, float]:
        count = len(engine.state.batch[0])
        loss = criterion(discriminator(draw(count)), torch.ones(count, 1))
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        return {**engine.state.output, "g_loss": loss.item()}

    # The lifecycle of training, with two phases in place of a step.

    lifecycle = Lifecycle.training()
    lifecycle.add_phase(GanEvents.D_STEP, activity=train_discriminator)
    lifecycle.add_phase(GanEvents.G_STEP, activity=train_generator)
    lifecycle.add_path(
        Events.ITERATION_STARTED >> GanEvents.D_STEP >> GanEvents.G_STEP >> Events.ITERATION_COMPLETED, required=True
    )
    lifecycle.require(GanEvents.D_STEP, before=GanEvents.G_STEP)
    trainer = Engine(lifecycle=lifecycle)

    @trainer.on(Events.EPOCH_COMPLETED(every=max(args.epochs // 4, 1)))
    def tell(engine: Engine) -> None:
        losses = engine.state.output
        print(f"Epoch {engine.state.epoch}: discriminator {losses['d_loss']:.3f}, generator {losses['g_loss']:.3f}")

    trainer.run(loader, max_epochs=args.epochs)

    # How good are they? Show a thousand to a classifier that knows real digits only, and ask whether it is certain.

    images, labels = train_set.tensors
    classifier = KNeighborsClassifier(5).fit(images.numpy(), labels.numpy())
    generator.eval()
    with torch.no_grad():
        drawn = draw(1000)
    chances = classifier.predict_proba(drawn.numpy())
    sure, kinds = float((chances.max(axis=1) == 1).mean()), len(set(chances.argmax(axis=1)))
    for row in drawn[:6].reshape(6, 8, 8).permute(1, 0, 2):
        print("   ".join("".join(" .:-=+*#%@"[int(value * 9.99)] * 2 for value in image) for image in row))
    print(f"{sure:.0%} of 1,000 drawings are most similar to five digits of one kind; {kinds} kinds were drawn")
    return sure


if __name__ == "__main__":
    main()
