#!/bin/sh
# smoke.sh PROGRAM: each micro-benchmark once or a few times. Google Benchmark's status says nothing of one that failed.
out=$("$1" --benchmark_min_time=0.001 2>/dev/null) || exit 1
printf '%s\n' "$out"
! printf '%s\n' "$out" | grep -q 'ERROR OCCURRED'
