#!/usr/bin/env bash
# Kafka's own kafka-acls.sh, from the jars that `fetch` fetches.
set -euo pipefail
libs=$("$(dirname "$(readlink -f "$0")")/fetch")
exec java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$libs/*" org.apache.kafka.tools.AclCommand "$@"
