"""Answers and evidence scored by the rules of 2WikiMultiHopQA's own evaluation script.

They are those of `2wikimultihop_evaluate_v1.1.py` (Alab-NII/2wikimultihop, December 2020), the version that knows
aliases:

- **Answer.** Text is normalised: lower case, without ASCII punctuation and the words a, an and the, one space between
  words. EM compares normalised texts, F1 their bags of words. A text that is 'yes', 'no' or 'noanswer' equals itself
  and scores 0 against anything else. Of several correct answers the best counts, for EM and for F1 each on its own.
- **Evidence.** Subject, relation and object are normalised, but keep their articles. A gold triple stands for every
  combination of a name of its subject with a name of its object; a relation has one name. A predicted triple is right
  when it is among them. Predictions are a set, gold triples a list.
- What has no prediction scores 0 and stays in the denominator.

Kept, odd as it is: what normalises to nothing ('the') has EM 1 and F1 0 against itself, as has no evidence against
none; and two predictions that name one gold triple in two ways are both right, so that recall and F1 may exceed 1 and
EM may be 1 with another triple missing.

Different here: the script takes aliases from `id_aliases.json` by Wikidata id, this module takes the names that the
graph knows of an entity (its label included), which are the spellings of the data and fewer; scores are shares, not
rounded percentages; supporting sentences, and with them the joint scores, have no meaning in a graph.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import mean
from string import punctuation
from typing import NamedTuple

import numpy as np

from grokhop.core.statistics import over_seeds, wilson
from grokhop.graph.graph import Graph, Question
from grokhop.graph.queries import Triple
from grokhop.runs.evaluation import QuestionScore

GoldTriple = tuple[Collection[str], str, Collection[str]]
"""All names of the subject, the relation, all names of the object."""

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", punctuation)
_WHOLE = ("yes", "no", "noanswer")  # answers of which a part is worth nothing


@dataclass(frozen=True, kw_only=True)
class Gold:
    """What a question should be answered with: any of `answers`, by all of `evidence`."""

    type: str
    answers: tuple[str, ...]
    evidence: tuple[GoldTriple, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a question was answered with; `answer` is None when the question was not understood."""

    answer: str | None
    evidence: tuple[Triple, ...] = ()


class EvidenceScores(NamedTuple):
    """Of one question's evidence."""

    em: float
    f1: float
    precision: float
    recall: float


def normalize(text: str) -> str:
    """Return an answer as it is compared: 'The U.S.A. ' as 'usa'."""
    return " ".join(_ARTICLE.sub(" ", _plain(text)).split())


def _plain(text: str) -> str:
    return text.lower().translate(_WITHOUT_PUNCTUATION)


def exact_match(prediction: str, golds: Iterable[str]) -> bool:
    """Whether the prediction is one of the correct answers, normalised."""
    return normalize(prediction) in {normalize(gold) for gold in golds}


def f1(prediction: str, golds: Iterable[str]) -> float:
    """The best F1 of the prediction's words against those of a correct answer; 0 when there is none."""
    return max((_f1(normalize(prediction), normalize(gold)) for gold in golds), default=0.0)


def _f1(prediction: str, gold: str) -> float:
    if prediction != gold and (prediction in _WHOLE or gold in _WHOLE):
        return 0.0
    predicted, wanted = prediction.split(), gold.split()
    common = (Counter(predicted) & Counter(wanted)).total()
    return 2 * common / (len(predicted) + len(wanted)) if common else 0.0


def evidence_scores(predicted: Iterable[Triple], gold: Sequence[GoldTriple]) -> EvidenceScores:
    """EM, F1, precision and recall of predicted triples against all gold triples of one question.

    Args:
        gold: each end is a collection of names; ('Oslo',) is one name.
    """
    found = {(_spaced(head), _spaced(relation), _spaced(tail)) for head, relation, tail in predicted}
    correct = [_spellings(triple) for triple in gold]
    right = len(found & set().union(*correct))
    precision = right / len(found) if found else 0.0
    recall = right / len(correct) if correct else 0.0
    return EvidenceScores(
        em=float(right == len(found) == len(correct)),
        f1=2 * right / (len(found) + len(correct)) if right else 0.0,
        precision=precision,
        recall=recall,
    )


def _spellings(triple: GoldTriple) -> set[Triple]:
    heads, relation, tails = triple
    return {(head, _spaced(relation), tail) for head, tail in product({*map(_spaced, heads)}, {*map(_spaced, tails)})}


def _spaced(text: str) -> str:
    return " ".join(_plain(text).split())


