"""Reinforcement learning in a custom lifecycle without data and epochs: COLLECT and LEARN in turn, until solved.

A ball falls through a field, and a paddle at the bottom moves left or right to catch it. In COLLECT the policy plays
many games at once; in LEARN it is trained on them with REINFORCE (Williams, 1992). The run ends when a guard on an edge
from LEARN returns True. Run it with::

    python examples/reinforcement_learning.py

It takes a few seconds.
"""

from __future__ import annotations

import torch
from torch import nn

from fsm_engine import Engine, EventEnum, Events, Lifecycle

WIDTH, HEIGHT, GAMES = 5, 8, 256
TARGET, MAX_ROUNDS = 0.95, 400


class RlEvents(EventEnum):
    """Phases of a run."""

    COLLECT = "collect"
    LEARN = "learn"


class Catch:
    """A batch of games. Wind moves the ball sideways as it falls; the paddle has to be below it at the bottom."""

    def __init__(self, games: int) -> None:
        self.ball, self.paddle = torch.randint(WIDTH, (games,)), torch.randint(WIDTH, (games,))
        self.wind = torch.randint(-1, 2, (games,))
        self.height = HEIGHT

    def observe(self) -> torch.Tensor:
        """Return the observations: (games, 4), each value between -1 and 1."""
        height = torch.full_like(self.ball, self.height)
        features = [(self.ball - self.paddle) / WIDTH, self.ball / WIDTH, self.wind, height / HEIGHT]
        return torch.stack([feature.float() for feature in features], dim=1)

    def move(self, action: torch.Tensor) -> None:
        """Advance all games by one time step; actions are 0 (left), 1 (stay) and 2 (right)."""
        self.paddle = (self.paddle + action - 1).clamp(0, WIDTH - 1)
        if self.height % 2:
            self.ball = (self.ball + self.wind).clamp(0, WIDTH - 1)
        self.height -= 1

    def reward(self) -> torch.Tensor:
        """Return 1 for each ball that was caught, and 0 for each that was missed."""
        return (self.ball == self.paddle).float()


def main() -> int:
    """Train until the game is solved, and return the number of rounds."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks this small are faster on one thread
    policy = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 3))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)

    def play(count: int) -> dict[str, torch.Tensor]:
        games, log_probs = Catch(count), []
        while games.height:
            distribution = torch.distributions.Categorical(logits=policy(games.observe()))
            action = distribution.sample()
            log_probs.append(distribution.log_prob(action))
            games.move(action)
        return {"log_prob": torch.stack(log_probs).sum(dim=0), "reward": games.reward()}

    def collect() -> dict[str, torch.Tensor]:
        return play(GAMES)

    def learn(engine: Engine) -> float:
        played = engine.state.output
        advantage = played["reward"] - played["reward"].mean()
        loss = -(advantage * played["log_prob"]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return played["reward"].mean().item()

    def solved(engine: Engine) -> bool:
        return engine.state.output >= TARGET

    def too_many_rounds(engine: Engine) -> bool:
        return engine.state.rounds >= MAX_ROUNDS

    # A new lifecycle has only the phases in which a run starts and ends. The phases in between are added here.

    lifecycle = Lifecycle("catch")
    with lifecycle.edit():
        lifecycle.add_phase(RlEvents.COLLECT, activity=collect, counter="rounds")
        lifecycle.add_phase(RlEvents.LEARN, activity=learn)
        lifecycle.add_path(Events.STARTED >> RlEvents.COLLECT >> RlEvents.LEARN >> RlEvents.COLLECT)
        lifecycle.add_transition(RlEvents.LEARN >> Events.COMPLETED, guard=solved)
        lifecycle.add_transition(RlEvents.LEARN >> Events.TERMINATE, guard=too_many_rounds)
    player = Engine(lifecycle=lifecycle)

    # A handler of LEARN's exit is called when the activity of LEARN has set state.output.

    @player.on_exit(RlEvents.LEARN(every=20))
    def print_progress(engine: Engine) -> None:
        print(f"Round {engine.state.rounds}: {engine.state.output:.0%} caught")

    player.run()
    rounds = player.state.rounds
    print(f"{'Solved' if solved(player) else 'Gave up'} after {rounds} rounds: {player.state.output:.0%} caught")

    # The last round ended the run because its result was good. New games give an unbiased estimate.

    with torch.no_grad():
        print(f"In 10,000 new games: {play(10_000)['reward'].mean():.1%} caught")
    return rounds


if __name__ == "__main__":
    main()
