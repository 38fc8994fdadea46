#!/usr/bin/env bash
# What serves on many sites, one model on each line, separated by tabs: site, model, state, since when, the images that run, and the
# versions of the charm, Seldon Core and Istio. An empty field is unknown.
#
#     ./report.sh SITES
#
# SITES is a file as for roll-out.sh. Needs bash, jq, and juju 3 or later. A site that does not answer has the state `unknown`, and
# the exit code is then 1.
set -euo pipefail

code=0
while read -r model application _; do
    [[ -n $model && $model != \#* ]] || continue
    page=1
    pages=1
    while ((page <= pages)); do
        report=$(juju run -m "$model" "${application:-iris}/leader" report page="$page" --format json </dev/null 2>/dev/null |
            jq -r '.[].results.report') || report=
        if [[ $(jq -r .format <<<"$report" 2>/dev/null) != 1 ]]; then
            printf '%s\t\tunknown\t\t\t\t\t\n' "$model"
            code=1
            break
        fi
        jq -r --arg site "$model" '.versions as $of | .models[] | [$site, .name, .state, .since,
            ([.serving[]?.images[]] | join(" ")), $of.charm, $of."seldon-core", $of.istio] | @tsv' <<<"$report"
        pages=$(jq .pages <<<"$report")
        page=$((page + 1))
    done
done <"$1"
exit "$code"
