"""Settings out of files and command lines: read, changed by name, compared, explained and written.

A setting is named `SECTION.NAME`, in a YAML file as `NAME` under `SECTION`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from grokhop.config.models import BUILT_IN, model_section
from grokhop.config.schema import RunConfig, sections
from grokhop.core.errors import InputError
from grokhop.core.registry import nearest


class Described(NamedTuple):
    """A setting for people."""

    name: str
    default: Any
    meaning: str

    @property
    def shown(self) -> str:
        """The default as `--set` and a file spell it."""
        return spelt(self.default) or "''"


def described() -> list[Described]:
    """Return every setting with its default and its meaning; those of a model under the built-in architectures."""
    found: dict[str, Described] = {}
    for section, kind in sections().items():
        for one in BUILT_IN.values() if section == "model" else [kind]:
            for field in fields(one):
                name = f"{section}.{field.name}"
                found.setdefault(name, Described(name, _default(field), _meaning(one, field.name)))
    return list(found.values())


def _default(field: "Field[Any]") -> Any:
    info: Any = field.default
    default = getattr(info, "default", info)  # pydantic keeps the limits of a field around its default
    return None if default is MISSING else default


def _meaning(kind: Any, name: str) -> str:
    """What the nearest class says of a field; a section that only changes a default need not say it again."""
    known = (getattr(one, "__pydantic_fields__", {}).get(name) for one in kind.__mro__)
    return next((" ".join(field.description.split()) for field in known if field and field.description), "")


def setting_names() -> list[str]:
    """Return the name of every setting."""
    return [one.name for one in described()]


def config_of(record: Mapping[str, Any], *, where: str) -> RunConfig:
    """Build settings of a record by section, as a YAML file has them.

    Args:
        where: the record's place, for messages.

    Raises:
        InputError: a name is unknown or a value is wrong.
    """
    known = {"preset": None, **sections()}
    for name in record:
        if name not in known:
            raise InputError(
                f"{where}: {name!r} is no section of settings: there are {', '.join(known)}{nearest(name, list(known))}"
            )
    made = {}
    for name, value in record.items():
        if name == "preset" or (name == "augment" and value is None):
            made[name] = value
        elif not isinstance(value, Mapping):
            raise InputError(f"{where}: {name} must hold settings as NAME: VALUE, not {value!r}")
        else:
            made[name] = _section_of(name, value, where)
    return _checked(lambda: RunConfig(**made), where, "")


def _refuse_words_as_numbers(kind: Any, values: Mapping[str, Any], name: str, where: str) -> None:
    """YAML reads yes and on as true, which would pass for 1."""
    for field in fields(kind):
        value = values.get(field.name)
        if isinstance(value, bool) and "bool" not in str(field.type):
            raise InputError(f"{where}: {name}.{field.name} must be no true or false, but it is {str(value).lower()}")


def _section_of(section: str, values: Mapping[str, Any], where: str) -> Any:
    kind = sections()[section]
    if section == "model":
        kind = model_section(str(values.get("architecture", "loop")))
    names = [field.name for field in fields(kind)]
    for name in values:
        if name not in names:
            full = [f"{section}.{one}" for one in names]
            raise InputError(f"{where}: {section}.{name} is no setting{nearest(f'{section}.{name}', full)}")
    _refuse_words_as_numbers(kind, values, section, where)
    return _checked(lambda: kind(**values), where, section)


def _checked(make: Any, where: str, section: str) -> Any:
    try:
        return make()
    except ValidationError as error:
        said = [_said(section, one) for one in error.errors(include_url=False)]
        raise InputError(f"{where}: {'; '.join(dict.fromkeys(said))}") from error


def _said(section: str, error: Any) -> str:
    """One error of pydantic in our words."""
    name = ".".join([section, *map(str, error["loc"])]).strip(".")
    limits = error.get("ctx", {})
    kind = error["type"]
    if kind == "value_error":
        return str(limits["error"])
    if kind.startswith("int_"):
        must = "a whole number"
    elif kind.startswith("float_"):
        must = "a number"
    elif kind.startswith("bool_"):
        must = "true or false"
    elif kind == "literal_error":
        choices = re.findall(r"'([^']*)'", limits["expected"])
        near = nearest(str(error["input"]), choices)
        return f"{name} must be one of {limits['expected']}, not {error['input']!r}{near}"
    elif kind in ("greater_than_equal", "less_than_equal", "greater_than", "less_than"):
        words = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}
        must = " ".join(f"{words[limit]} {value:g}" for limit, value in limits.items())
    elif kind == "finite_number":
        must = "a finite number"
    elif kind == "string_type":
        must = "text, such as 90s for a budget"
    else:
        return f"{name}: {error['msg']}"
    return f"{name} must be {must}, not {error['input']!r}"


def changed(config: RunConfig, changes: Iterable[str]) -> RunConfig:
    """Return the settings with some set anew, each as `SECTION.NAME=VALUE`.

    Raises:
        InputError: there is no such setting, or its value is wrong.
    """
    changes = list(changes)
    if not changes:
        return config
    record: dict[str, dict[str, Any]] = {}
    for change in changes:
        name, sign, text = change.partition("=")
        section, _, key = name.strip().rpartition(".")
        if not sign or section not in sections() or not key:
            raise InputError(f"--set {change!r} sets nothing: write SECTION.NAME=VALUE{nearest(name, setting_names())}")
        record.setdefault(section, {})[key] = None if text.strip() == "null" else text.strip()
    return merged(config, record, where=f"--set {' --set '.join(changes)}")


def merged(config: RunConfig, record: Mapping[str, Any], *, where: str) -> RunConfig:
    """Return the settings with those of a record by section in their place.

    Raises:
        InputError: a name is unknown or a value is wrong.
    """
    whole = asdict(config)
    for section, values in record.items():
        now = whole.get(section)
        if not isinstance(values, Mapping) or not isinstance(now, dict):
            whole[section] = values
            continue
        if values.get("architecture", now.get("architecture")) != now.get("architecture"):
            # Another architecture keeps of the shape what it has too.
            kind = model_section(str(values["architecture"]))
            now = {field.name: now[field.name] for field in fields(kind) if field.name in now}
        whole[section] = {**now, **values}
    return config_of(whole, where=where)


def changes(config: RunConfig, base: RunConfig) -> list[str]:
    """Return what `changed` must be given to make `config` of `base`; how the graph was augmented is left out."""
    found = []
    for section in sections():
        one, other = getattr(config, section), getattr(base, section)
        if section == "augment" or one == other:
            continue
        for field in fields(one):
            value = getattr(one, field.name)
            # Of another architecture's shape `merged` keeps what both have.
            if value != getattr(other, field.name, _default(field)):
                found.append(f"{section}.{field.name}={spelt(value)}")
    return found


def spelt(value: Any) -> str:
    """Spell a value as `--set` and a file do."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_config(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings by section.

    Raises:
        InputError: it cannot be read, or is no such file.
    """
    try:
        record = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceEach)  # a SafeLoader
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give a YAML file of settings") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read as YAML: {reason}") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds no settings: write sections such as 'train:' with settings under them")
    odd = next((name for name in record if not isinstance(name, str)), None)
    if odd is not None:
        raise InputError(f"{path}: {odd!r} is no name of a section")
    return record


class _OnceEach(yaml.SafeLoader):
    """Refuses a name that is given twice, of which the first would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def yaml_text(config: RunConfig) -> str:
    """Return all settings as the text of a YAML file, which `read_config` reads."""
    return yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)
