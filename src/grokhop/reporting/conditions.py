"""Under which conditions the numbers were made."""

from math import prod

from grokhop.config import OptimizerConfig
from grokhop.core.formatting import percent, plural
from grokhop.reporting.evidence import Evidence
from grokhop.runs.run import WEIGHTS, Run


def conditions(evidence: Evidence) -> list[tuple[str, str]]:
    """What a reader must know to compare this run with another."""
    run, settings, model = evidence.run, evidence.run.settings, evidence.run.settings.model
    counts, hardware = run.graph_manifest["counts"], run.manifest["hardware"]
    parameters = _parameters(run, [s for s in range(evidence.seeds) if s not in evidence.unfinished])
    size = f"{parameters:,} parameters; " if parameters else ""
    preset_, threads = settings.preset, run.manifest.get("threads", hardware["cores"])
    versions = [f"{name} {version}" for name, version in run.manifest["versions"].items()]
    sizes = [
        plural(counts["facts"], "fact"),
        f"{counts['entities']:,} entities",
        plural(counts["relations"], "relation"),
    ]
    training = [
        f"preset {preset_}",
        plural(evidence.seeds, "seed"),
        f"budget {settings.resources.budget} each",
        f"batches of {settings.train.batch_size} rows",
        _rates(settings.optimizer),
    ]
    control = [("Control", run.control)] if run.control else []
    return [
        *control,
        ("Graph", ", ".join(sizes)),
        ("Hold-out", _holdout(evidence)),
        ("Model", f"{size}{', '.join(model.words())}; trained on chains of up to {settings.task.hops} hops"),
        ("Training", ", ".join(training)),
        ("Hardware", f"{hardware['processor']}, {plural(threads, 'thread')}; {hardware['system']}"),
        ("Date", run.manifest["created"].replace("T", " ").replace("+00:00", " UTC")),
        ("Versions", ", ".join(versions)),
    ]


def _rates(settings: OptimizerConfig) -> str:
    if settings.name == "muon":
        return f"learning rates {settings.muon_lr:g} (Muon) and {settings.adam_lr:g} (AdamW)"
    return f"{settings.name} at learning rate {settings.adam_lr:g} with weight decay {settings.adam_decay:g}"


def _holdout(evidence: Evidence) -> str:
    if not evidence.held_out:
        return "none"
    record, counts = evidence.run.graph_manifest["holdout"], evidence.run.graph_manifest["counts"]
    how = {"pair": "by (subject, relation) pair", "question": "by question", "file": "as the source files mark them"}
    share = f", share {record['share']:g}" if record.get("share") else ""
    facts = f"{plural(evidence.held_out, 'fact')} ({percent(evidence.held_out / counts['facts'])})"
    parts = f"{counts['held_out_validation']:,} for validation, {counts['held_out_test']:,} for test"
    return f"{facts} {how.get(record.get('unit', ''), '')}{share}: {parts}"


def _parameters(run: Run, finished: list[int]) -> int | None:
    """Counted from the header of a seed's weights; None before there are any."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(run.seed_folder(finished[0]) / WEIGHTS, framework="numpy") as weights:
            shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
            return sum(int(prod(shape)) for shape in shapes)
    except (IndexError, OSError, SafetensorError):
        return None
