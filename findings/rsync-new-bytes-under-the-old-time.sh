#!/bin/sh
# rsync 3.2.7 (Debian 12: rsync): `rsync -a` of a folder in which a file is replaced, by a rename, between rsync's list and its
# turn to be read.
# Expected: the file as it was listed, or as it is now, each with its own time and without a word; or that rsync says that it
# changed.
# Seen: exit code 0, nothing is said, and the new bytes are there under the time of the old ones, so that no file of the source
# ever had both. What was put into the folder after the list was made, and what the new bytes may refer to, is not brought. A
# further call brings the file once more, for its time alone.
# Output seen:
#   exit code 0, said: nothing
#   index: new bytes, old time; the file that they name is not there
#   index is brought once more: yes
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq rsync libpopt0 libxxhash0 libzstd1 liblz4-1 2>download.log || { cat download.log; exit 2; }
for archive in *.deb; do dpkg -x "$archive" root; done
ls ./rsync_*.deb | sed 's/_/ /; s/_.*//'
libraries=$(find "$folder/root" -name 'lib*.so*' -exec dirname {} + | sort -u | tr '\n' ':')
export LD_LIBRARY_PATH="$libraries"
rsync=$folder/root/usr/bin/rsync
mkdir -p from/a-files from/names to
head -c 3000000 /dev/zero >from/a-files/large      # three seconds at --bwlimit: its turn is before names/
echo 'see a-files/old' >from/names/index
touch -d '2020-01-01 00:00:00' from/names/index
(
    while [ -z "$(find to -name '.large*')" ]; do sleep 0.05; done  # the list is made
    echo new >from/a-files/new
    echo 'see a-files/new' >index
    mv index from/names/index
) &
code=0
"$rsync" -a --no-inc-recursive --bwlimit=1000 from/ to/ >said 2>&1 || code=$?
wait
found=$(
    echo "exit code $code, said: $([ -s said ] && cat said || echo nothing)"
    bytes=old; grep -q new to/names/index && bytes=new
    time=new; [ "$(stat -c %y to/names/index | cut -c1-4)" = 2020 ] && time=old
    there=there; [ -e to/a-files/new ] || there='not there'
    echo "index: $bytes bytes, $time time; the file that they name is $there"
    again=no; "$rsync" -ai --dry-run from/ to/ | grep -q '^>f.*names/index$' && again=yes
    echo "index is brought once more: $again"
)
printf '%s\n' "$found"
expected='exit code 0, said: nothing
index: new bytes, old time; the file that they name is not there
index is brought once more: yes'
[ "$found" = "$expected" ]
