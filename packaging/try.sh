#!/usr/bin/env bash
# Has dpkg install a package, upgrade, remove, reinstall and purge it, on an overlay over this machine of which nothing
# stays: packaging/try.sh dist/mirror-sync_*.deb. Needs root, and a kernel that lets it mount (a plain container does not).
# With a package of an earlier commit behind it: from that one to this one, back, and forth, over a mirror that both have.
set -euo pipefail
if [ -z "${TRY_INSIDE:-}" ]; then
    packages=$(realpath "$@")
    # shellcheck disable=SC2086
    TRY_INSIDE=$(mktemp -d) exec unshare --mount --propagation private "$(realpath "$0")" $packages
fi
if [ "$TRY_INSIDE" != chroot ]; then
    trap 'umount -R "$TRY_INSIDE"; rmdir "$TRY_INSIDE"' EXIT
    mount -t tmpfs tmpfs "$TRY_INSIDE"
    mkdir "$TRY_INSIDE"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=/,upperdir=$TRY_INSIDE/upper,workdir=$TRY_INSIDE/work" "$TRY_INSIDE/root"
    mount --rbind /proc "$TRY_INSIDE/root/proc"
    mount --rbind /dev "$TRY_INSIDE/root/dev"
    cp "$1" "$TRY_INSIDE/root/first.deb"
    [ -z "${2:-}" ] || cp "$2" "$TRY_INSIDE/root/earlier.deb"
    cp "$0" "$TRY_INSIDE/root/try.sh"
    TRY_INSIDE=chroot chroot "$TRY_INSIDE/root" /try.sh /first.deb ${2:+/earlier.deb}
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
as_version() { # a package under another version, which two commits may not have
    dpkg-deb --raw-extract "$1" /repacked
    sed -i "s/^Version: .*/Version: $2/" /repacked/DEBIAN/control
    dpkg-deb -Znone --build /repacked "$3" > /dev/null
    rm -r /repacked
}

if [ -n "${2:-}" ]; then
    etc=/etc/mirror-sync new=$(dpkg-deb --field "$1" Version)
    old="$new~earlier"
    as_version "$2" "$old" /old.deb
    owner='setpriv --reuid mirror-sync --regid mirror-sync --init-groups env'
    as_owner() { $owner MIRROR_SYNC_CONFIG=$etc/jobs.yaml mirror-sync --quiet "$@"; }
    configured() { # of three files what they hold and whose they are, as one digest
        (cd $etc && cat jobs.yaml tokens.yaml environment && stat --format '%a %U:%G' ./*.yaml environment) | sha256sum
    }
    commit() { head -c 100000 /dev/urandom > /srv/upstream/acme/one/weights; }
    answers() { curl --silent --fail "http://127.0.0.1:$port/healthz" > /dev/null; }
    starts() { # the daemon, by what its unit says, as systemd would
        local line daemon
        line=$(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/mirror-sync.service)
        # shellcheck disable=SC2086
        $owner -C /var/lib/mirror-sync HF_HOME=/var/cache/mirror-sync $line > /daemon.log 2>&1 &
        daemon=$!
        until answers; do
            kill -0 $daemon 2> /dev/null || { echo "FAILED: $line" && cat /daemon.log; } >&2
            kill -0 $daemon
            sleep 0.2
        done
        kill $daemon
        wait $daemon || { echo "FAILED: it ended with $?"; cat /daemon.log; exit 1; } >&2
        echo "ok: $line"
    }
    whole() { # what is published is what the upstream has
        local digest
        as_owner verify > /dev/null
        digest=$(sha256sum /srv/upstream/acme/one/weights | cut -c 1-64)
        cmp /srv/upstream/acme/one/weights "/srv/mirror/blobs/sha256/${digest:0:2}/$digest"
        echo "ok: acme/one is whole by $(state)"
    }

    dpkg --purge mirror-sync 2> /dev/null || true
    rm -rf /srv/mirror /var/lib/mirror-sync # of this machine
    install_it /old.deb
    install -d -o mirror-sync -g mirror-sync -m 750 /var/lib/mirror-sync /var/cache/mirror-sync # as systemd does
    port=$(python3 -c 'import socket; one = socket.socket(); one.bind(("127.0.0.1", 0)); print(one.getsockname()[1])')
    mkdir -p /srv/upstream/acme/one
    printf '%s\n' --- 'license: mit' --- > /srv/upstream/acme/one/README.md
    commit
    cat > $etc/jobs.yaml <<END
# mine
state_dir: /var/lib/mirror-sync
upstreams: {disk: {kind: directory, url: file:///srv/upstream}}
targets: {mirror: {url: file:///srv/mirror}}
licenses: {allow: [mit]}
http: {listen: "127.0.0.1:$port"}
jobs: [{name: acme, repos: [acme/one], schedule: {cron: "0 0 29 2 *"}}]
END
    install -m 600 /dev/null $etc/environment
    echo "HF_TOKEN='secret'" > $etc/environment
    touch $etc/tokens.yaml
    if mirror-sync token --help > /dev/null 2>&1; then
        echo 'access: {roles: {readers: {read: ["*"]}}, tokens: ./tokens.yaml}' >> $etc/jobs.yaml
        rm $etc/tokens.yaml
        MIRROR_SYNC_CONFIG=$etc/jobs.yaml mirror-sync token new jane --role readers > /dev/null
        chown mirror-sync $etc/tokens.yaml
    fi
    systemctl --quiet enable mirror-sync.service
    as_owner sync > /dev/null
    whole
    starts
    mine=$(configured)

    for turn in 1 2; do # nothing newer is published in the first
        install_it "$1"
        is "ii $new" state
        is "$mine" configured
        is enabled systemctl is-enabled mirror-sync.service
        for unit in $(dpkg-deb --contents "$1" | grep -o '/usr/lib/systemd/system/.*'); do is yes there "$unit"; done
        as_owner check > /dev/null
        whole
        starts
        if [ $turn = 2 ]; then
            commit
            as_owner sync > /dev/null
            whole
        fi
        install_it /old.deb
        is "ii $old" state
        is "$mine" configured
        is enabled systemctl is-enabled mirror-sync.service
        as_owner check > /dev/null
        [ $turn = 2 ] || commit
        if as_owner sync > /said 2>&1; then
            whole
            starts
        else
            refused=$(grep --max-count=1 'newer mirror-sync' /said) || { echo "FAILED: $(cat /said)" >&2 && exit 1; }
            is no sh -c 'grep -q Traceback /said && echo yes || echo no'
            echo "ok: after something new was published, $old says: $refused"
        fi
    done
    install_it "$1"
    as_owner sync > /dev/null
    as_owner verify > /dev/null
    starts
    echo "$1: over $2, back, and over it again; what was published and what was configured are as they were"
    exit
fi

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