def gold_of(graph: Graph, question: Question) -> Gold:
    """The correct answers and the evidence of a question of the graph, with the names that the graph knows.

    The answer's entity is the end of the chain, or else the one entity of the evidence that has the answer's name;
    'yes' and 'no' are no entity.
    """
    names = {entity: graph.entities[entity].names for head, _, tail in question.facts for entity in (head, tail)}
    return Gold(
        type=question.type,
        answers=tuple(dict.fromkeys([question.answer, *_answer_names(question, names)])),
        evidence=tuple(
            (names[head], graph.relations[relation], names[tail]) for head, relation, tail in question.facts
        ),
    )


def _answer_names(question: Question, names: dict[int, tuple[str, ...]]) -> tuple[str, ...]:
    if normalize(question.answer) in _WHOLE:
        return ()
    if question.path:
        return names[question.facts[-1][2]]
    called_so = [known for known in names.values() if exact_match(question.answer, known)]
    return called_so[0] if len(called_so) == 1 else ()


def score(golds: Sequence[Gold], predictions: Sequence[Sequence[Prediction]]) -> QuestionScore:
    """EM and F1 of answers and of evidence over n questions, under one or several seeds.

    `score` is the answers' EM (see `over_seeds`); `f1` and the `evidence_...` are means over questions and seeds.
    The interval of an F1 is Wilson's with the mean in place of a share: a number between 0 and 1 with that mean varies
    at most as much as a coin, so the interval is, if anything, too wide; it is that of EM when every F1 is 0 or 1. As
    with EM, further seeds do not narrow it. `parsed` is the share of questions that were understood; the others are
    wrong.

    Args:
        predictions: for each seed, one for each question in the order of `golds`.

    Raises:
        ValueError: there are no seeds, or a seed has not one prediction for each question.
    """
    if not predictions:
        raise ValueError("expected the predictions of at least one seed, got none")
    pairs = [list(zip(golds, seed, strict=True)) for seed in predictions]
    evidence = [[_evidence(*pair) for pair in seed] for seed in pairs]
    answers = _with_interval([[_answer_f1(*pair) for pair in seed] for seed in pairs])
    found = _with_interval([[scores.f1 for scores in seed] for seed in evidence])
    return QuestionScore(
        score=over_seeds([np.array([_is_exact(*pair) for pair in seed], dtype=bool) for seed in pairs]),
        f1=answers.mean,
        f1_low=answers.low,
        f1_high=answers.high,
        evidence_em=_mean([[scores.em for scores in seed] for seed in evidence]),
        evidence_f1=found.mean,
        evidence_f1_low=found.low,
        evidence_f1_high=found.high,
        evidence_precision=_mean([[scores.precision for scores in seed] for seed in evidence]),
        evidence_recall=_mean([[scores.recall for scores in seed] for seed in evidence]),
        parsed=_mean([[float(prediction.answer is not None) for prediction in seed] for seed in predictions]),
    )


def score_by_type(golds: Sequence[Gold], predictions: Sequence[Sequence[Prediction]]) -> dict[str, QuestionScore]:
    """The scores (see `score`) of each type of question, in the order of their names.

    Raises:
        ValueError: see `score`.
    """
    if not predictions or any(len(seed) != len(golds) for seed in predictions):
        raise ValueError(f"expected {len(golds)} predictions of each seed, got {[len(seed) for seed in predictions]}")
    rows = defaultdict(list)
    for row, gold in enumerate(golds):
        rows[gold.type].append(row)
    return {
        kind: score([golds[row] for row in chosen], [[seed[row] for row in chosen] for seed in predictions])
        for kind, chosen in sorted(rows.items())
    }


def _is_exact(gold: Gold, prediction: Prediction) -> bool:
    return prediction.answer is not None and exact_match(prediction.answer, gold.answers)


def _answer_f1(gold: Gold, prediction: Prediction) -> float:
    return 0.0 if prediction.answer is None else f1(prediction.answer, gold.answers)


def _evidence(gold: Gold, prediction: Prediction) -> EvidenceScores:
    if prediction.answer is None:
        return EvidenceScores(0.0, 0.0, 0.0, 0.0)
    return evidence_scores(prediction.evidence, gold.evidence)


def _mean(per_seed: Sequence[Sequence[float]]) -> float | None:
    """The mean over questions and seeds, None of no questions."""
    values = [value for seed in per_seed for value in seed]
    return mean(values) if values else None


class _Mean(NamedTuple):
    """A mean with its interval; None of no questions."""

    mean: float | None
    low: float | None = None
    high: float | None = None


def _with_interval(per_seed: Sequence[Sequence[float]]) -> _Mean:
    average, n = _mean(per_seed), len(per_seed[0])
    if average is None:
        return _Mean(None)
    return _Mean(average, *wilson(min(average, 1.0) * n, n))
