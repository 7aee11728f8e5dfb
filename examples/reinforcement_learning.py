"""Reinforcement learning without epochs or data: a lifecycle of its own, collect -> learn -> ... -> solved.

A ball falls through a field, and a paddle at the bottom moves left or right to catch it. In COLLECT the policy plays
many games at once, in LEARN it learns from them (REINFORCE: Williams, 1992). That goes round until a guard says
that it is solved. Run it with::

    python examples/reinforcement_learning.py

It takes some seconds.
"""

from __future__ import annotations

import torch
from torch import nn

from fsm_engine import Engine, EventEnum, Events, Lifecycle

WIDTH, HEIGHT, GAMES = 5, 8, 256
ENOUGH, PATIENCE = 0.95, 400


class RlEvents(EventEnum):
    """The phases of a run."""

    COLLECT = "collect"
    LEARN = "learn"


class Catch:
    """Games played side by side: wind carries a ball off as it falls, and a paddle has to be below it at the end."""

    def __init__(self, games: int) -> None:
        self.ball, self.paddle = torch.randint(WIDTH, (games,)), torch.randint(WIDTH, (games,))
        self.wind = torch.randint(-1, 2, (games,))
        self.height = HEIGHT

    def look(self) -> torch.Tensor:
        """Return what a player sees: (games, 4), each value between -1 and 1."""
        height = torch.full_like(self.ball, self.height)
        seen = [(self.ball - self.paddle) / WIDTH, self.ball / WIDTH, self.wind, height / HEIGHT]
        return torch.stack([value.float() for value in seen], dim=1)

    def move(self, action: torch.Tensor) -> None:
        """Let time go on, with each paddle moving left (0), not at all (1), or right (2)."""
        self.paddle = (self.paddle + action - 1).clamp(0, WIDTH - 1)
        if self.height % 2:
            self.ball = (self.ball + self.wind).clamp(0, WIDTH - 1)
        self.height -= 1

    def reward(self) -> torch.Tensor:
        """Return 1 for each ball that was caught and 0 for the others."""
        return (self.ball == self.paddle).float()


def main() -> int:
    """Play until it is solved, and return how many rounds that took."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more would wait for each other, with networks as small as these
    policy = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 3))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)

    def play(count: int) -> dict[str, torch.Tensor]:
        games, chances = Catch(count), []
        while games.height:
            chosen = torch.distributions.Categorical(logits=policy(games.look()))
            action = chosen.sample()
            chances.append(chosen.log_prob(action))
            games.move(action)
        return {"log_chance": torch.stack(chances).sum(dim=0), "reward": games.reward()}

    def collect() -> dict[str, torch.Tensor]:
        return play(GAMES)

    def learn(engine: Engine) -> float:
        played = engine.state.output
        advantage = played["reward"] - played["reward"].mean()
        loss = -(advantage * played["log_chance"]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return played["reward"].mean().item()

    def solved(engine: Engine) -> bool:
        return engine.state.output >= ENOUGH

    def out_of_patience(engine: Engine) -> bool:
        return engine.state.rounds >= PATIENCE

    # The lifecycle: how a run starts and ends is there; what it does in between is added.

    lifecycle = Lifecycle("catch")
    lifecycle.add_phase(RlEvents.COLLECT, activity=collect, counter="rounds")
    lifecycle.add_phase(RlEvents.LEARN, activity=learn)
    lifecycle.add_path(Events.STARTED >> RlEvents.COLLECT >> RlEvents.LEARN >> RlEvents.COLLECT)
    lifecycle.add_transition(RlEvents.LEARN >> Events.COMPLETED, guard=solved)
    lifecycle.add_transition(RlEvents.LEARN >> Events.TERMINATE, guard=out_of_patience)
    player = Engine(lifecycle=lifecycle)

    # Filters of COLLECT are given its counter, which is engine.state.rounds. On leaving LEARN, the output is there.

    @player.on_exit(RlEvents.LEARN(every=20))
    def tell(engine: Engine) -> None:
        print(f"Round {engine.state.rounds}: {engine.state.output:.0%} caught")

    player.run()
    rounds = player.state.rounds
    print(f"{'Solved' if solved(player) else 'Gave up'} after {rounds} rounds: {player.state.output:.0%} caught")

    # The round that ended it was a good one. New games tell how good the policy is.

    with torch.no_grad():
        print(f"Of 10,000 new games: {play(10_000)['reward'].mean():.1%} caught")
    return rounds


if __name__ == "__main__":
    main()
