"""Line numbers of the fields of a YAML file, looked up only when a mistake must be shown."""

from pathlib import Path

import yaml


def line_of(file: Path, path: tuple[str | int, ...]) -> int:
    """The line (from 1) of the field at ``path``, or of the nearest parent that exists."""
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return 1
    line = 1
    for step in path:
        child = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    line, child = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            child = node.value[step]
            line = child.start_mark.line + 1
        if child is None:
            break
        node = child
    return line
