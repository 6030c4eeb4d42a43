"""The published recipe, as its users run it: GPT-2 of the library transformers, trained on one chain for each example.

After the code of Wang et al. (2024, OSU-NLP-Group/GrokkedTransformer): `GPT2LMHeadModel` with its own loss over the
answer token, AdamW with the rate constant after a warm-up of 2,000 steps, a weight decay of 0.1, batches of 512, every
row as often as any other. There the rate is 1e-4, at a width of 768; here 1e-3, since the model is narrower, which
favours it. Its recurrent variant applies half as many layers twice, with shared weights.

Shapes: B rows, T tokens.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grokhop.core.optional import library
from grokhop.graph.paths import Mask, Queries
from grokhop.inference.predict import BATCH_SIZE
from grokhop.tasks.dataset import TaskDataset
from grokhop.tasks.encoding import NO_TARGET
from grokhop.tasks.vocabulary import Vocabulary
from grokhop.training.batching import Shuffled
from grokhop.training.trainer import Trainer

BATCH = 512


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What differs between those who use it."""

    width: int = 128
    heads: int = 8
    layers: int = 8
    """That are applied, one after another."""
    repeats: int = 1
    """How often each is: 2 in the recurrent variant."""
    rate: float = 1e-3
    decay: float = 0.1
    warmup: int = 2000


class Peer:
    """A GPT-2 of transformers on its way.

    Args:
        dataset: of single answers (`TaskDataset.of_single_answers`).

    Raises:
        InputError: transformers is not installed.
    """

    def __init__(self, recipe: Recipe, dataset: TaskDataset, vocabulary: Vocabulary, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.recipe, self.dataset, self.vocabulary = recipe, dataset, vocabulary
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.threads = torch.get_num_threads()  # which torch shares every operation out to, as its users do
        self.model = _gpt2(recipe, vocabulary.size).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        self.rate = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / recipe.warmup))
        self._order = Shuffled(0, len(dataset.rows), seed)
        self._examples = _examples(dataset)
        self.step = 0

    def take_step(self) -> float:
        """Train on the next batch and return its loss."""
        value = self.backward()
        self.optimizer.step()
        self.rate.step()
        self.optimizer.zero_grad()
        self.step += 1
        return value

    def backward(self) -> float:
        """Add the gradients of the next batch to the weights' and return its loss."""
        chosen = torch.from_numpy(self._order.take(self.step * BATCH, BATCH))
        inputs, mask, labels = (column[chosen].to(self.device) for column in self._examples)
        loss = self.model(input_ids=inputs, attention_mask=mask, labels=labels).loss
        loss.backward()
        return float(loss.detach())

    @torch.no_grad()
    def are_right(self, queries: Queries) -> Mask:
        """(Q,) whether each query is answered rightly."""
        tokens = torch.from_numpy(np.column_stack([queries.head, queries.relations + self.vocabulary.entities])).long()
        logits = [
            self.model(input_ids=batch.to(self.device)).logits[:, -1] for batch in torch.split(tokens, BATCH_SIZE)
        ]
        return queries.are_right(torch.cat(logits).argmax(-1).cpu().numpy())


def answers_per_row(trainer: Trainer, *, steps: int = 8) -> float:
    """The mean number of answers that a row of a trainer's first batches supervises; of a peer's rows it is one."""
    targets = [group[2] for step in range(steps) for group in trainer.batches.of_step(step)]
    return sum(int((t != NO_TARGET).sum()) for t in targets) / (steps * trainer.settings.train.batch_size)


def _gpt2(recipe: Recipe, vocabulary: int) -> Any:
    transformers = library()
    config = transformers.GPT2Config(
        vocab_size=vocabulary,
        n_positions=16,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        use_cache=False,  # it is kept by layer, and a layer may be applied twice
    )
    model = transformers.GPT2LMHeadModel(config)
    own = recipe.layers // recipe.repeats
    model.transformer.h = nn.ModuleList(list(model.transformer.h)[:own] * recipe.repeats)
    return model


def _examples(dataset: TaskDataset) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T + 1) tokens with the answer behind each query, which of them there are, and labels: the answer's alone."""
    rows = dataset.rows
    n, width = rows.tokens.shape
    inputs = np.column_stack([rows.tokens, np.zeros(n, np.int64)])
    labels = np.full_like(inputs, NO_TARGET)
    every, behind = np.arange(n), rows.last + 1
    inputs[every, behind] = labels[every, behind] = rows.last_targets()
    mask = np.arange(width + 1) <= behind[:, None]
    return torch.from_numpy(inputs), torch.from_numpy(mask.astype(np.int64)), torch.from_numpy(labels)
