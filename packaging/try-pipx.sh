#!/usr/bin/env bash
# Installs a wheel by pipx for one user, mirrors a folder by it and proves that, in a folder of which nothing stays:
# packaging/try-pipx.sh dist/mirror_sync-*.whl. Needs the package index.
set -euo pipefail
wheel=$(realpath "$1")
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
cd "$home"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check pipx
export PIPX_HOME=$home/pipx PIPX_BIN_DIR=$home/bin PIPX_MAN_DIR=$home/man
tools/bin/pipx install --quiet "$wheel"
bin/mirror-sync --version
mkdir -p upstream/acme/one
printf '%s\n' --- 'license: mit' --- > upstream/acme/one/README.md
cat > jobs.yaml <<END
upstreams: {disk: {kind: directory, url: ./upstream}}
targets: {here: {url: ./mirror}}
licenses: {allow: [mit]}
jobs: [{name: acme, repos: [acme/one]}]
END
for word in check plan sync verify status; do bin/mirror-sync --quiet "$word" > said || { cat said && exit 1; }; done
tools/bin/pipx uninstall mirror-sync
[ ! -e bin/mirror-sync ]
echo "$wheel: installed by pipx, used and uninstalled"
