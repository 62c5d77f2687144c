#!/usr/bin/env bash
# Builds dist/mirror-sync_VERSION_ARCH.deb: the program in an environment of its own under /opt/mirror-sync, the units,
# their user and folders, a jobs.yaml to begin with, the manual, man pages and completion. Needs dpkg-deb, python3-venv and the package index.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
prefix=opt/mirror-sync
root=$(mktemp -d)
chmod 755 "$root"
trap 'rm -rf "$root"' EXIT
umask 022

"$python" -m venv "$root/$prefix"
"$root/$prefix/bin/python" -m pip install --quiet --disable-pip-version-check '.[cluster,sign]'
version=$("$root/$prefix/bin/python" -c 'from importlib.metadata import version; print(version("mirror-sync"))')
"$root/$prefix/bin/python" packaging/man.py "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1
mkdir -p "$root"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
for pair in bash:bash-completion/completions/mirror-sync zsh:zsh/vendor-completions/_mirror-sync \
    fish:fish/vendor_completions.d/mirror-sync.fish; do
    "$root/$prefix/bin/mirror-sync" completion "${pair%%:*}" > "$root/usr/share/${pair#*:}"
done
"$root/$prefix/bin/python" -m pip uninstall --quiet --yes pip
# what was written while building names the place where it was built
grep -rlIZ "$root" "$root/$prefix" | xargs -0 --no-run-if-empty sed -i "s|$root/|/|g"
minor=$("$python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
# it runs on the Python that the package depends on, whichever built it
rm "$root/$prefix"/bin/python*
ln -s "/usr/bin/python$minor" "$root/$prefix/bin/python3"
ln -s python3 "$root/$prefix/bin/python"
sed -i -e 's|^home = .*|home = /usr/bin|' -e "s|^executable = .*|executable = /usr/bin/python$minor|" \
    -e "s|^command = .*|command = /usr/bin/python$minor -m venv /$prefix|" "$root/$prefix/pyvenv.cfg"
# no user of the program may write beside it: compiled here, or anew at each start (a few files are for other Pythons)
find "$root/$prefix" -name __pycache__ -type d -prune -exec rm -rf {} +
"$python" -m compileall -q --invalidation-mode unchecked-hash -s "$root" -p / "$root/$prefix/lib" || true

install -D -m 644 -t "$root/usr/lib/systemd/system" systemd/*.service systemd/*.timer
install -D -m 644 systemd/mirror-sync.sysusers "$root/usr/lib/sysusers.d/mirror-sync.conf"
install -D -m 644 systemd/mirror-sync.tmpfiles "$root/usr/lib/tmpfiles.d/mirror-sync.conf"
install -D -m 644 -t "$root/usr/share/doc/mirror-sync" README.md README.zh.md CHANGELOG.md CONTRIBUTING.md \
    CODE_OF_CONDUCT.md SECURITY.md
install -D -m 644 packaging/copyright "$root/usr/share/doc/mirror-sync/copyright"
install -D -m 644 -t "$root/usr/share/doc/mirror-sync/monitoring" monitoring/*
install -D -m 644 -t "$root/usr/share/doc/mirror-sync/examples" packaging/rsync/*
find docs -name '*.md' -exec install -D -m 644 {} "$root/usr/share/doc/mirror-sync/{}" ';'
install -D -m 644 jobs.yaml "$root/etc/mirror-sync/jobs.yaml"
sed -i -e 's|^state_dir: .*|state_dir: /var/lib/mirror-sync|' -e 's|url: ${MIRROR_TARGET:-./var/mirror}|url: file:///srv/mirror|' \
    -e 's|docs/guide/configuration.md|/usr/share/doc/mirror-sync/docs/guide/configuration.md|' -e '/^# yaml-language-server/d' \
    -e 's|^  ours: .*|  # ours: {kind: own, url: file:///srv/own} # models of your own, where the user mirror-sync may write; job ours below|' \
    -e 's|the last lines of "From nothing" in README.md|/usr/share/doc/mirror-sync/docs/guide/own-models.md|' "$root/etc/mirror-sync/jobs.yaml"
install -D -m 644 packaging/logrotate "$root/etc/logrotate.d/mirror-front"
install -D -m 755 packaging/mirror-sync "$root/usr/bin/mirror-sync"

install -d "$root/DEBIAN"
printf '%s\n' /etc/logrotate.d/mirror-front /etc/mirror-sync/jobs.yaml > "$root/DEBIAN/conffiles"
arch=$(dpkg --print-architecture)
cat > "$root/DEBIAN/control" <<END
Package: mirror-sync
Version: $version
Architecture: $arch
Maintainer: mirror-sync <mirror-sync@localhost>
Section: net
Priority: optional
Depends: python3 (>= $minor), python3 (<< ${minor%.*}.$((${minor#*.} + 1))~), systemd
Suggests: nginx, libnginx-mod-http-js
Description: mirror of AI models and datasets, proved by SHA-256
 Keeps an organisation's own copy of models and datasets from the Hugging Face Hub in an S3-compatible bucket or a
 directory: proved byte by byte, filtered by licence, served to unmodified clients.
END
install -m 755 packaging/{postinst,prerm,postrm} "$root/DEBIAN/"
mkdir -p dist
dpkg-deb --root-owner-group --build "$root" "dist/mirror-sync_${version}_$arch.deb"
