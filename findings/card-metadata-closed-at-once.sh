#!/bin/sh
# huggingface_hub 2.4.0 (Python 3.11): a model card whose metadata block is empty.
# Expected: "---", a line feed, "---" is an empty block, so the card's text is what follows it.
# Seen: the closing line is not seen when it follows at once. With another "---" further down, all between is taken for the
#   metadata; without one, both lines belong to the text. With an empty line between them the block is found, and empty.
# Output seen:
#   '---\n---\n# Title\n' -> text '---\n---\n# Title\n'
#   '---\n\n---\n# Title\n' -> text '# Title\n'
#   '---\n---\nwords\n---\nmore\n' -> ValueError repo card metadata block should be a dict
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check huggingface_hub==2.4.0
"$folder/venv/bin/python" - <<'PYTHON'
import logging

from huggingface_hub import ModelCard

logging.disable(logging.CRITICAL)


def read(card):
    try:
        return f"text {ModelCard(card).text!r}"
    except ValueError as error:
        return f"ValueError {error}"


expected = {
    "---\n---\n# Title\n": r"text '---\n---\n# Title\n'",
    "---\n\n---\n# Title\n": r"text '# Title\n'",
    "---\n---\nwords\n---\nmore\n": "ValueError repo card metadata block should be a dict",
}
found = {card: read(card) for card in expected}
for card, said in found.items():
    print(repr(card), "->", said)
raise SystemExit(0 if found == expected else 1)
PYTHON
