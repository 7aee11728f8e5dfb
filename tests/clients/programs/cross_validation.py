"""Cross-validation: new engines for each fold, and results of all folds."""

import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.metrics import Accuracy, MeanSquaredError, Precision, Recall
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset


def train_fold(dataset, train_indices, val_indices):
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    train = DataLoader(Subset(dataset, train_indices), batch_size=6, shuffle=True)
    val = DataLoader(Subset(dataset, val_indices), batch_size=6)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
    precision, recall = Precision(average=False), Recall(average=False)
    f1 = (precision * recall * 2 / (precision + recall + 1e-8)).mean()
    metrics = {"accuracy": Accuracy(), "precision": precision, "recall": recall, "f1": f1}
    evaluator = create_supervised_evaluator(model, metrics=metrics)
    scores = []

    @trainer.on(Events.EPOCH_COMPLETED(every=2))
    def log():
        evaluator.run(val)
        scores.append(dict(evaluator.state.metrics))

    trainer.run(train, max_epochs=4)
    return scores, model.state_dict()


def main(folder):
    torch.manual_seed(5)
    x = torch.randn(30, 4)
    dataset = TensorDataset(x, x[:, :3].argmax(1))
    folds = torch.arange(30).view(3, 10).tolist()
    results = []
    for number, val_indices in enumerate(folds):
        train_indices = [index for other, fold in enumerate(folds) if other != number for index in fold]
        results.append(train_fold(dataset, train_indices, val_indices))
    regression = MeanSquaredError()
    for scores, _ in results:
        regression.update((torch.tensor([scores[-1]["accuracy"]]), torch.tensor([1.0])))
    return {"results": results, "spread": regression.compute()}
