"""Evaluate a language model and a translation: Perplexity, BLEU and ROUGE."""

import torch
from ignite.engine import Engine, Events
from ignite.metrics import Bleu, RougeL, RougeN
from ignite.metrics.nlp import Perplexity, Rouge
from torch import nn


def main(folder):
    torch.manual_seed(18)
    embedding, out = nn.Embedding(9, 6), nn.Linear(6, 9)
    optimizer = torch.optim.Adam([*embedding.parameters(), *out.parameters()], lr=0.05)
    sequences = torch.randint(9, (6, 8)).split(2)

    def step(engine, batch):
        logits = out(embedding(batch[:, :-1])).transpose(1, 2)
        loss = nn.functional.cross_entropy(logits, batch[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return logits, batch[:, 1:]

    trainer = Engine(step)
    Perplexity().attach(trainer, "perplexity")
    values = []
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: values.append(dict(engine.state.metrics)))
    trainer.run(sequences, max_epochs=4)
    pairs = [
        (["the", "cat", "sat", "on", "the", "mat"], [["the", "cat", "is", "on", "the", "mat"], ["a", "cat", "sat"]]),
        (["dogs", "run", "fast", "today"], [["dogs", "run", "very", "fast", "today"]]),
    ]
    evaluator = Engine(lambda engine, batch: ([batch[0]], [batch[1]]))
    for name, metric in {
        "bleu": Bleu(ngram=3, smooth="smooth1"),
        "corpus": Bleu(ngram=2, average="micro"),
        "rouge-n": RougeN(ngram=2, alpha=0.5),
        "rouge-l": RougeL(multiref="best"),
        "rouge": Rouge(["L", 1]),
    }.items():
        metric.attach(evaluator, name)
    evaluator.run(pairs)
    return {"values": values, "metrics": evaluator.state.metrics, "weights": out.state_dict()}
