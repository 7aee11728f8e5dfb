"""REINFORCE on a small game: episodes are epochs, custom events, and a run that ends when the game is solved."""

import torch
from ignite.engine import Engine, EventEnum, Events
from torch import nn
from torch.distributions import Categorical


class EpisodeEvents(EventEnum):
    EPISODE_STARTED = "episode_started"
    EPISODE_COMPLETED = "episode_completed"


class Walk:
    def reset(self):
        self.position, self.moves = 0, 0
        return torch.tensor([0.0, 0.0])

    def step(self, action):
        self.position += 1 if action else -1
        self.moves += 1
        done = abs(self.position) == 3 or self.moves == 12
        return torch.tensor([float(self.position), self.moves / 10]), float(self.position == 3), done


def main(folder):
    torch.manual_seed(3)
    env, policy = Walk(), nn.Linear(2, 2)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.2)

    def run_single_timestep(engine, timestep):
        probabilities = Categorical(logits=policy(engine.state.observation))
        action = probabilities.sample()
        engine.state.log_probs.append(probabilities.log_prob(action))
        engine.state.observation, reward, done = env.step(action.item())
        engine.state.rewards.append(reward)
        if done:
            engine.terminate_epoch()

    trainer = Engine(run_single_timestep)
    trainer.register_events(*EpisodeEvents, event_to_attr={EpisodeEvents.EPISODE_COMPLETED: "episodes"})
    history = []

    @trainer.on(Events.EPOCH_STARTED)
    def reset_environment(engine):
        engine.state.observation, engine.state.log_probs, engine.state.rewards = env.reset(), [], []
        engine.fire_event(EpisodeEvents.EPISODE_STARTED)

    @trainer.on(Events.EPOCH_COMPLETED)
    def update_model(engine):
        total = sum(engine.state.rewards)
        loss = -torch.stack(engine.state.log_probs).sum() * (total - 0.3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append((len(engine.state.rewards), total))
        engine.state.episodes += 1
        engine.fire_event(EpisodeEvents.EPISODE_COMPLETED)

    @trainer.on(EpisodeEvents.EPISODE_COMPLETED(every=5))
    def should_finish(engine):
        if sum(total for _, total in history[-5:]) == 5:
            engine.terminate()

    trainer.run(range(100), max_epochs=25)
    return {"history": history, "weights": policy.state_dict(), "episodes": trainer.state.episodes}
