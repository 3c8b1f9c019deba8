"""A Hugging Face Trainer on a tiny BERT."""

import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments


class Sentences(Dataset):
    """Sentences whose label says whether word 7 comes more often than word 8."""

    def __init__(self, count, seed):
        generator = torch.Generator().manual_seed(seed)
        self.ids = torch.randint(5, 40, (count, 12), generator=generator)
        self.labels = (self.ids < 20).sum(1).gt(5).long()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {"input_ids": self.ids[index], "labels": self.labels[index],
                "attention_mask": torch.ones(12, dtype=torch.long)}


def accuracy(prediction):
    return {"accuracy": (prediction.predictions.argmax(-1) == prediction.label_ids).mean()}


def main():
    config = BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2,
                        num_attention_heads=2, intermediate_size=64,
                        max_position_embeddings=16, num_labels=2)
    model = BertForSequenceClassification(config)
    training_args = TrainingArguments(
        output_dir="out", per_device_train_batch_size=16, learning_rate=1e-3,
        num_train_epochs=3, weight_decay=0.01, report_to=[])
    trainer = Trainer(model=model, args=training_args, train_dataset=Sentences(400, 0),
                      eval_dataset=Sentences(100, 1), compute_metrics=accuracy)
    trainer.train()


if __name__ == "__main__":
    main()
