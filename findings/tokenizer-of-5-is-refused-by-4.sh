#!/bin/sh
# transformers 5.23.0 and 4.57.6 (Python 3.11): a PreTrainedTokenizerFast saved by the one, loaded by the other.
# Expected: tokenizer_config.json names the class by which it was made, which both versions have, and both load it.
# Seen: version 5 has made PreTrainedTokenizerFast another name of TokenizersBackend, and writes that name. AutoTokenizer of
#   version 4 refuses the files, though nothing else in them is strange to it: when asked by its class it reads them.
#   A commit that brings such files shuts the users of 4 out of a repo that they could load before.
# Output seen:
#   5.23.0 made TokenizersBackend and wrote TokenizersBackend
#   4.57.6 AutoTokenizer: ValueError
#   4.57.6 PreTrainedTokenizerFast: [0, 1]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 5.23.0 4.57.6; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --no-compile --disable-pip-version-check transformers==$version
done
cat > "$folder/save.py" <<'PYTHON'
import json
import sys
from pathlib import Path

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

words = Tokenizer(models.WordLevel({"one": 0, "two": 1, "?": 2}, unk_token="?"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
made = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
made.save_pretrained(sys.argv[1])
wrote = json.loads(Path(sys.argv[1], "tokenizer_config.json").read_text())["tokenizer_class"]
print(transformers.__version__, "made", type(made).__name__, "and wrote", wrote)
PYTHON
cat > "$folder/load.py" <<'PYTHON'
import sys

import transformers

for kind in (transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast):
    try:
        said = kind.from_pretrained(sys.argv[1])("one two").input_ids
    except ValueError as error:
        said = type(error).__name__
    print(f"{transformers.__version__} {kind.__name__}: {said}")
PYTHON
export HF_HOME="$folder/hf" HF_HUB_OFFLINE=1
found=$("$folder/5.23.0/bin/python" "$folder/save.py" "$folder/files" 2> "$folder/log")
found="$found
$("$folder/4.57.6/bin/python" "$folder/load.py" "$folder/files" 2> "$folder/log")"
echo "$found"
[ "$found" = "5.23.0 made TokenizersBackend and wrote TokenizersBackend
4.57.6 AutoTokenizer: ValueError
4.57.6 PreTrainedTokenizerFast: [0, 1]" ]
