#!/bin/sh
# njs 0.7.9 in nginx 1.22.1 (Debian 12: nginx, libnginx-mod-http-js): `$` in a regular expression without the flag m.
# Expected: as in ECMAScript, it matches at the end of the text alone, so /^[a-z]+$/ does not match "abc" with a line feed.
# Seen: it matches before a line feed at the end, too, as in Perl. A negated class finds the line feed.
# Output seen:
#   /^[a-z]+$/ matches "abc\n": true
#   /[^a-z]/ matches "abc\n": true
set -eu
folder=$(mktemp -d)
trap '[ ! -f "$folder/nginx.pid" ] || kill "$(cat "$folder/nginx.pid")"; rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 "$folder"
# of nginx Debian has one version at a time, whose last digits are those of its mends
apt-get download -qq nginx libnginx-mod-http-js=0.7.9-2 libxslt1.1 2>download.log || { cat download.log; exit 2; }
for archive in *.deb; do dpkg -x "$archive" root; done
ls ./*.deb | sed 's/_/ /; s/_.*//'
module=$(find "$folder/root" -name ngx_http_js_module.so)
cat >text.js <<'SCRIPT'
function told(r) {
    const text = 'abc\n';
    r.return(200, '/^[a-z]+$/ matches "abc\\n": ' + /^[a-z]+$/.test(text) + '\n'
                + '/[^a-z]/ matches "abc\\n": ' + /[^a-z]/.test(text) + '\n');
}
export default {told};
SCRIPT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >nginx.conf <<CONF
load_module $module;
pid $folder/nginx.pid;
error_log $folder/error.log;
events {}
http {
    access_log off;
    client_body_temp_path $folder/t1; proxy_temp_path $folder/t2; fastcgi_temp_path $folder/t3;
    uwsgi_temp_path $folder/t4; scgi_temp_path $folder/t5;
    js_path $folder;
    js_import text.js;
    server { listen 127.0.0.1:$port; location / { js_content text.told; } }
}
CONF
libraries=$(find "$folder/root" -name 'lib*.so*' -exec dirname {} + | sort -u | tr '\n' ':')
LD_LIBRARY_PATH=$libraries "$folder/root/usr/sbin/nginx" -c "$folder/nginx.conf" 2>>error.log
found=$(python3 -c "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:$port/', timeout=10).read().decode(), end='')")
printf '%s\n' "$found"
expected='/^[a-z]+$/ matches "abc\n": true
/[^a-z]/ matches "abc\n": true'
[ "$found" = "$expected" ]
