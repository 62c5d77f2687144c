#!/usr/bin/env bash
# Has dpkg install a package, upgrade, remove, reinstall and purge it, on an overlay over this machine of which nothing
# stays: packaging/try.sh dist/mirror-sync_*.deb. Needs root, and a kernel that lets it mount (a plain container does not).
set -euo pipefail
if [ -z "${TRY_INSIDE:-}" ]; then
    package=$(realpath "$1")
    TRY_INSIDE=$(mktemp -d) exec unshare --mount --propagation private "$(realpath "$0")" "$package"
fi
if [ "$TRY_INSIDE" != chroot ]; then
    trap 'umount -R "$TRY_INSIDE"; rmdir "$TRY_INSIDE"' EXIT
    mount -t tmpfs tmpfs "$TRY_INSIDE"
    mkdir "$TRY_INSIDE"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=/,upperdir=$TRY_INSIDE/upper,workdir=$TRY_INSIDE/work" "$TRY_INSIDE/root"
    mount --rbind /proc "$TRY_INSIDE/root/proc"
    mount --rbind /dev "$TRY_INSIDE/root/dev"
    cp "$1" "$TRY_INSIDE/root/first.deb"
    cp "$0" "$TRY_INSIDE/root/try.sh"
    TRY_INSIDE=chroot chroot "$TRY_INSIDE/root" /try.sh /first.deb
    exit
fi

export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
is() { # what it should be, the command that says what it is
    local wanted=$1 found
    shift
    found=$("$@")
    [ "$found" = "$wanted" ] || { echo "FAILED: $* says '$found', not '$wanted'" >&2; exit 1; }
    echo "ok: $*"
}
owned() { stat --format '%a %U:%G' "$1"; }
there() { [ -e "$1" ] && echo yes || echo no; }
state() { dpkg-query --show --showformat '${db:Status-Abbrev}${Version}' mirror-sync; }
install_it() { dpkg --force-confold --path-include='/usr/share/*' --install "$1" > /dev/null; }

dpkg --purge mirror-sync 2> /dev/null || true
version=$(dpkg-deb --field "$1" Version)
install_it "$1"
is "ii $version" state
apt-get check > /dev/null # what it depends on is here
is '755 root:root' owned /etc/mirror-sync
is '644 root:root' owned /etc/mirror-sync/jobs.yaml
is '755 mirror-sync:mirror-sync' owned /srv/mirror
is /usr/sbin/nologin sh -c 'getent passwd mirror-sync | cut -d: -f7'
is "mirror-sync $version" mirror-sync --version
is '750 mirror-sync:mirror-sync' owned /var/lib/mirror-sync
mirror-sync check # as root, without a word of where its configuration is
printf 'HF_TOKEN=%s\n' "'hf_a\$b'" > /etc/mirror-sync/environment
mirror-sync sync --help > /dev/null
echo 'HF_TOKEN = x' > /etc/mirror-sync/environment
is "mirror-sync: /etc/mirror-sync/environment, line 1: write NAME='value', without spaces around the =" \
    sh -c 'mirror-sync check 2>&1 || true'
rm /etc/mirror-sync/environment
systemd-analyze verify /usr/lib/systemd/system/mirror-*.service /usr/lib/systemd/system/mirror-*.timer
is '.TH "MIRROR-SYNC-SYNC"' sh -c 'zcat /usr/share/man/man1/mirror-sync-sync.1.gz | cut -d " " -f 1-2 | head -1'
is 'complete -o default -F _mirror_sync_completion mirror-sync' \
    bash -c '. /usr/share/bash-completion/completions/mirror-sync; complete -p mirror-sync'

echo '# mine' >> /etc/mirror-sync/jobs.yaml
echo 'HF_TOKEN=secret' > /etc/mirror-sync/environment
dpkg-deb --raw-extract "$1" /second
sed -i "s/^Version: .*/Version: $version+1/" /second/DEBIAN/control
echo '# theirs' >> /second/etc/mirror-sync/jobs.yaml
dpkg-deb -Znone --build /second /second.deb > /dev/null
install_it /second.deb
is "ii $version+1" state
is '# mine' tail -1 /etc/mirror-sync/jobs.yaml
is '# theirs' tail -1 /etc/mirror-sync/jobs.yaml.dpkg-dist
is '600 root:root' owned /etc/mirror-sync/environment

touch /srv/mirror/blob /var/lib/mirror-sync/history.db
dpkg --remove mirror-sync > /dev/null
is "rc $version+1" state
is no there /opt/mirror-sync
is no there /usr/bin/mirror-sync
is '# mine' tail -1 /etc/mirror-sync/jobs.yaml
is yes there /var/lib/mirror-sync/history.db
install_it "$1"
is '# mine' tail -1 /etc/mirror-sync/jobs.yaml
is "mirror-sync $version" mirror-sync --version

dpkg --purge mirror-sync > /dev/null
is no there /etc/mirror-sync
is no there /var/lib/mirror-sync
is no there /opt/mirror-sync
is yes there /srv/mirror/blob
is mirror-sync stat --format %U /srv/mirror
echo "$1: installed, upgraded, removed, reinstalled and purged"
