#!/bin/sh
# Run an experiment of recipes/evidence and write its record: make evidence EXPERIMENT=cpu TEXT=... BLIMP=... JOBS=2
#
# TEXT is the text, as source.path, with its TITLE and LICENSE. HELD_OUT is other text, on which the suite tasks is scored.
# BLIMP is a Parquet file with the columns of nyu-mll/blimp, put onto the run's own local Hub; without it, BLiMP comes from
# the Hub of the environment, and nothing is published. With PIECE, the run stops after that many seconds, and the exit
# status is 3 until it is finished: run the same command again.
set -eu
: "${EXPERIMENT:?cpu, gpu or night}" "${TEXT:=}" "${TITLE:=}" "${LICENSE:=other}" "${HELD_OUT:=}" "${BLIMP:=}"
: "${JOBS:=}" "${PIECE:=}" "${OPTIONS:=}" "${L2T:=l2t}"
name=evidence-$EXPERIMENT
out=runs/$name
began=$(date +%s)
hub=none
mkdir -p "$out"
if [ -n "$BLIMP" ]; then
  hub=local:$out/hub
  [ -f "$out/blimp.seeded" ] || $L2T hub seed "$BLIMP" --as nyu-mll/blimp --by UID --hub "$hub"
  touch "$out/blimp.seeded"
fi
set -- run "recipes/evidence/$EXPERIMENT.yaml" --out "$out" --hub "$hub" --record "results/$name"
[ -z "$TEXT" ] || set -- "$@" --set "source.path=$TEXT" --set "source.license=$LICENSE"
[ -z "$TITLE" ] || set -- "$@" --set "source.title=$TITLE"
[ -z "$HELD_OUT" ] || set -- "$@" --set "evaluation.suites=[probes,blimp,tasks]" --set "evaluation.text=$HELD_OUT"
[ -z "$JOBS" ] || set -- "$@" --jobs "$JOBS"
if [ -z "$PIECE" ]; then
  # shellcheck disable=SC2086 # several words
  exec $L2T "$@" $OPTIONS
fi
left=$((PIECE - $(date +%s) + began))
status=0
# shellcheck disable=SC2086
timeout --signal=TERM --kill-after=40 "$left" $L2T "$@" $OPTIONS || status=$?
case $status in
  124 | 137 | 143) echo "$name: stopped after $PIECE s, not finished: run the same command again" >&2; exit 3 ;;
  *) exit "$status" ;;
esac
